"""MIST is torch's plain network where one delay is chosen and no unit reset, as many of them as that delay is long."""

import pytest
import torch
from oracle import drawn, oracle
from torch import nn


def states(cell, x, state):
    """The part h after each step, and the last state."""
    found = []
    for now in x:
        state = cell(now, state)
        found.append(state[0])
    return torch.stack(found), state


def choosing(cell, place):
    """Take one delay alone, with all that it has."""
    with torch.no_grad():
        cell.from_x.bias[: cell.hidden_size] = 50.0
        cell.share_from_x.bias.zero_()
        cell.share_from_x.bias[place] = 90.0
    return cell


def elman(cell):
    theirs, n = nn.RNN(3, 4).double(), cell.hidden_size
    with torch.no_grad():
        theirs.weight_ih_l0.copy_(cell.from_x.weight[n:])
        theirs.bias_ih_l0.copy_(cell.from_x.bias[n:])
        theirs.weight_hh_l0.copy_(cell.from_past.weight)
        theirs.bias_hh_l0.zero_()
    return theirs


@oracle("MIST")
def is_torchs_with_one_delay(MIST):
    cell, x, h = choosing(drawn(MIST(3, 4, delays=(1,))), 0), torch.randn(9, 2, 3).double(), torch.randn(2, 4).double()
    found, state = states(cell, x, (h,))
    assert len(state) == len(cell.state_names) == 1
    torch.testing.assert_close(found, elman(cell)(x, h[None])[0])


@oracle("MIST")
def is_as_many_of_torchs_as_the_chosen_delay_is_long(MIST):
    for place, delay in enumerate((1, 3, 4)):
        cell, x = choosing(drawn(MIST(3, 4, delays=(1, 3, 4))), place), torch.randn(12, 2, 3).double()
        found, _ = states(cell, x, cell.initial_state(x[0]))
        for first in range(delay):
            torch.testing.assert_close(found[first::delay], elman(cell)(x[first::delay])[0])


@oracle("MIST")
def mixes_in_shares_and_resets(MIST):
    """No delay is chosen: what has been, all at once, weighed as torch's attention weighs it."""
    cell, x = drawn(MIST(3, 4, delays=(1, 2, 4))), torch.randn(9, 2, 3).double()
    found, (_, past) = states(cell, x, cell.initial_state(x[0]))
    history = torch.cat([torch.zeros(4, 2, 4).double(), found])  # the step before step t is row t + 3
    read = torch.stack([history[4 - delay : 13 - delay] for delay in (1, 2, 4)], dim=2)
    shares = (cell.share_from_x(x) + history[3:12] @ cell.share_from_h.weight.T).unsqueeze(2)
    mixed = nn.functional.scaled_dot_product_attention(
        shares, torch.eye(3).double().expand(9, 2, 3, 3), read, scale=1.0
    )
    r, n = cell.from_x(x).chunk(2, dim=-1)
    r = torch.sigmoid(r + history[3:12] @ cell.from_h.weight.T)
    torch.testing.assert_close(found, torch.tanh(n + (r * mixed.squeeze(2)) @ cell.from_past.weight.T))
    torch.testing.assert_close(past, found[5:8].flip(0).transpose(0, 1))


@oracle("MIST")
def has_the_delays_and_draws_of_the_authors_code(MIST):
    cell = MIST(100, 25)
    h, past = cell.initial_state(torch.zeros(2, 100))
    assert (h.shape, past.shape, cell.delays) == ((2, 25), (2, 127, 25), tuple(2**k for k in range(8)))
    assert cell.state_names == ("h", "past")
    assert cell.from_h.bias is cell.from_past.bias is cell.share_from_h.bias is None
    assert not h.any()
    assert not past.any()
    for name, parameter in cell.named_parameters():
        if name.endswith("bias"):
            assert not parameter.any()
        else:
            assert abs(parameter.std() - 0.2) < 0.03, name
            assert abs(parameter.mean()) < 0.05, name
    assert MIST(2, 3, delays=[1, 3]).delays == (1, 3)
    for delays in ((), (2, 0)):
        with pytest.raises(ValueError, match="at least one step"):
            MIST(2, 3, delays=delays)
