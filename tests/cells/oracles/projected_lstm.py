"""The projected LSTM is torch's with a `proj_size`."""

import pytest
import torch
from oracle import assert_uniform, oracle
from torch import nn


@oracle("ProjectedLSTM")
def is_torchs(ProjectedLSTM):
    ours, theirs = ProjectedLSTM(3, 4, proj_size=2).double(), nn.LSTM(3, 4, proj_size=2).double()
    names = {"weight_ih_l0": ours.from_x.weight, "bias_ih_l0": ours.from_x.bias, "weight_hr_l0": ours.project.weight}
    names |= {"weight_hh_l0": ours.from_h.weight, "bias_hh_l0": ours.from_h.bias}
    theirs.load_state_dict({name: torch.randn_like(value) for name, value in names.items()})
    with torch.no_grad():
        for name, value in names.items():
            value.copy_(getattr(theirs, name))
    x, h, c = torch.randn(5, 2, 3).double(), torch.randn(2, 2).double(), torch.randn(2, 4).double()
    output, (expected_h, expected_c) = theirs(x, (h[None], c[None]))
    for t in range(5):
        before = (h, c)
        h, c = ours(x[t], before)
        torch.testing.assert_close(ours.output(x[t], before, (h, c)), output[t])
    torch.testing.assert_close((h[None], c[None]), (expected_h, expected_c))


@oracle("ProjectedLSTM")
def is_drawn_as_torchs(ProjectedLSTM):
    cell = ProjectedLSTM(40, 25, proj_size=10)
    for layer in (cell.from_x, cell.from_h, cell.project):
        assert_uniform(layer.weight, 25**-0.5)
    assert_uniform(cell.from_x.bias, 25**-0.5)
    assert_uniform(cell.from_h.bias, 25**-0.5)
    assert cell.project.bias is None


@oracle("ProjectedLSTM")
def hands_on_what_is_asked_of_it(ProjectedLSTM):
    widths = [ProjectedLSTM(3, hidden).output_size for hidden in (1, 3, 7, 8, 1024, 2048)]
    assert widths == [1, 1, 1, 2, 256, 512]
    cell, x = ProjectedLSTM(3, 8, proj_size=1), torch.zeros(2, 3)
    assert [part.tolist() for part in cell.initial_state(x)] == [[[0.0]] * 2, [[0.0] * 8] * 2]
    with pytest.raises(ValueError, match=r"proj_size >= 1, got 0"):
        ProjectedLSTM(3, 8, proj_size=0)
