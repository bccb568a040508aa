"""A forecaster that reads a long series window by window and carries its state: detached at every window."""

import torch
from torch import nn

from rnnvanish import diagnose
from rnnvanish.diagnosis.find_faults import find


class Forecaster(nn.Module):
    def __init__(self, detach=True):
        super().__init__()
        self.gru = nn.GRU(2, 24, batch_first=True)
        self.head = nn.Linear(24, 1)
        self.detach = detach
        with torch.no_grad():
            self.gru.bias_hh_l0[24:48] = 2.0

    def forward(self, series):
        state = None
        for window in series.split(10, dim=1):
            output, state = self.gru(window, state)
            if self.detach:
                state = state.detach()
        return self.head(output[:, -1])


def draw(generator, count=64):
    """Noise, of which one value in the first window is marked: it is what the series comes back to in the end."""
    series = torch.randn(count, 30, 2, generator=generator)
    series[:, :, 1] = 0.0
    rows, at = torch.arange(count), torch.randint(8, (count,), generator=generator)
    series[rows, at, 1] = 1.0
    return series, series[rows, at, :1]


def loss(model, batch):
    series, target = batch
    return nn.functional.mse_loss(model(series), target)


def error(model):
    with torch.no_grad():
        return float(loss(model, draw(torch.Generator().manual_seed(99), 500)))


def test_the_fault_is_named_and_the_advice_repairs_it(trained):
    torch.manual_seed(0)
    model, (series, _) = Forecaster(), draw(torch.Generator().manual_seed(0), 16)
    diagnosis = diagnose(model, series)
    (finding,) = diagnosis.findings
    assert finding.fault == "detached state"
    assert finding.layer.startswith("gru")
    assert "without detach()" in finding.remedy
    assert finding.before == 0
    torch.manual_seed(0)
    repaired = Forecaster(detach=False)
    kept = diagnose(repaired, series).curves["gru/layer0/forward"]
    assert finding.after > 0.01
    assert float(kept.gain[-1]) > 0.01
    assert error(trained(model, draw, loss, 150)) > 0.7  # the variance is 1
    assert error(trained(repaired, draw, loss, 150)) < 0.1


def test_the_healthy_model_has_no_finding():
    torch.manual_seed(0)
    assert find(Forecaster(detach=False), draw(torch.Generator().manual_seed(0))[0]) == ()
