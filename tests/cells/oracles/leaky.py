"""A leaky integrator without its leak is torch's plain network, and without its weights it forgets by a power."""

import pytest
import torch
from known_numbers import at_rest
from oracle import assert_drawn_as_torch, oracle
from torch import nn


@oracle("LeakyRNN")
def is_torchs_where_all_leaks(LeakyRNN):
    theirs, ours = nn.RNNCell(3, 4).double(), LeakyRNN(3, 4, leak=1).double()
    with torch.no_grad():
        for ending, layer in (("ih", ours.from_x), ("hh", ours.from_h)):
            layer.weight.copy_(getattr(theirs, f"weight_{ending}"))
        ours.from_x.bias.copy_(theirs.bias_ih + theirs.bias_hh)
    x, h = torch.randn(2, 3).double(), torch.randn(2, 4).double()
    torch.testing.assert_close(ours(x, (h,))[0], theirs(x, h))


@oracle("LeakyRNN")
def keeps_a_share_of_each_unit(LeakyRNN):
    cell = LeakyRNN(3, 4).double()
    with torch.no_grad():
        cell.from_h.weight.zero_()
        cell.from_x.bias.fill_(20.0)
    h = torch.randn(1, 4).double()
    torch.testing.assert_close(at_rest(cell, state=(h,)), 0.7 * torch.eye(4).double())
    torch.testing.assert_close(cell(torch.zeros(1, 3).double(), (h,))[0], 0.7 * h + 0.3)


@oracle("LeakyRNN")
def is_drawn_as_torchs(LeakyRNN):
    assert_drawn_as_torch(LeakyRNN, nn.RNNCell)
    assert LeakyRNN(3, 4).from_h.bias is None


@oracle("LeakyRNN")
def refuses_what_is_no_leak(LeakyRNN):
    for leak in (0.0, -0.1, 1.1):
        with pytest.raises(ValueError, match="leak"):
            LeakyRNN(3, 4, leak=leak)
