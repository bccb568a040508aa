"""A state that is handed on without its history: by every way that people have of doing that, and where it is meant."""

import pytest
import torch
from padded_windows import Windows
from torch import nn
from torch.autograd import Variable

from rnnvanish import Recurrent, cells
from rnnvanish.diagnosis.find_faults import find
from rnnvanish.probes import retention

FAULT = "detached state"


def repackage(state):
    return state.detach() if isinstance(state, torch.Tensor) else tuple(map(repackage, state))


def each(change):
    return lambda state: change(state) if isinstance(state, torch.Tensor) else tuple(map(change, state))


def without_gradients(part):
    with torch.no_grad():
        return part * 1


def some_reset(part):
    return part.detach() * (torch.arange(part.shape[-2]) > 0)[:, None]


WAYS = {
    "detach": each(lambda part: part.detach()),
    "data": each(lambda part: part.data),
    "in place": each(lambda part: part.detach_()),
    "numpy": each(lambda part: torch.from_numpy(part.detach().numpy())),
    "numbers": each(lambda part: torch.tensor(part.tolist(), dtype=part.dtype)),
    "variable": each(lambda part: Variable(part.data)),
    "no_grad": each(without_gradients),
    "repackage": repackage,
    "clone": each(lambda part: part.clone().detach()),
    "new leaf": each(lambda part: part.detach().requires_grad_()),
    "some reset": each(some_reset),
}


class Steps(nn.Module):
    def __init__(self, cell, way):
        super().__init__()
        self.cell, self.way, self.head = cell, way, nn.Linear(6, 1)

    def forward(self, x):
        state = None
        for step in x:
            state = self.cell(step, None if state is None else self.way(state))
        return self.head(state if isinstance(state, torch.Tensor) else state[0])


class OwnCell(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(8, 6)

    def forward(self, x, h):
        return torch.tanh(self.linear(torch.cat([x, x.new_zeros(len(x), 6) if h is None else h], -1)))


def found(model, x, **options):
    return [finding for finding in find(model, x, **options) if finding.fault == FAULT]


MODELS = {
    "layer": lambda way: Windows(nn.LSTM(2, 6), way),
    "cell": lambda way: Steps(nn.LSTMCell(2, 6), way),
    "own": lambda way: Steps(OwnCell(), way),
}
CASES = [("layer", way) for way in WAYS] + [("cell", "in place"), ("cell", "detach"), ("own", "numpy")]


@pytest.mark.parametrize(("kind", "way"), CASES, ids=lambda value: value)
def test_it_is_told_once_and_the_remedy_gives_what_the_whole_loop_has(kind, way):
    torch.manual_seed(0)
    model, x = MODELS[kind](WAYS[way]), torch.randn(8, 3, 2)
    own = [OwnCell] if kind == "own" else []
    (finding,) = found(model, x, cells=own)
    assert finding.layer == ("layer" if kind == "layer" else "cell")
    assert finding.before == 0
    assert not finding.question
    model.way = lambda state: state
    (curve,) = retention(model, x, cells=own).values()
    if way == "some reset":  # the other two sequences
        assert finding.after > 0
    else:
        assert finding.after == pytest.approx(float(curve.gain[-1]), rel=1e-4)


def test_the_sentence_says_how_often_and_how_far():
    torch.manual_seed(0)
    (finding,) = found(Windows(Recurrent(cells.GRU, 2, 6), repackage, 5), torch.randn(20, 2, 2))
    assert "detached, 3 times in each sequence, in windows of 5 steps" in finding.seen
    (finding,) = found(Steps(nn.GRUCell(2, 6), repackage), torch.randn(4, 2, 2))
    assert "detached, 3 times in each sequence, in windows of 1 step:" in finding.seen


def test_windows_longer_than_what_is_to_be_learned_are_right():
    model, x = Windows(nn.GRU(2, 6), repackage, 5), torch.randn(15, 2, 2)
    assert found(model, x, lag=4) == []
    (finding,) = found(model, x, lag=5)
    assert not finding.question


def test_long_windows_and_a_warm_up_are_asked_about():
    (finding,) = found(Windows(nn.GRU(2, 6), repackage, 100), torch.randn(200, 1, 2))
    assert finding.question

    class WarmUp(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.GRU(2, 6)

        def forward(self, x):
            with torch.no_grad():
                _, state = self.layer(x[:5])
            return self.layer(x[5:], state)[0][-1]

    (finding,) = found(WarmUp(), torch.randn(12, 2, 2))
    assert finding.question
    assert finding.seen.endswith("which ran without gradients.")


class Rounds(nn.Module):
    """Two states that one step improves in turn; all rounds but the last only bring them somewhere."""

    def __init__(self, turns):
        super().__init__()
        self.turns, self.cell = turns, OwnCell()

    def improve(self, x, low, high):
        for _ in range(self.turns):
            low = self.cell(x + high[:, :2], low)
        return low, self.cell(low[:, :2], high)

    def forward(self, x):
        low, high = x.new_ones(len(x), 6), x.new_zeros(len(x), 6)
        with torch.no_grad():
            for _ in range(2):
                low, high = self.improve(x, low, high)
            assert not low.requires_grad
        return self.improve(x, low, high)[1]


@pytest.mark.parametrize(("turns", "windows"), [(3, "1 to 6 steps"), (1, "1 to 2 steps")])
def test_rounds_without_gradients_are_asked_about_and_each_loop_follows_its_own(turns, windows):
    torch.manual_seed(0)
    (finding,) = found(Rounds(turns), torch.randn(3, 2), cells=[OwnCell])
    assert finding.question
    assert finding.seen.startswith("cell goes on with the state that it had returned, but detached, 2 times")
    assert f"in windows of {windows}: " in finding.seen
    assert finding.remedy.startswith("Leave it if these steps only bring the state somewhere")
    assert finding.measure == ""  # what stood between them left no history to give back


class Decoder(nn.Module):
    """An encoder's state, a learned one, and a layer that reads two sequences apart: nothing is cut anywhere."""

    def __init__(self):
        super().__init__()
        self.encoder, self.decoder = nn.GRU(2, 6), nn.GRUCell(6, 6)
        self.start = nn.Parameter(torch.randn(1, 1, 6))

    def forward(self, x):
        one, state = self.encoder(x, self.start.expand(1, x.shape[1], 6).contiguous())
        other, _ = self.encoder(x.flip(0), self.start.expand(1, x.shape[1], 6).contiguous())
        h = state[0]
        for context in one:
            h = self.decoder(context + other[-1], h)
        with torch.no_grad():
            self.encoder(x[:3], state)  # an evaluation on the way
        return h


@pytest.mark.parametrize("model", [Windows(nn.GRU(2, 6), lambda state: state), Decoder()], ids=["carried", "decoder"])
def test_a_state_that_comes_from_elsewhere_is_not_detached(model):
    torch.manual_seed(0)
    assert find(model, torch.randn(12, 3, 2)) == ()
