"""Steps of the user's own, however they are called, and states of any shape, against the equations written again."""

from typing import NamedTuple

import pytest
import torch
from cell_loops import BATCH, HIDDEN, TIME, Zeros, by_hand, same
from torch import nn

from rnnvanish.observe.watch import watch
from rnnvanish.probes import retention


class State(NamedTuple):
    h: torch.Tensor
    c: torch.Tensor


class Equations(nn.Module):
    """An LSTM whose output reads both of its parts."""

    def __init__(self):
        super().__init__()
        self.core = nn.LSTMCell(HIDDEN, HIDDEN)  # as wide as its state: the shapes do not say which is which
        self.head = nn.Linear(2 * HIDDEN, HIDDEN)

    def step(self, x, h, c):
        h, c = self.core(x, (h, c))
        return self.head(torch.cat([h, c.sin()], -1)), h, c


class OutputAndState(Equations):
    def forward(self, x, state):
        y, h, c = self.step(x, *state)
        return y, (h, c)

    def start(self, x):
        return x.new_zeros(x.shape[1], HIDDEN), x.new_zeros(x.shape[1], HIDDEN)

    def loop(self, x):
        state, y = self.start(x), None
        for now in x:
            y, state = self(now, state)
        return y


class Keywords(OutputAndState):
    def loop(self, x):
        state, y = self.start(x), None
        for now in x:
            y, state = self(state=state, x=now)
        return y


class StateFirst(Equations):
    def forward(self, memory, x):
        y, h, c = self.step(x, memory["h"], memory["c"])
        return {"h": h, "c": c}, y

    def loop(self, x):
        memory = {"h": x.new_zeros(x.shape[1], HIDDEN), "c": x.new_zeros(x.shape[1], HIDDEN)}
        for now in x:
            memory, y = self(memory, now)
        return y


class Separate(Equations):
    def forward(self, x, h, c, scale=1.0):
        return self.step(scale * x, h, c)

    def loop(self, x):
        h = c = x.new_zeros(x.shape[1], HIDDEN)
        for now in x:
            y, h, c = self(2 * now, h, c=c, scale=0.5)
        return y


class Named(Equations):
    def forward(self, x, state=None):
        h, c = state or State(torch.zeros_like(x), torch.zeros_like(x))
        y, h, c = self.step(x, h, c)
        return y, State(h, c)

    def loop(self, x):
        state = None
        for now in x:
            y, state = self(now, state)
        return y


class Around(nn.Module):
    def __init__(self, step):
        super().__init__()
        self.step = step

    def forward(self, x):
        return self.step.loop(x)


@pytest.mark.parametrize("kind", [OutputAndState, Keywords, StateFirst, Separate, Named])
@pytest.mark.parametrize("named", ["by class", "by instance", "by name"])
def test_steps_of_the_users_own(kind, named):
    torch.manual_seed(0)
    model, x = Around(kind()).double(), torch.randn(TIME, BATCH, HIDDEN).double()
    cells = {"by class": [kind], "by instance": [model.step], "by name": ["step"]}[named]
    curves = retention(model, x, cells=cells)
    zeros = Zeros()
    h = c = x.new_zeros(BATCH, HIDDEN)
    for now in x:
        h, c = zeros.add(by_hand(model.step.core, now, [h, c]))
    loss = model.step.head(torch.cat([h, c.sin()], -1)).sum()
    assert list(curves) == ["step"]
    same(curves["step"].gain, zeros.gain(loss))
    assert curves["step"].names == (("state0", "state1") if kind in (OutputAndState, Keywords) else ("h", "c"))


def test_a_named_step_can_be_taken_again():
    """Probes of single steps: (x, state) -> state, with all that it reads side by side in x."""
    torch.manual_seed(0)
    model, x = Around(Separate()).double(), torch.randn(TIME, BATCH, HIDDEN).double()

    def measure(output, runs):
        (run,) = runs
        before = [run.initial, *run.states[:-1]]
        for t in range(TIME):
            for new, old in zip(run.step(run.x[t], before[t]), run.states[t], strict=True):
                same(new, old)
        rows = torch.tensor([2, 0])  # other numbers of sequences, too
        for new, old in zip(run.step(run.x[3, rows], tuple(p[rows] for p in before[3])), run.states[3], strict=True):
            same(new, old[rows])
        return run.x.shape

    assert watch(model, x, measure, cells=[Separate]) == (TIME, BATCH, HIDDEN)


class Pictures(nn.Module):
    """A convolutional step: its state is a picture."""

    def __init__(self):
        super().__init__()
        self.mix = nn.Conv2d(3, 2, 3, padding=1)

    def forward(self, x, state):
        return torch.tanh(self.mix(torch.cat([x, state], 1)))

    def loop(self, x):
        state = x.new_zeros(BATCH, 2, 3, 3)
        for now in x:
            state = self(now, state)
        return state.mean()


def test_a_state_of_any_shape():
    torch.manual_seed(0)
    model, x = Around(Pictures()).double(), torch.randn(TIME, BATCH, 1, 3, 3).double()
    zeros, state = Zeros(), x.new_zeros(BATCH, 2, 3, 3)
    for now in x:
        flat = torch.tanh(model.step.mix(torch.cat([now, state], 1))).reshape(BATCH, -1)
        state = zeros.add([flat])[0].reshape(BATCH, 2, 3, 3)
    same(retention(model, x, cells=[Pictures])["step"].gain, zeros.gain(state.mean()))


def test_what_is_fed_back_now_and_then_is_no_state():
    """Teacher forcing: half of the time a decoder reads its own last output."""

    class Decoder(nn.Module):
        def __init__(self):
            super().__init__()
            self.cell, self.head = nn.GRUCell(HIDDEN, HIDDEN), nn.Linear(HIDDEN, HIDDEN)

        def forward(self, x, state):
            state = self.cell(x, state)
            return self.head(state), state

        def loop(self, x):
            y, state = x[0], x.new_zeros(BATCH, HIDDEN)
            for t, now in enumerate(x):
                y, state = self(y if t % 2 else now, state)
            return y

    torch.manual_seed(0)
    model, x = Around(Decoder()).double(), torch.randn(TIME, BATCH, HIDDEN).double()
    zeros, state, y = Zeros(), x.new_zeros(BATCH, HIDDEN), None
    for t, now in enumerate(x):
        (state,) = zeros.add(by_hand(model.step.cell, y if t % 2 else now, [state]))
        y = model.step.head(state)
    (curve,) = retention(model, x, cells=[Decoder]).values()
    same(curve.gain, zeros.gain(y.sum()))
