"""Several batches: what is measured of each by itself, averaged, with Student's interval; faults of any of them."""

import statistics

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader

from rnnvanish import diagnose
from rnnvanish.diagnosis.average import mean_and_interval
from rnnvanish.probes import depth, saturation, sensitivity, shares
from rnnvanish.probes.depth import Passage
from rnnvanish.probes.shares import Shares

T2 = 4.302653  # Student's quantile for three batches


def ends(values):
    half = T2 * statistics.stdev(values) / len(values) ** 0.5
    return statistics.mean(values) - half, statistics.mean(values) + half


class Reader(nn.Module):
    def __init__(self):
        super().__init__()
        self.memory = nn.GRU(2, 6, batch_first=True)

    def forward(self, x):
        return self.memory(x)[0][:, -1]


def test_every_number_of_a_diagnosis_is_the_mean_over_batches():
    torch.manual_seed(0)
    model, x = Reader(), torch.randn(6, 12, 2)
    loader = DataLoader(x, batch_size=2)
    report, name = diagnose(model, loader), "memory/layer0/forward"
    measured, interval = report.measures[name], report.intervals[name]
    alone = [batch for batch in x.split(2)]
    leaves = [depth(model, batch)[name].leaves for batch in alone]
    assert measured.depth.leaves == pytest.approx(statistics.mean(leaves))
    assert [interval[end]["depth"]["leaves"] for end in ("low", "high")] == pytest.approx(ends(leaves))
    weight = [shares(model, batch)[name].by_weight["weight_hh_l0"][3].item() for batch in alone]
    assert measured.shares.by_weight["weight_hh_l0"][3].item() == pytest.approx(statistics.mean(weight))
    assert interval["high"]["shares"]["by_weight"]["weight_hh_l0"][3].item() == pytest.approx(ends(weight)[1])
    size = torch.stack([sensitivity(model, batch)[name].size for batch in alone])
    torch.testing.assert_close(measured.sensitivity.size, size.mean(0))
    gate = torch.stack([saturation(model, batch)[name]["z"].mean for batch in alone])
    torch.testing.assert_close(measured.saturation["z"].mean, gate.mean(0))
    assert diagnose(model, x).intervals == {}


def test_batches_of_other_lengths_and_without_a_measure():
    passages = [Passage(1.0, 2.0), None, Passage(3.0, 2.0)]
    mean, low, high = mean_and_interval(passages)
    assert mean == Passage(2.0, 2.0)
    assert (low["leaves"], high["leaves"]) == (2.0, 2.0)
    assert low["arrives"] < -10
    assert mean_and_interval([None, passages[0]]) == (passages[0], None, None)
    short, long = (torch.tensor(row, dtype=torch.float64) for row in ([1.0], [0.5, 0.5]))
    both, _, _ = mean_and_interval([Shares({"w": row}, row) for row in (short, long)])
    assert both.by_weight["w"].tolist() == [0.75, 0.25]  # shares still add up to one
    assert mean_and_interval([short, long])[0].tolist() == [
        0.75,
        0.5,
    ]  # else a lag is averaged over those that reach it
    dead = [torch.tensor([True, True]), torch.tensor([True, False])]
    assert mean_and_interval(dead)[0].tolist() == [True, False]


def test_faults_are_sought_in_every_batch():
    torch.manual_seed(0)
    x = torch.randn(6, 30, 2)
    x[2, 20:] = x[3, 14:] = 0.0
    (finding,) = diagnose(Reader(), DataLoader(x, batch_size=2)).findings
    assert finding.fault == "padding read at the end"
    assert "2 of 2 sequences end in padding" in finding.seen
    assert finding.seen.endswith("So it is in 1 of 3 batches.")
    assert finding.after > 10 * finding.before
