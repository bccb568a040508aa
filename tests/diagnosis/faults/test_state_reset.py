"""A state that a mask resets at most steps, and masks that reset it now and then, as rollouts do."""

import pytest
import torch
from torch import nn

from rnnvanish import Recurrent, cells, diagnose
from rnnvanish.diagnosis.find_faults import find

TIME, BATCH = 12, 4
FAULT = "state reset at most steps"


class Rollout(nn.Module):
    """A loop whose state is kept where a mask is 1."""

    def __init__(self, core):
        super().__init__()
        self.core, self.head = core, nn.Linear(6, 2)

    def forward(self, x, keep):
        state, output = None, []
        for one, kept in zip(x, keep, strict=True):
            if state is not None:
                state = (
                    tuple(kept[:, None] * part for part in state) if isinstance(state, tuple) else kept[:, None] * state
                )
            if isinstance(self.core, nn.RNNCellBase):
                state = self.core(one, state)
                output.append(state[0] if isinstance(state, tuple) else state)
            else:
                new, state = self.core(one[None], state)
                output.append(new[0])
        return self.head(torch.stack(output))


def done():
    """Where an episode begins: at 3 of 44 steps that are not the first."""
    found = torch.zeros(TIME, BATCH)
    found[[4, 9, 6], [0, 0, 2]] = 1
    return found


def x():
    torch.manual_seed(0)
    return torch.randn(TIME, BATCH, 2)


CORES = {
    "LSTMCell": lambda: nn.LSTMCell(2, 6),
    "GRUCell": lambda: nn.GRUCell(2, 6),
    "LSTM": lambda: nn.LSTM(2, 6),
    "Recurrent": lambda: Recurrent(cells.GRU, 2, 6),
}


@pytest.mark.parametrize("make", CORES.values(), ids=CORES)
def test_a_mask_that_is_upside_down_is_named_and_carrying_on_is_tried(make):
    (finding,) = find(Rollout(make()), (x(), done()))
    assert (finding.fault, finding.layer, finding.question) == (FAULT, "core", False)
    assert "at 41 of 44 steps" in finding.seen
    assert finding.before == pytest.approx(TIME * BATCH / (41 + BATCH))
    assert finding.after == TIME


def test_no_step_that_is_carried_is_the_worst_of_it():
    diagnosis = diagnose(Rollout(nn.LSTM(2, 6)), (x(), torch.zeros(TIME, BATCH)), quick=True)
    assert [(each.fault, each.before) for each in diagnosis.findings] == [(FAULT, 1.0)]
    assert not diagnosis.healthy


@pytest.mark.parametrize("make", CORES.values(), ids=CORES)
def test_episodes_that_end_on_the_way_are_no_fault(make):
    assert find(Rollout(make()), (x(), 1 - done())) == ()


def test_resets_in_padding_that_the_loss_does_not_read_are_no_fault():
    read = torch.arange(TIME)[:, None] < torch.tensor([5, 3, 3, 12])
    loss = lambda output: output[read].square().mean()
    assert find(Rollout(nn.LSTM(2, 6)), (x(), (read & ~done().bool()).float()), loss) == ()
