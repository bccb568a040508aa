"""The plain loop over time."""

import pytest
import torch

from rnnvanish.engine.reference import plain_loop


def grid_step(x, state):
    """A part of three axes beside one of two: (batch, 4, width)."""
    h, s = state
    s = 0.5 * s + x[:, None, :] * torch.arange(1.0, 5).to(x)[:, None]
    return torch.tanh(h + s.sum(1)), s


@pytest.mark.parametrize("batch", [3, 4])
def test_a_part_of_several_axes_is_kept_where_a_sequence_has_ended(batch):
    """Also where there are as many sequences as heads, so that a mask of either axis would fit."""
    torch.manual_seed(0)
    x, lengths = torch.randn(7, batch, 5), torch.tensor([7, 2, 5, 1][:batch])
    start = torch.randn(batch, 5), torch.randn(batch, 4, 5)
    states = plain_loop(grid_step, x, start, lengths)
    for index, length in enumerate(lengths.tolist()):
        one = slice(index, index + 1)
        alone = plain_loop(grid_step, x[:length, one], tuple(part[one] for part in start))
        for ours, theirs in zip(states[-1], alone[-1], strict=True):
            torch.testing.assert_close(ours[one], theirs, rtol=0, atol=0)
