"""Numbers of tk-rusch/coRNN sMNIST/network.py @ afd81744d1, and without weights powers of a matrix of two by two."""

import torch
from known_numbers import assert_known, at_rest, set_weights, steps, waves
from oracle import assert_uniform, oracle


@oracle("CoRNN")
def is_the_authors(CoRNN):
    cell = set_weights(CoRNN(2, 3), from_x_weight=1, from_z_weight=2, from_y_weight=3, from_x_bias=4)
    y, z = steps(cell, (waves(2, 3, start=60), waves(2, 3, start=70)))
    assert_known(y, [-0.251363042103, -0.900495829277, -0.709163491699, 0.119501475006, 0.851190275984, 0.787467741163])
    assert_known(z, [0.57772042942, 0.731493344493, 0.386841355028, -0.539267986187, -0.77454091116, -0.490252328201])


@oracle("CoRNN")
def is_a_damped_oscillator_where_nothing_drives_it(CoRNN):
    for options, (dt, gamma, epsilon) in (
        ({}, (0.042, 2.7, 4.7)),
        ({"dt": 0.2, "gamma": 0.5, "epsilon": 0.1}, (0.2, 0.5, 0.1)),
    ):
        cell = CoRNN(3, 4, **options).double()
        with torch.no_grad():
            for parameter in cell.parameters():
                parameter.zero_()
        damped = 1 - dt * epsilon
        one = torch.tensor([[1 - dt * dt * gamma, dt * damped], [-dt * gamma, damped]], dtype=torch.float64)
        start = torch.randn(2, 2, 4).double()
        y, z = steps(cell, tuple(start), count=9)
        expected = torch.einsum("ij,jbn->ibn", torch.linalg.matrix_power(one, 9), start)
        torch.testing.assert_close(torch.stack([y, z]), expected)
        torch.testing.assert_close(at_rest(cell), torch.kron(one, torch.eye(4).double()))


@oracle("CoRNN")
def is_drawn_as_one_layer_of_all_it_reads(CoRNN):
    cell, bound = CoRNN(40, 30), 100**-0.5
    for parameter in cell.parameters():
        assert_uniform(parameter, bound)
    assert cell.from_y.bias is None
    assert cell.from_z.bias is None
