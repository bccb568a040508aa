"""A BatchNorm in training mode, whose statistics bring gradient to all steps."""

import pytest
import torch
from torch import nn

from rnnvanish import diagnose
from rnnvanish.probes import retention


class Tagger(nn.Module):
    def __init__(self, norm, gate=0.0):
        super().__init__()
        self.gru, self.norm, self.head = nn.GRU(3, 8), norm, nn.Linear(8, 4)
        with torch.no_grad():
            self.gru.bias_hh_l0[8:16] = gate

    def forward(self, x):
        y = self.gru(x)[0]
        return self.head(self.norm(y.flatten(0, 1)).view_as(y))


def find(model):
    found = diagnose(model, torch.randn(40, 3, 3, generator=torch.Generator().manual_seed(0)), quick=True)
    return [each for each in found.findings if each.fault == "gradient through batch statistics"], found


def test_a_loop_that_looks_healthy_by_the_statistics_alone_is_named():
    torch.manual_seed(0)
    model = Tagger(nn.BatchNorm1d(8))
    (finding,), found = find(model)
    (curve,) = found.curves.values()
    assert (curve.verdict, found.healthy, finding.layer) == ("healthy", False, "gru/layer0/forward")
    assert finding.before == pytest.approx(float(curve.gain[-1]), rel=1e-6)
    assert finding.before > 1e-3
    assert finding.after < 1e-6
    assert "norm is in training mode" in finding.seen
    assert "forward" not in vars(model.norm)
    assert model.norm.num_batches_tracked == 0
    plain = Tagger(nn.Identity())
    plain.load_state_dict(model.state_dict(), strict=False)
    (alone,) = retention(plain, torch.randn(40, 3, 3)).values()
    assert alone.verdict == "vanishing"  # what the finding says


@pytest.mark.parametrize("mode", ["eval", "layer", "open"])
def test_where_the_statistics_hide_nothing_there_is_no_finding(mode):
    torch.manual_seed(0)
    model = Tagger(nn.LayerNorm(8) if mode == "layer" else nn.BatchNorm1d(8), 6.0 if mode == "open" else 0.0)
    found, diagnosis = find(model.eval() if mode == "eval" else model)
    assert found == []
    (curve,) = diagnosis.curves.values()
    assert curve.verdict == ("healthy" if mode == "open" else "vanishing")


class Normed(nn.Module):
    """One BatchNorm before the layer, where nothing comes through it from behind, and two behind."""

    def __init__(self):
        super().__init__()
        self.before, self.mix, self.after = nn.BatchNorm1d(3), nn.BatchNorm1d(8), nn.BatchNorm1d(4)
        self.gru, self.head = nn.GRU(3, 8), nn.Linear(8, 4)

    def forward(self, x):
        y = self.gru(self.before(x.flatten(0, 1)).view_as(x))[0].flatten(0, 1)
        return self.after(self.head(self.mix(y))).view(len(x), -1, 4)


def test_of_several_those_are_named_that_let_it_through():
    torch.manual_seed(0)
    (finding,), _ = find(Normed())
    assert "mix and after are in training mode, and each takes its mean" in finding.seen
    assert finding.remedy.startswith("Measure model.eval(), or put a torch.nn.LayerNorm in the place of mix and after;")


class Between(Tagger):
    """With norms before the loop, and two behind it of which one reads something else."""

    def __init__(self):
        super().__init__(nn.BatchNorm1d(8))
        self.first, self.second = nn.BatchNorm1d(3), nn.BatchNorm1d(3)
        self.beside = nn.BatchNorm1d(3)

    def forward(self, x):
        read = self.second(self.first(x.flatten(0, 1))).view_as(x)
        return super().forward(read) + self.beside(x.flatten(0, 1)).view_as(x).sum(-1, keepdim=True)


def test_of_several_norms_those_are_named_that_the_gradient_goes_through():
    torch.manual_seed(0)
    (finding,), _ = find(Between())
    assert finding.seen.startswith("norm is in training mode, and takes its mean")
    assert "put a torch.nn.LayerNorm in the place of norm;" in finding.remedy


def test_of_many_two_are_named_and_the_others_counted():
    torch.manual_seed(0)
    (finding,), _ = find(Tagger(nn.Sequential(*(nn.BatchNorm1d(8) for _ in range(9)))))
    assert "norm.0, norm.1 and 7 more are in training mode" in finding.seen
