"""A recurrent highway network of one open layer is torch's plain network, and of closed ones hands on what came."""

import pytest
import torch
from oracle import assert_uniform, oracle
from torch import nn


def layers(cell):
    return [cell.get_submodule(f"from_s{level}") for level in range(1, cell.depth + 1)]


@oracle("RHN")
def is_torchs_where_its_gate_is_open(RHN):
    theirs, ours = nn.RNNCell(3, 4).double(), RHN(3, 4, depth=1).double()
    (layer,) = layers(ours)
    with torch.no_grad():
        ours.from_x.weight[:4] = theirs.weight_ih
        layer.weight[:4] = theirs.weight_hh
        layer.bias[:4] = theirs.bias_ih + theirs.bias_hh
        layer.bias[4:] = 50.0
    x, h = torch.randn(2, 3).double(), torch.randn(2, 4).double()
    torch.testing.assert_close(ours(x, (h,))[0], theirs(x, h))


@oracle("RHN")
def hands_on_where_its_gates_are_closed(RHN):
    cell = RHN(3, 4).double()
    with torch.no_grad():
        for layer in layers(cell):
            layer.bias[4:] = -50.0
    h = torch.randn(2, 4).double()
    torch.testing.assert_close(cell(torch.randn(2, 3).double(), (h,))[0], h)


@oracle("RHN")
def mixes_in_its_gates_share_at_every_layer(RHN):
    """Without weights: of what the layers get 1 − σ(−2) is handed on by each, four times."""
    cell = RHN(3, 4).double()
    with torch.no_grad():
        cell.from_x.weight.zero_()
        for layer in layers(cell):
            layer.weight.zero_()
            layer.bias[:4] = 50.0
    h, share = torch.randn(2, 4).double(), torch.sigmoid(torch.tensor(-2.0, dtype=torch.float64))
    expected = h * (1 - share) ** 4 + (1 - (1 - share) ** 4)
    torch.testing.assert_close(cell(torch.randn(2, 3).double(), (h,))[0], expected)


@oracle("RHN")
def is_drawn_as_the_authors(RHN):
    cell = RHN(30, 40)
    assert_uniform(cell.from_x.weight, 0.04)
    assert cell.from_x.bias is None
    assert len(layers(cell)) == 4
    assert sum(isinstance(each, torch.nn.Linear) for each in cell.children()) == 5
    for layer in layers(cell):
        assert_uniform(layer.weight, 0.04)
        assert_uniform(layer.bias[:40], 0.04)
        assert set(layer.bias[40:].tolist()) == {-2.0}
    assert set(layers(RHN(3, 4, bias=-4.0))[0].bias[4:].tolist()) == {-4.0}
    assert RHN(3, 4, depth=2).gate_names == {"from_x": ("g1", "t1"), "from_s1": ("g1", "t1"), "from_s2": ("g2", "t2")}
    with pytest.raises(ValueError, match="depth"):
        RHN(3, 4, depth=0)
