"""Cures of torch's cells in loops that a model writes itself: the same numbers as those of the layer that repeats the cell."""

import copy

import pytest
import torch
from torch import nn

from rnnvanish import Recurrent, cells, mitigations, probes
from rnnvanish.diagnosis.advice.replace_cell import Swap
from rnnvanish.live import RecurrentStep, live_cells
from rnnvanish.mitigation import Build

KINDS = {"RNNCell": nn.RNN, "GRUCell": nn.GRU, "LSTMCell": nn.LSTM}


class Loop(nn.Module):
    """Calls a cell step by step, and returns its outputs, (time, batch, hidden)."""

    def __init__(self, cell):
        super().__init__()
        self.cell = cell

    def forward(self, x):
        state, outputs = None, []
        for row in x:
            state = self.cell(row, state)
            outputs.append(state[0] if isinstance(state, tuple) else state)
        return torch.stack(outputs)


def twins(kind):
    """A loop of a torch cell, and the layer with the same weights."""
    torch.manual_seed(0)
    loop, layer = Loop(getattr(nn, kind)(3, 5).double()), KINDS[kind](3, 5).double()
    layer.load_state_dict({f"{name}_l0": weight for name, weight in loop.cell.state_dict().items()})
    return loop, layer


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "cure",
    [
        mitigations.LayerNormalisation(),
        mitigations.LeakyStep(),
        mitigations.MultiplicativeIntegration(),
        mitigations.OrthogonalConstraint(),
        mitigations.ResidualThroughTime(),
        mitigations.SpectralNorm(),
        mitigations.Zoneout(0.3, 0.4),
    ],
    ids=repr,
)
def test_a_changed_cell_computes_as_the_changed_layer(kind, cure):
    loop, layer = twins(kind)
    x = torch.randn(6, 4, 3).double()
    weights = dict(loop.named_parameters())
    changed, other = cure(loop).eval(), cure(layer).eval()
    assert changed is loop
    output = loop(x)
    torch.testing.assert_close(output, other(x)[0], rtol=1e-12, atol=1e-12)
    assert not torch.allclose(output, twins(kind)[0](x))
    loop(x).square().sum().backward()
    other(x)[0].square().sum().backward()
    (inner,), (theirs,) = live_cells(loop), live_cells(other)
    for ours, expected in zip(inner.innermost.parameters(), theirs.innermost.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, expected.grad, rtol=1e-9, atol=1e-12)
    kept = [weight for weight in loop.parameters() if any(weight is each for each in weights.values())]
    assert len(kept) >= 3  # an optimiser that was built before goes on with them
    torch.testing.assert_close(loop(x[:, 0])[-1], loop(x)[-1, 0])  # a single sequence
    assert all(curve.gain[0] == 1 for curve in probes.retention(loop, x).values())
    assert probes.retention(loop, x).keys() == {"cell"}


@pytest.mark.parametrize(("kind", "name"), [("RNNCell", "GRU"), ("GRUCell", "GRU"), ("LSTMCell", "LSTM")])
def test_a_swapped_cell_is_the_swapped_layer(kind, name):
    loop, layer = twins(kind)
    torch.manual_seed(1)
    Swap(name)(loop)
    torch.manual_seed(1)
    other = Swap(name)(layer)
    x = torch.randn(6, 4, 3).double()
    torch.testing.assert_close(loop(x), other(x)[0], rtol=1e-12, atol=1e-12)
    assert isinstance(loop.cell, RecurrentStep)


@pytest.mark.parametrize("kind", KINDS)
def test_a_step_passes_for_torchs_cell(kind):
    loop, _ = twins(kind)
    before, x = copy.deepcopy(loop.state_dict()), torch.randn(6, 4, 3).double()
    plain = loop(x)
    loop.cell = RecurrentStep(live_cells(loop)[0])
    torch.testing.assert_close(loop(x), plain, rtol=1e-14, atol=1e-14)  # torch's kernel rounds otherwise
    assert (loop.cell.input_size, loop.cell.hidden_size, loop.cell.bias) == (3, 5, True)
    for name, weight in before.items():
        assert torch.equal(getattr(loop.cell, name.removeprefix("cell.")), weight)
    loop.cell.reset_parameters()
    assert not torch.allclose(loop(x), plain)
    assert all((weight.abs() <= 5**-0.5).all() for weight in loop.parameters())
    loop.load_state_dict(before)
    torch.testing.assert_close(loop(x), plain, rtol=1e-14, atol=1e-14)
    for cure in (mitigations.LayerNormalisation(), mitigations.Zoneout()):
        cure(loop)
        with torch.no_grad():
            loop.cell.weight_hh.zero_()
        loop.load_state_dict(before)  # what was saved before the cure
        assert torch.equal(loop.cell.weight_hh, before["cell.weight_hh"])
    loop.load_state_dict(loop.state_dict())
    assert repr(loop.cell)
    with pytest.raises(AttributeError, match="weight_hr"):
        _ = loop.cell.weight_hr


@pytest.mark.parametrize(
    ("kind", "cure", "said"),
    [
        ("GRUCell", mitigations.SkipThroughTime(), "its state would have 10 part.s., h, h-1, ..., and the loop"),
        (
            "GRUCell",
            Swap("LSTM"),
            r"its state would have 2 part.s., h, c, and the loop that calls it hands on h: change",
        ),
        ("LSTMCell", Swap("GRU"), r"1 part.s., h, and the loop that calls it hands on h and c: change that loop"),
        ("RNNCell", mitigations.VariationalDropout(), "h, mask"),
        (
            "LSTMCell",
            mitigations.AttentionOverPast(),
            "AttentionOverPast reads whole sequences, and cell, of class LSTMCell",
        ),
    ],
)
def test_what_does_not_fit_a_loop_is_refused_and_changes_nothing(kind, cure, said):
    loop, _ = twins(kind)
    before, cell = copy.deepcopy(loop.state_dict()), loop.cell
    with pytest.raises(ValueError, match=said):
        cure(loop)
    assert loop.cell is cell
    assert all(torch.equal(weight, before[name]) for name, weight in loop.state_dict().items())


class Scaled(nn.GRUCell):
    def forward(self, x, h=None):
        return super().forward(2 * x, h)


def test_a_cell_that_is_not_torchs_alone_is_refused():
    with pytest.raises(ValueError, match="cell, of class Scaled, has a forward of its own"):
        mitigations.LayerNormalisation()(Loop(Scaled(3, 5)))
    cell = nn.GRUCell(3, 5)
    nn.utils.parametrizations.weight_norm(cell, "weight_hh")
    with pytest.raises(ValueError, match="computes its weight from other parameters"):
        mitigations.LayerNormalisation()(Loop(cell))


def test_beside_a_layer_a_loop_that_does_not_fit_stays():
    loop, _ = twins("GRUCell")
    model = nn.ModuleDict({"layer": nn.GRU(3, 5), "loop": loop})
    mitigations.SkipThroughTime()(model)
    assert isinstance(model["layer"], Recurrent)
    assert type(model["loop"].cell) is nn.GRUCell
    mitigations.Zoneout()(model)
    assert isinstance(model["loop"].cell, RecurrentStep)


def test_a_cell_of_this_package_in_a_loop_is_drawn_anew():
    class Own(nn.Module):
        def __init__(self):
            super().__init__()
            self.cell = cells.LSTM(3, 5)

        def forward(self, x):
            state = self.cell.initial_state(x[0])
            for row in x:
                state = self.cell(row, state)
            return state[0]

    model = nn.Sequential(Own())
    assert live_cells(model) == [model[0].cell]
    mitigations.OpenGate(2.0)(model)
    assert (model[0].cell.from_x.bias + model[0].cell.from_h.bias)[5:10].tolist() == [2.0] * 5
    assert len(live_cells(nn.Sequential(Recurrent(cells.LSTM, 3, 5)))) == 1
    assert isinstance(mitigations.Zoneout(), Build)
