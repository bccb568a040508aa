"""The phased LSTM is torch's where its gate is open, stands still where it is shut, and is a share of both between."""

import pytest
import torch
from oracle import assert_ends, assert_normal, drawn, oracle
from torch import nn


def built(PhasedLSTM, period, shift, peepholes=False, **options):
    """A cell of four units that have one rhythm."""
    cell = drawn(PhasedLSTM(3, 4, **options))
    with torch.no_grad():
        cell.period.fill_(period)
        cell.shift.fill_(shift)
        cell.peepholes.mul_(peepholes)
    return cell


def torchs(cell):
    theirs = nn.LSTMCell(3, 4).double()
    with torch.no_grad():
        theirs.weight_ih.copy_(cell.from_x.weight)
        theirs.bias_ih.copy_(cell.from_x.bias)
        theirs.weight_hh.copy_(cell.from_h.weight)
        theirs.bias_hh.zero_()
    return theirs


def inputs():
    x, h, c = torch.randn(9, 2, 3).double(), torch.randn(2, 4).double(), torch.randn(2, 4).double()
    return x, h, c, torch.zeros(2, 1).double()


@oracle("PhasedLSTM")
def is_torchs_in_the_middle_of_its_phase(PhasedLSTM):
    """Ratio 1: a unit is never shut, and at a phase of one half fully open, at each of equal steps."""
    for training in (True, False):
        cell = built(PhasedLSTM, 1.0, 0.5, ratio=1.0).train(training)
        theirs, (x, h, c, t) = torchs(cell), inputs()
        ours = torchs_state = (h, c)
        for now in x:
            *ours, t = cell(now, (*ours, t))
            torchs_state = theirs(now, tuple(torchs_state))
            torch.testing.assert_close(tuple(ours), torchs_state)


@oracle("PhasedLSTM")
def is_a_share_of_torchs_step_and_of_none(PhasedLSTM):
    """Period 8, ratio one half: phases 0, 1/8, ... from a shift of 16, the leak in training alone."""
    share = torch.tensor([0, 0.5, 1, 0.5, 0, 5 / 8, 6 / 8, 7 / 8]).double()
    for training, leak in ((True, 0.2), (False, 0.0)):
        cell = built(PhasedLSTM, -8.0, 16.0, ratio=0.5, leak=0.2).train(training)
        theirs, (x, h, c, t) = torchs(cell), inputs()
        for step in range(8):
            k = share[step] * (leak if step > 4 else 1)
            new_h, new_c = theirs(x[step], (h, c))
            expected = (k * new_h + (1 - k) * h, k * new_c + (1 - k) * c, t + 1)
            h, c, t = cell(x[step], (h, c, t))
            torch.testing.assert_close((h, c, t), expected)


@oracle("PhasedLSTM")
def has_gates_that_read_the_old_memory_and_an_output_gate_that_reads_the_new(PhasedLSTM):
    cell, (x, h, c, t) = built(PhasedLSTM, 1.0, 0.5, peepholes=True, ratio=1.0), inputs()
    found = cell(x[0], (h, c, t))
    theirs = torchs(cell)  # with what the peepholes add as biases, one sequence and unit at a time
    for row in range(2):
        for unit in range(4):
            lifted = theirs.bias_ih.detach().clone()
            lifted[unit] += cell.peepholes[0, unit] * c[row, unit]
            lifted[4 + unit] += cell.peepholes[1, unit] * c[row, unit]
            lifted[12 + unit] += cell.peepholes[2, unit] * found[1][row, unit]
            step = torch.func.functional_call(theirs, {"bias_ih": lifted}, (x[0, row], (h[row], c[row])))
            torch.testing.assert_close(tuple(part[row, unit] for part in found[:2]), tuple(part[unit] for part in step))


@oracle("PhasedLSTM")
def counts_steps_where_no_times_are_given(PhasedLSTM):
    cell, (x, *_) = drawn(PhasedLSTM(3, 4, ratio=0.8)).train(), inputs()
    counted = timed = cell.initial_state(x[0])
    for step, now in enumerate(x):
        counted, timed = cell(now, counted), cell(now, timed, times=torch.full((2, 1), float(step > 0)).double())
        torch.testing.assert_close(timed[:2], counted[:2])
        assert timed[2].tolist() == [[step]] * 2
        assert counted[2].tolist() == [[step + 1]] * 2


@oracle("PhasedLSTM")
def has_the_draws_of_the_authors_code(PhasedLSTM):
    cell = PhasedLSTM(8, 400)
    for weight in (cell.from_x.weight, cell.from_h.weight, cell.peepholes):
        assert_normal(weight, 0.1)
    assert cell.from_x.bias.tolist() == [0.0] * 400 + [2.0] * 400 + [0.0] * 800
    assert cell.from_h.bias is None
    assert_ends(lambda: PhasedLSTM(2, 3), period=(10, 100), shift=(0, 1000))
    assert not any(part.any() for part in cell.initial_state(torch.zeros(2, 8)))
    for training, leak in ((True, 0.001 * 0.75), (False, 0.0)):  # and the default ratio and leak
        cell = built(PhasedLSTM, 1.0, 0.0).train(training)
        x, h, c, t = inputs()
        for phase, k in ((0.75, leak), (0.025, 1.0), (0.045, 0.2)):
            _, shut, _ = cell(x[0], (h, c, t + phase))
            _, new_c = torchs(cell)(x[0], (h, c))
            torch.testing.assert_close(shut, k * new_c + (1 - k) * c)
    for ratio in (0.0, 1.5):
        with pytest.raises(ValueError, match="ratio in"):
            PhasedLSTM(2, 3, ratio=ratio)
