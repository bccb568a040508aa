"""Numbers of microsoft/EdgeML pytorch/edgeml_pytorch/graph/rnn.py @ 81025fce8b, and its defaults."""

import torch
from known_numbers import assert_known, set_weights, steps, waves
from oracle import assert_normal, oracle
from torch import nn


def assert_drawn(cell):
    assert_normal(cell.from_x.weight, 0.1)
    assert_normal(cell.from_h.weight, 0.1)
    assert cell.from_h.bias is None


@oracle("FastRNN")
def is_the_authors_fastrnn(FastRNN):
    cell = set_weights(FastRNN(2, 3), from_x_weight=1, from_h_weight=2, from_x_bias=3)
    with torch.no_grad():
        cell.alpha.fill_(0.3)
        cell.beta.fill_(-0.4)
    (h,) = steps(cell, (waves(2, 3, start=60),))
    assert_known(
        h,
        [-0.213152105424, -0.637552019728, -0.235231285072, 0.555337143051, -0.54663509777, -0.070121671507],
    )


@oracle("FastRNN")
def is_torchs_where_all_is_written(FastRNN):
    theirs, ours = nn.RNNCell(3, 4).double(), FastRNN(3, 4).double()
    with torch.no_grad():
        for ending, layer in (("ih", ours.from_x), ("hh", ours.from_h)):
            layer.weight.copy_(getattr(theirs, f"weight_{ending}"))
        ours.from_x.bias.copy_(theirs.bias_ih + theirs.bias_hh)
        ours.alpha.fill_(50.0)
        ours.beta.fill_(-50.0)
    x, h = torch.randn(2, 3).double(), torch.randn(2, 4).double()
    torch.testing.assert_close(ours(x, (h,))[0], theirs(x, h))


@oracle("FastRNN")
def starts_as_the_authors(FastRNN):
    cell = FastRNN(30, 40)
    assert_drawn(cell)
    assert [cell.alpha.item(), cell.beta.item()] == [-3, 3]
    assert set(cell.from_x.bias.tolist()) == {1.0}


@oracle("FastGRNN")
def is_the_authors_fastgrnn(FastGRNN):
    cell = set_weights(FastGRNN(2, 3), from_x_weight=1, from_h_weight=2, bias_z=3, bias_n=4)
    with torch.no_grad():
        cell.zeta.fill_(0.3)
        cell.nu.fill_(-0.4)
    (h,) = steps(cell, (waves(2, 3, start=60),))
    assert_known(
        h,
        [-0.898688885236, -0.563043250961, -0.117844648278, 0.004108830657, -0.89401904063, 0.02924382987],
    )


@oracle("FastGRNN")
def is_kept_where_its_gate_is_open(FastGRNN):
    cell = FastGRNN(3, 4).double()
    with torch.no_grad():
        cell.bias_z.fill_(50.0)
        cell.nu.fill_(-50.0)
    h = torch.randn(2, 4).double()
    torch.testing.assert_close(cell(torch.randn(2, 3).double(), (h,))[0], h)


@oracle("FastGRNN")
def starts_as_the_authors_does(FastGRNN):
    cell = FastGRNN(30, 40)
    assert_drawn(cell)
    assert cell.from_x.bias is None
    assert [cell.zeta.item(), cell.nu.item()] == [1, -4]
    assert set(cell.bias_z.tolist()) == set(cell.bias_n.tolist()) == {1.0}
