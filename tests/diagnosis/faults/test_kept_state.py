"""A state that is kept from batch to batch: of a shuffling loader a fault, else a question; and states that are not kept."""

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader

from rnnvanish import diagnose
from rnnvanish.diagnosis.find_faults import find

FAULT = "state kept between batches"


class Stateful(nn.Module):
    """Keeps its state as an attribute or a buffer; `way` says what of it is kept."""

    def __init__(self, kind="LSTM", buffer=False):
        super().__init__()
        self.rnn, self.head, self.state = getattr(nn, kind)(2, 6, batch_first=True), nn.Linear(6, 1), None
        if buffer:
            del self.state
            self.register_buffer("state", torch.zeros(1, 4, 6))

    def forward(self, x):
        output, state = self.rnn(x, self.state)
        self.state = state.detach() if isinstance(state, torch.Tensor) else tuple(part.detach() for part in state)
        return self.head(output[:, -1])


class OfTheClass(Stateful):
    """Has no state of its own before its first run."""

    state = None

    def __init__(self):
        super().__init__()
        del self.state


class Cell(nn.Module):
    def __init__(self):
        super().__init__()
        self.cell, self.h = nn.GRUCell(2, 6), None

    def forward(self, x):
        h = x.new_zeros(len(x), 6) if self.h is None else self.h
        for step in x.unbind(1):
            h = self.cell(step, h)
        self.h = h.detach()
        return h


def loader(shuffle):
    return DataLoader(torch.randn(8, 6, 2), batch_size=4, shuffle=shuffle, generator=torch.Generator().manual_seed(0))


def found(model, inputs):
    return [finding for finding in find(model, inputs) if finding.fault == FAULT]


@pytest.mark.parametrize(
    "make",
    [Stateful, lambda: Stateful("GRU", buffer=True), OfTheClass, Cell],
    ids=["attribute", "buffer", "of the class", "cell"],
)
def test_of_a_shuffling_loader_it_is_a_fault_and_without_it_batches_do_not_touch(make):
    torch.manual_seed(0)
    model = make()
    (finding,) = found(model, loader(shuffle=True))
    assert not finding.question
    assert finding.layer == ("cell" if make is Cell else "rnn")
    assert "shuffles" in finding.seen
    assert finding.before > 0.001
    assert finding.after == 0


def test_a_loader_of_whole_batches_shuffles_too():
    torch.manual_seed(0)
    batches = list(torch.randn(3, 4, 6, 2))
    questions = [
        found(Stateful(), DataLoader(batches, batch_size=None, shuffle=way))[0].question for way in (True, False)
    ]
    assert questions == [False, True]


def test_the_change_is_that_of_two_runs_by_hand():
    torch.manual_seed(0)
    model, x = Stateful(), torch.randn(4, 6, 2)
    (finding,) = found(model, x)
    with torch.no_grad():
        alone = model(x)
        after = model(x)
    assert finding.before == pytest.approx(float((after - alone).norm() / alone.norm()), rel=1e-5)


def test_batches_in_order_are_asked_about():
    torch.manual_seed(0)
    for inputs in (loader(shuffle=False), torch.randn(4, 6, 2)):
        diagnosis = diagnose(Stateful(), inputs)
        (finding,) = [each for each in diagnosis.findings if each.fault == FAULT]
        assert finding.question


class Counting(nn.Module):
    """Remembers, but no state: a counter, its last output; begins from a learned state, or what an encoder says."""

    def __init__(self):
        super().__init__()
        self.encoder, self.decoder = nn.GRU(2, 6, batch_first=True), nn.GRU(2, 6, batch_first=True)
        self.start, self.calls, self.last = nn.Parameter(torch.randn(1, 1, 6)), 0, None

    def forward(self, x):
        self.calls += 1
        _, state = self.encoder(x, self.start.expand(1, len(x), 6).contiguous())
        self.last, _ = self.decoder(x, state)
        return self.last


def test_what_is_remembered_beside_a_state_is_right():
    torch.manual_seed(0)
    assert found(Counting(), loader(shuffle=True)) == []

    class Resetting(Stateful):
        def forward(self, x):
            self.state = None
            return super().forward(x)

    assert found(Resetting(), loader(shuffle=True)) == []


class Resets(nn.Module):
    """Keeps nothing: its state is given, and begins anew on the way."""

    def __init__(self):
        super().__init__()
        self.cell = nn.GRUCell(2, 6)

    def forward(self, x, h):
        for t, now in enumerate(x.unbind(1)):
            h = self.cell(now, h * (t != 1))
        return h


def test_a_state_that_is_given_and_comes_up_again_is_not_kept():
    torch.manual_seed(0)
    model, x = Resets(), torch.ones(4, 6, 2)
    assert found(model, (x, model.cell(x[:, 0]).detach())) == []
