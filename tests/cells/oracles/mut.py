"""The MUT cells are torch's GRU, where the product is of each unit by itself, that reads more than x side by side."""

import torch
from oracle import assert_orthogonal, assert_uniform, drawn, gate, normal, oracle, torchs
from torch import nn


def gates_beside(cell, **weights):
    """The gates of torch's GRU that reads four numbers beside x, with these weights; no unit reads another in n."""
    with torch.no_grad():
        cell.from_reset.weight.copy_(torch.diag(torch.randn(4)))
    nothing = torch.zeros(4, 4).double()
    gates = {name: gate(cell, name) for name in "rzn"}
    return {name: (torch.cat((W, weights.get(name, nothing)), 1), U, b) for name, (W, U, b) in gates.items()}


def assert_is_torchs(cell, gates, x, h, beside):
    """The cell takes the step of torch's GRU with these gates, whose z keeps, that reads `beside` too."""
    theirs = torchs(nn.GRUCell, **{**gates, "z": tuple(-part for part in gates["z"])})
    torch.testing.assert_close(cell(x, (h,))[0], theirs(torch.cat((x, beside), 1), h))


def lifted(cell, x):
    return x if cell.lift.weight is None else x @ cell.lift.weight.T


@oracle("MUT1")
def is_torchs_that_reads_the_squashed_input_too(MUT1):
    for width in (3, 4):
        cell, (x, h) = drawn(MUT1(width, 4)), normal(width, 4)
        gates = gates_beside(cell, n=torch.eye(4).double())
        assert_is_torchs(cell, gates, x, h, torch.tanh(lifted(cell, x)))


@oracle("MUT2")
def is_torchs_whose_reset_reads_the_bare_input(MUT2):
    for width in (3, 4):
        cell, (x, h) = drawn(MUT2(width, 4)), normal(width, 4)
        gates = gates_beside(cell, r=torch.eye(4).double())
        assert_is_torchs(cell, gates, x, h, lifted(cell, x))


@oracle("MUT3")
def is_torchs_whose_update_reads_the_squashed_state(MUT3):
    cell, (x, h) = drawn(MUT3(3, 4)), normal(3, 4)
    gates = gates_beside(cell, z=cell.from_squashed.weight.detach())
    W, U, b = gates["z"]
    assert_is_torchs(cell, {**gates, "z": (W, torch.zeros_like(U), b)}, x, h, torch.tanh(h))


@oracle("MUT1")
@oracle("MUT2")
@oracle("MUT3")
def is_drawn_as_keras_did(kind):
    cell = kind(40, 25)
    assert_uniform(cell.from_x.weight, (6 / (40 + 25)) ** 0.5)
    for name in cell.gate_names:
        layer = cell.get_submodule(name)
        if name != "from_x":
            for matrix in layer.weight.chunk(len(cell.gate_names[name])):
                assert_orthogonal(matrix)
        assert layer.bias is None or not layer.bias.any()
    biased = [
        gate for name, gates in cell.gate_names.items() if cell.get_submodule(name).bias is not None for gate in gates
    ]
    assert sorted(biased) == ["n", "r", "z"]


@oracle("MUT1")
@oracle("MUT2")
def lifts_an_input_of_another_width_by_signs(kind):
    assert kind(4, 4).lift.weight is None
    signs = kind(40, 25).lift.weight * 40**0.5
    torch.testing.assert_close(signs.abs(), torch.ones(25, 40))
    assert signs.mean().abs() < 0.1
