"""Weights that follow from others: computed once a loop, and nothing of it is seen by another model of the process."""

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrize

from rnnvanish import Recurrent, cells
from rnnvanish.probes import retention, shares

COMPUTED = []


class Halved(nn.Module):
    def forward(self, weight):
        COMPUTED.append(1)
        return weight / 2


class Elsewhere:
    """A model that somebody else trains in the same process, in the midst of a measurement."""

    def __init__(self):
        self.model, self.seen = nn.Linear(2, 2), []
        parametrize.register_parametrization(self.model, "weight", Halved())

    def train(self):
        with torch.no_grad():
            before = self.model.weight.clone()
            self.model.parametrizations.weight.original += 1
            self.seen.append(round(float((self.model.weight - before).mean()), 3))


class Cell(cells.Elman):
    """Lets the other training go on while a step is taken."""

    elsewhere = None

    def forward(self, x, state):
        if self.elsewhere is not None:
            self.elsewhere.train()
        return super().forward(x, state)


class Steps(nn.Module):
    def __init__(self):
        super().__init__()
        self.cell = nn.GRUCell(2, 3)
        parametrize.register_parametrization(self.cell, "weight_hh", Halved())

    def forward(self, x):
        h = x.new_zeros(x.shape[1], 3)
        for now in x:
            h = self.cell(now, h)
        return h


def layer(cell=cells.GRU):
    made = Recurrent(cell, 2, 3)
    parametrize.register_parametrization(made.cells[0].from_h, "weight", Halved())
    return made


def torchs():
    made = nn.LSTM(2, 3)
    parametrize.register_parametrization(made, "weight_hh_l0", Halved())
    return made


@pytest.mark.parametrize("build", [layer, torchs, Steps])
def test_who_trains_meanwhile_has_new_weights(build):
    elsewhere = Elsewhere()

    def loss(output):
        elsewhere.train()
        return output.sum() if isinstance(output, torch.Tensor) else output[0].sum()

    retention(build(), torch.randn(6, 2, 2), loss=loss)
    assert elsewhere.seen
    assert set(elsewhere.seen) == {0.5}


def test_so_it_is_while_a_step_is_taken(monkeypatch):
    elsewhere = Elsewhere()
    monkeypatch.setattr(Cell, "elsewhere", elsewhere)
    retention(layer(Cell), torch.randn(6, 2, 2))
    assert len(elsewhere.seen) >= 6
    assert set(elsewhere.seen) == {0.5}


@pytest.mark.parametrize("build", [layer, torchs])
def test_they_are_computed_once_a_loop(build):
    counts = []
    for steps in (4, 12):
        COMPUTED.clear()
        shares(build(), torch.randn(steps, 2, 2))
        counts.append(len(COMPUTED))
    assert counts[0] == counts[1] > 0


def test_what_they_follow_from_has_the_gradient():
    torch.manual_seed(0)
    model, x = layer().double(), torch.randn(9, 2, 2).double()
    plain = Recurrent(cells.GRU, 2, 3).double()
    weights = {name.removeprefix("parametrizations."): value for name, value in model.state_dict().items()}
    plain.load_state_dict(
        {name.replace("parametrizations.weight.original", "weight"): w for name, w in weights.items()}
    )
    with torch.no_grad():
        plain.cells[0].from_h.weight /= 2
    (ours,), (theirs,) = shares(model, x).values(), shares(plain, x).values()
    torch.testing.assert_close(
        ours.by_weight["cells.0.from_h.parametrizations.weight.original"], theirs.by_weight["cells.0.from_h.weight"]
    )


@pytest.mark.parametrize("build", [layer, torchs, Steps])
def test_segment_by_segment_the_numbers_are_the_same(build):
    torch.manual_seed(0)
    model, x = build().double(), torch.randn(12, 2, 2).double()
    (whole,), (pieces,) = retention(model, x).values(), retention(model, x, segment=5).values()
    torch.testing.assert_close(pieces.gain, whole.gain, rtol=1e-10, atol=0)
