"""Numbers of tk-rusch/LEM src/sMNIST/network.py @ 833da6b338, and torch's plain network where it goes all the way."""

import torch
from known_numbers import assert_known, set_weights, steps, waves
from oracle import assert_uniform, oracle
from torch import nn


@oracle("LEM")
def is_the_authors(LEM):
    cell = LEM(2, 3, dt=0.7)
    set_weights(cell, from_x_weight=1, from_x_bias=2, from_y_weight=3, from_y_bias=4, from_z_weight=5, from_z_bias=6)
    y, z = steps(cell, (waves(2, 3, start=60), waves(2, 3, start=70)))
    assert_known(y, [0.032884532451, -0.654150761052, 0.196107295733, 0.514068853527, 0.377560648009, 0.825874562562])
    assert_known(z, [0.426877055947, -0.62231543775, 0.483681659635, -0.867169943464, -0.81596711996, -0.227893804591])


@oracle("LEM")
def is_torchs_twice_where_its_steps_are_one(LEM):
    """z is a plain network that reads y, and y one that reads the new z."""
    cell, into_z, into_y = LEM(3, 4).double(), nn.RNNCell(3, 4).double(), nn.RNNCell(3, 4).double()
    with torch.no_grad():
        cell.from_x.bias[:8] = 50.0
        for theirs, rows, layer, block in (
            (into_y, slice(8, 12), cell.from_z, slice(4)),
            (into_z, slice(12, 16), cell.from_y, slice(8, 12)),
        ):
            cell.from_x.weight[rows], cell.from_x.bias[rows] = theirs.weight_ih, theirs.bias_ih
            layer.weight[block], layer.bias[block] = theirs.weight_hh, theirs.bias_hh
    x, y, z = torch.randn(2, 3).double(), torch.randn(2, 4).double(), torch.randn(2, 4).double()
    new_z = into_z(x, y)
    torch.testing.assert_close(cell(x, (y, z)), (into_y(x, new_z), new_z))


@oracle("LEM")
def stays_where_it_goes_nowhere(LEM):
    cell, x = LEM(3, 4).double(), torch.randn(2, 3).double()
    state = torch.randn(2, 2, 4).double()
    torch.testing.assert_close(torch.stack(LEM(3, 4, dt=0.0).double()(x, tuple(state))), state)
    for gate, part in ((0, 0), (4, 1)):
        with torch.no_grad():
            cell.from_x.bias[:8] = 0
            cell.from_x.bias[gate : gate + 4] = -50.0
        torch.testing.assert_close(cell(x, tuple(state))[part], state[part])


@oracle("LEM")
def is_drawn_as_the_authors(LEM):
    cell, bound = LEM(30, 49), 1 / 7
    for parameter in cell.parameters():
        assert_uniform(parameter, bound)
    assert len(list(cell.parameters())) == 6
    assert cell.keeps.gate == "Δy"
    assert LEM(3, 4, dt=0.5).keeps is None
