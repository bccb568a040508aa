"""Numbers of erichson/LipschitzRNN models.py @ df6552e89f, and at rest a step of two matrices near antisymmetric ones."""

import torch
from known_numbers import assert_known, at_rest, set_weights, steps
from oracle import assert_normal, assert_uniform, oracle

NUMBERS = {  # epsilon, gated: after four steps from nought
    (0.5, False): [1.423200112334, -0.607833930188, 0.683219487542, 1.855702318351, 0.065820759653, 0.507723085913],
    (0.01, False): [-0.024545211005, -0.021687188695, -0.00437620024, -0.023905429354, -0.02871989367, 0.004360800106],
    (0.5, True): [0.420644416154, -0.717748235197, 0.172644993852, 0.636688696438, -0.363323647389, 0.195852131823],
    (0.01, True): [-0.010216270246, -0.016179344523, -0.003584158169, -0.007637368023, -0.021755878166, 0.002640060284],
}


@oracle("LipschitzRNN")
def is_the_authors(LipschitzRNN):
    for (epsilon, gated), numbers in NUMBERS.items():
        options = {} if epsilon == 0.01 else {"epsilon": epsilon}
        cell = set_weights(LipschitzRNN(2, 3, gated=gated, **options), m=1, n=2)
        theirs = LipschitzRNN(2, 3).double()
        set_weights(theirs, from_x_weight=3, from_x_bias=4)
        with torch.no_grad():
            cell.from_x.weight[:3], cell.from_x.bias[:3] = theirs.from_x.weight, theirs.from_x.bias
            if gated:
                set_weights(theirs, from_x_weight=5, from_x_bias=6)
                cell.from_x.weight[3:], cell.from_x.bias[3:] = theirs.from_x.weight, theirs.from_x.bias
        (h,) = steps(cell, cell.initial_state(torch.zeros(2, 2).double()), count=4)
        assert_known(h, numbers)


@oracle("LipschitzRNN")
def turns_and_loses_gamma_where_it_is_antisymmetric(LipschitzRNN):
    one = torch.eye(4).double()
    for beta, sign in ((1.0, -1), (0.0, 1)):
        cell = LipschitzRNN(3, 4, epsilon=0.5, beta=beta, gamma=0.3).double()
        with torch.no_grad():
            cell.from_x.bias.zero_()
        both = (cell.m + cell.n).T
        expected = one + 0.5 * (both + sign * both.T - 2 * 0.3 * one)
        torch.testing.assert_close(at_rest(cell), expected)


@oracle("LipschitzRNN")
def is_drawn_as_the_authors(LipschitzRNN):
    cell = LipschitzRNN(25, 60)
    for matrix in (cell.m, cell.n):
        assert_normal(matrix, 1 / 60)
    assert cell.gate_names == {"from_x": ("n",)}
    assert LipschitzRNN(25, 60, gated=True).gate_names == {"from_x": ("n", "g")}
    for gated in (False, True):
        for parameter in LipschitzRNN(25, 200, gated=gated).from_x.parameters():
            assert_uniform(parameter, 0.2)
