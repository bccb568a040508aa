"""BatchNorm that normalises one sequence over time; and norms that do not."""

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader

from rnnvanish.diagnosis.find_faults import find

FAULT = "BatchNorm over time"


class Reader(nn.Module):
    """Normalises the features of all steps: (batch, features, time), or all rows."""

    def __init__(self, norm, rows=False):
        super().__init__()
        self.norm, self.rows, self.rnn, self.head = norm, rows, nn.GRU(3, 6, batch_first=True), nn.Linear(6, 1)

    def forward(self, x):
        scaled = self.norm(x.flatten(0, 1)).view_as(x) if self.rows else self.norm(x.mT).mT
        return self.head(self.rnn(scaled)[0][:, -1])


def found(model, inputs, **options):
    return [each for each in find(model, inputs, **options) if each.fault == FAULT]


@pytest.mark.parametrize("rows", [False, True])
def test_the_first_step_sees_the_last_one_until_each_is_normalised_by_itself(rows):
    torch.manual_seed(0)
    model = Reader(nn.BatchNorm1d(3), rows)
    (finding,) = found(model, DataLoader(torch.randn(4, 7, 3), batch_size=1))
    assert (finding.layer, finding.question) == ("norm", False)
    assert finding.before > 0.01
    assert finding.after == 0
    assert int(model.norm.num_batches_tracked) == 0


def test_one_sequence_by_hand_is_asked_about():
    torch.manual_seed(0)
    (finding,) = found(Reader(nn.BatchNorm1d(3)), torch.randn(1, 7, 3))
    assert finding.question


def test_batches_eval_mode_and_other_norms_are_right():
    torch.manual_seed(0)
    one = torch.randn(1, 7, 3)
    assert found(Reader(nn.BatchNorm1d(3)), torch.randn(4, 7, 3)) == []
    assert found(Reader(nn.BatchNorm1d(3)).eval(), one) == []
    assert found(Reader(nn.GroupNorm(1, 3), rows=True), one) == []
    behind = Reader(nn.Identity())
    behind.head = nn.Sequential(nn.BatchNorm1d(6).eval(), nn.Linear(6, 1))
    assert found(behind, one) == []
