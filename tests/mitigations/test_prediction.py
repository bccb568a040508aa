"""The auxiliary loss that foretells the next input: against least squares, on a system that is known, and trained."""

import math

import pytest
import torch
from builds import HIDDEN, INPUT
from torch import nn

from rnnvanish import Recurrent, cells
from rnnvanish.mitigations.auxiliary_prediction import AuxiliaryPrediction


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def end(returned):
    return returned[0][-1].sum()


def test_it_is_a_regression_on_what_comes_next():
    """Against torch's own least squares, of sequences of different lengths, step by step."""
    layer, x, lengths = Recurrent(cells.GRU, INPUT, HIDDEN).double(), torch.randn(30, 3, INPUT).double(), [30, 12, 21]
    with torch.no_grad():
        states = layer(x)[0]
    pairs = [(states[t, i], x[t + 1, i]) for i, length in enumerate(lengths) for t in range(length - 1)]
    s, y = (torch.stack(each) for each in zip(*pairs, strict=True))
    design = torch.cat([s, torch.ones(len(s), 1)], -1)
    residual = y - design @ torch.linalg.lstsq(design, y).solution
    expected = residual.square().sum() / (y - y.mean(0)).square().sum()
    cost = AuxiliaryPrediction(2.0).penalty(layer, (x, None, torch.tensor(lengths)), end)
    torch.testing.assert_close(cost, 2.0 * expected, rtol=1e-3, atol=1e-4)  # up to the ridge


def test_what_begins_anew_does_not_follow():
    """A sequence of two that begin anew costs what they cost side by side."""
    layer, x = Recurrent(cells.GRU, INPUT, HIDDEN).double(), torch.randn(40, 1, INPUT).double()
    resets = torch.zeros(40, 1)
    resets[20] = 1

    class Resetting(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = layer

        def forward(self, x, resets):
            return self.layer(x, resets=resets)

    one = AuxiliaryPrediction().penalty(Resetting(), (x, resets), lambda returned: returned[0].sum())
    beside = AuxiliaryPrediction().penalty(layer, torch.cat(x.split(20), dim=1), lambda returned: returned[0].sum())
    torch.testing.assert_close(one, beside, rtol=1e-9, atol=0)


@pytest.mark.parametrize(("again", "part"), [(0.0, 1.0), (0.8, 1 - 0.8**2)])
def test_of_noise_nothing_is_foretold_and_of_a_process_that_remembers_a_known_part(again, part):
    """x ← a x + noise: of its variance 1 − a² is new at each step, whatever is known of the past."""
    layer = Recurrent(cells.Elman, 1, 1, bias=False).double()
    layer.cells[0].nonlinearity = nn.Identity()
    with torch.no_grad():
        layer.cells[0].from_x.weight.fill_(1.0)
        layer.cells[0].from_h.weight.zero_()
    x = [torch.randn(200, 1).double()]
    for _ in range(200):
        x.append(again * x[-1] + math.sqrt(1 - again**2) * torch.randn(200, 1).double())
    cost = AuxiliaryPrediction().penalty(layer, torch.stack(x), end)
    assert cost.item() == pytest.approx(part, abs=0.02)


def test_trained_more_of_the_next_input_can_be_read():
    """The input comes again after five steps: what is next was read four steps ago."""
    layer = nn.RNN(INPUT, 16)
    x, fresh = (torch.randn(5, count, INPUT).repeat(6, 1, 1) for count in (32, 200))
    cure = AuxiliaryPrediction()
    before = cure.penalty(layer, fresh, end).item()
    adam = torch.optim.Adam(layer.parameters(), lr=0.02)
    for _ in range(40):
        adam.zero_grad()
        cure.penalty(layer, x, end).backward()
        adam.step()
    assert cure.penalty(layer, fresh, end).item() < 0.7 * before


def test_nothing_follows_a_single_step():
    assert AuxiliaryPrediction().penalty(nn.GRU(INPUT, HIDDEN), torch.randn(1, 3, INPUT), end) == 1
