"""The clockwork network is torch's plain one where all clocks tick at each step, and at its own ticks each module is."""

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


def elman(cell, units=slice(None)):
    """Torch's network of the same weights, of some units that read each other alone."""
    theirs = nn.RNN(3, len(cell.from_x.bias[units])).double()
    with torch.no_grad():
        theirs.weight_ih_l0.copy_(cell.from_x.weight[units])
        theirs.bias_ih_l0.copy_(cell.from_x.bias[units])
        theirs.weight_hh_l0.copy_(cell.from_h[units, units])
        theirs.bias_hh_l0.zero_()
    return theirs


@oracle("ClockworkRNN")
def is_torchs_where_each_period_is_one(ClockworkRNN):
    for periods in ((1,), (1, 1)):
        cell, x, h = (
            drawn(ClockworkRNN(3, 4, periods=periods)),
            torch.randn(9, 2, 3).double(),
            torch.randn(2, 4).double(),
        )
        found, _ = states(cell, x, (h, torch.zeros(2, 1).double()))
        torch.testing.assert_close(found, elman(cell)(x, h[None])[0])


@oracle("ClockworkRNN")
def has_a_slowest_module_that_is_torchs_at_every_tick(ClockworkRNN):
    cell, x, h = drawn(ClockworkRNN(3, 7, periods=(2, 3))), torch.randn(14, 2, 3).double(), torch.randn(2, 7).double()
    found, _ = states(cell, x, (h, torch.zeros(2, 1).double()))
    slow, at_ticks = slice(4, None), elman(cell, slice(4, None))(x[::3], h[None, :, 4:].contiguous())[0]
    torch.testing.assert_close(found[..., slow], at_ticks.repeat_interleave(3, dim=0)[:14])


@oracle("ClockworkRNN")
def has_a_fast_module_that_reads_the_slow_one_as_an_input(ClockworkRNN):
    cell, x, h = drawn(ClockworkRNN(3, 7, periods=(2, 3))), torch.randn(14, 2, 3).double(), torch.randn(2, 7).double()
    found, _ = states(cell, x, (h, torch.zeros(2, 1).double()))
    before = torch.cat([h[None], found[:-1]])
    reads = x @ cell.from_x.weight[:4].T + before @ cell.from_h[:4].T + cell.from_x.bias[:4]
    ticks = (torch.arange(14) % 2 == 0)[:, None, None]
    torch.testing.assert_close(found[..., :4], torch.where(ticks, reads.tanh(), before[..., :4]))


@oracle("ClockworkRNN")
def goes_on_where_it_stopped(ClockworkRNN):
    cell, x = drawn(ClockworkRNN(3, 6, periods=(1, 2, 3))), torch.randn(15, 2, 3).double()
    whole, (h, t) = states(cell, x, cell.initial_state(x[0]))
    first, state = states(cell, x[:7], cell.initial_state(x[0]))
    second, last = states(cell, x[7:], state)
    torch.testing.assert_close(torch.cat([first, second]), whole)
    torch.testing.assert_close(last, (h, t))
    assert t.tolist() == [[15 % 6]] * 2


@oracle("ClockworkRNN")
def has_the_periods_and_draws_of_the_paper(ClockworkRNN):
    cell = ClockworkRNN(40, 40)
    assert (
        cell.period.tolist()
        == [1] * 5 + [2] * 5 + [4] * 5 + [8] * 5 + [16] * 4 + [32] * 4 + [64] * 4 + [128] * 4 + [256] * 4
    )
    for weight in (cell.from_x.weight, cell.from_h):
        assert abs(weight.std() - 0.1) < 0.01
        assert abs(weight.mean()) < 0.01
    assert 0.05 < cell.from_x.bias.std() < 0.15
    assert set(cell.state_dict()) == {"from_x.weight", "from_x.bias", "from_h"}
    assert not any(part.any() for part in cell.initial_state(torch.zeros(2, 40)))
    for periods in ((), (2, 0)):
        with pytest.raises(ValueError, match="at least one step"):
            ClockworkRNN(2, 3, periods=periods)
