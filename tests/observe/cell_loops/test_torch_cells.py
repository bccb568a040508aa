"""Loops of torch's cells, against the equations written again with a zero added to every state."""

from functools import partial

import pytest
import torch
from cell_loops import BATCH, HIDDEN, INPUT, TIME, Zeros, by_hand, same
from torch import nn

from rnnvanish.live import live_cells
from rnnvanish.probes import retention

CELLS = {
    "RNNCell": nn.RNNCell,
    "RNNCell relu": partial(nn.RNNCell, nonlinearity="relu"),
    "LSTMCell": nn.LSTMCell,
    "GRUCell": nn.GRUCell,
}


class Loop(nn.Module):
    """A stack of cells in a loop, as one writes it."""

    def __init__(self, make, layers=1, width=INPUT):
        super().__init__()
        self.cells = nn.ModuleList(make(width if layer == 0 else HIDDEN, HIDDEN) for layer in range(layers))

    def forward(self, x, state=None):
        states = [state] * len(self.cells)
        for now in x:
            for layer, cell in enumerate(self.cells):
                states[layer] = cell(now, states[layer])
                now = states[layer][0] if isinstance(states[layer], tuple) else states[layer]
        return now

    def again(self, x, zeros):
        parts = 2 if isinstance(self.cells[0], nn.LSTMCell) else 1
        states = [[x.new_zeros(*x.shape[1:-1], HIDDEN)] * parts for _ in self.cells]
        for now in x:
            for layer, cell in enumerate(self.cells):
                states[layer] = zeros[layer].add(by_hand(cell, now, states[layer]))
                now = states[layer][0]
        return now


@pytest.mark.parametrize("form", ["batch", "single sequence"])
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("kind", CELLS)
def test_torchs_cells(kind, layers, form):
    torch.manual_seed(0)
    model = Loop(CELLS[kind], layers).double().train(layers == 1)
    x = torch.randn(TIME, BATCH, INPUT).double() if form == "batch" else torch.randn(TIME, INPUT).double()
    curves, zeros = retention(model, x), [Zeros() for _ in model.cells]
    loss = model.again(x, zeros).sum()
    assert list(curves) == [f"cells.{layer}" for layer in range(layers)]
    for curve, layer in zip(curves.values(), zeros, strict=True):
        same(curve.gain, layer.gain(loss))
    assert curve.names == (("h", "c") if kind == "LSTMCell" else ("h",))


@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 1e-11), (torch.float16, 1e-11)]
)
def test_precisions(dtype, tolerance):
    """Less than single precision is measured in double, with the weights as they are."""
    torch.manual_seed(0)
    model, x = Loop(nn.LSTMCell).to(dtype), torch.randn(TIME, BATCH, INPUT).to(dtype)
    curve = retention(model, x)["cells.0"]
    model.double()
    zeros = [Zeros()]
    loss = model.again(x.double(), zeros).sum()
    torch.testing.assert_close(curve.gain, zeros[0].gain(loss), rtol=tolerance, atol=0)


def test_cures_reach_torchs_cells():
    model = Loop(nn.GRUCell)
    (cell,) = live_cells(model)
    assert cell.from_h.bias is model.cells[0].bias_hh
