"""Music separation after Open-Unmix: a mask from three bidirectional LSTMs between BatchNorms, which a skip connection passes by.

Its spectrograms are (batch, channels, bins, frames): inside, and in what it returns, time stands where no layer of torch has it.
"""

from copy import deepcopy

import end_point
import pytest
import torch
from torch import nn
from torch.nn.functional import mse_loss
from torch.utils.data import DataLoader, TensorDataset

from rnnvanish import diagnose, probes
from rnnvanish.diagnosis.find_faults import find

BATCH, CHANNELS, BINS, FRAMES, HIDDEN, LAYERS = 4, 2, 6, 20, 8, 3
NAMES = [f"lstm/layer{layer}/{way}" for layer in range(LAYERS) for way in ("forward", "reverse")]


class Separator(nn.Module):
    def __init__(self, swapped=False):
        super().__init__()
        self.encode, self.encode_norm = nn.Linear(CHANNELS * BINS, HIDDEN, bias=False), nn.BatchNorm1d(HIDDEN)
        self.lstm = nn.LSTM(HIDDEN, HIDDEN // 2, LAYERS, bidirectional=True, batch_first=swapped, dropout=0.4)
        self.mix, self.mix_norm = nn.Linear(2 * HIDDEN, HIDDEN, bias=False), nn.BatchNorm1d(HIDDEN)
        self.decode, self.decode_norm = nn.Linear(HIDDEN, CHANNELS * BINS, bias=False), nn.BatchNorm1d(CHANNELS * BINS)
        self.mean, self.scale = nn.Parameter(torch.zeros(BINS)), nn.Parameter(torch.ones(BINS))
        self.output_mean, self.output_scale = nn.Parameter(torch.ones(BINS)), nn.Parameter(torch.ones(BINS))

    def forward(self, spectrogram):
        mix = spectrogram.permute(3, 0, 1, 2)
        x = self.before(mix)
        return self.after(mix, x, self.lstm(x)[0])

    def before(self, mix):
        """From (frames, batch, channels, bins) to (frames, batch, hidden)."""
        rows = ((mix + self.mean) * self.scale).flatten(0, 1).flatten(1)
        return self.encode_norm(self.encode(rows)).unflatten(0, mix.shape[:2]).tanh()

    def after(self, mix, x, recurrent):
        both = torch.cat([x, recurrent], -1).flatten(0, 1)
        mask = self.decode_norm(self.decode(self.mix_norm(self.mix(both)).relu()))
        mask = mask.unflatten(1, (CHANNELS, BINS)).unflatten(0, mix.shape[:2]) * self.output_scale + self.output_mean
        return (mask.relu() * mix).permute(1, 2, 3, 0)


def separator(**options):
    """One whose norms have seen music, and that listens."""
    torch.manual_seed(0)
    model = Separator(**options).double()
    with torch.no_grad():
        for _ in range(3):
            model(music()[0])
    return model.eval()


def music(seed=0):
    """A mix of two magnitude spectrograms, and one of them."""
    generator = torch.Generator().manual_seed(seed)
    drums, voice = torch.randn(2, BATCH, CHANNELS, BINS, FRAMES, generator=generator).double().abs()
    return drums + voice, voice


def by_hand(model, loss):
    """The gain of each loop: of a forward direction from the last frame, of a reverse one from the first."""
    mix = music()[0].permute(3, 0, 1, 2)
    start = model.before(mix)
    x, loops = start, []
    for layer in range(LAYERS):
        x, *both = end_point.both_ways(model.lstm, x, number=layer)
        loops += both
    output = model.after(mix, start, x)
    gradient = end_point.by_output(loss, output)
    found = {}
    for name, states in zip(NAMES, loops, strict=True):
        frame = 0 if name.endswith("reverse") else -1
        alone = torch.zeros_like(gradient)
        alone[..., frame] = gradient[..., frame]
        found[name] = end_point.gains(output, alone, states, end_point.whole(states))
    return found


def error(voice):
    """The model's own loss, over all frames."""
    return mse_loss(voice, music()[1])


LOSSES = {"what it returns": None, "its own loss": error, "flattened rows": lambda y: y.flatten(0, 2).square().mean()}


def check(curves, expected):
    assert set(curves) == set(expected)
    for loop, gain in expected.items():
        torch.testing.assert_close(curves[loop].gain, gain, rtol=1e-6, atol=0)


@pytest.mark.parametrize("name", LOSSES)
def test_agrees_with_a_loop_by_hand(name):
    model, loss = separator(), LOSSES[name]
    curves = probes.retention(model, music()[0], loss)
    check(curves, by_hand(model, loss or torch.sum))
    # torch's own start forgets, and in eval mode no skip connection goes through time.
    verdicts = {loop.removeprefix("lstm/layer"): curve.verdict for loop, curve in curves.items()}
    assert verdicts.pop("0/reverse") == "healthy"
    assert set(verdicts.values()) == {"vanishing"}


def test_it_forgets_and_nothing_else():
    diagnosis = diagnose(separator(), music()[0], error, quick=True)
    assert not diagnosis.findings
    assert not diagnosis.unread
    assert not diagnosis.healthy
    assert all(curve.advice for curve in diagnosis.curves.values() if curve.verdict == "vanishing")


def test_in_training_frames_meet_in_the_norms():
    model = separator().train()
    model.lstm.dropout = 0.0
    check(probes.retention(model, music()[0], error), by_hand(deepcopy(model), error))
    (finding,) = find(model, music()[0], error)
    assert finding.fault == "gradient through batch statistics"
    assert (
        "mix_norm and decode_norm are in training mode" in finding.seen
    )  # not encode_norm, which stands before the loops


def test_of_a_batch_of_one():
    assert not find(separator(), music()[0][:1], lambda voice: voice.square().mean())


def test_batch_and_time_swapped():
    model = separator(swapped=True)
    loader = DataLoader(TensorDataset(*music()), batch_size=BATCH)
    (finding,) = diagnose(model, loader, mse_loss, layers=["lstm/layer2/forward"], quick=True).findings
    assert finding.fault == "batch and time swapped"
    assert (finding.before, finding.after) == (0, 1)
