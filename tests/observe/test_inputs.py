"""Forms of inputs: arguments, keywords, batches, loaders."""

import pytest
import torch
from networks import BATCH, INPUT, TIME, Two, loader, same
from torch.utils.data import DataLoader

from rnnvanish.probes import retention


class OneMapping(Two):
    def forward(self, batch):
        return super().forward(batch["x"], batch["scale"])


def test_every_form_of_inputs():
    torch.manual_seed(0)
    model, x, scale = Two().double(), torch.randn(BATCH, TIME, INPUT).double(), torch.tensor(2.0).double()
    (expected,) = retention(model, (x, scale)).values()
    (mapping,) = retention(model, {"x": x, "scale": scale, "labels": torch.zeros(BATCH)}).values()
    (batch,) = retention(model, (x, scale, torch.zeros(BATCH))).values()
    whole = OneMapping().double()
    whole.load_state_dict(model.state_dict())
    (single,) = retention(whole, {"x": x, "scale": scale}).values()
    for curve in (mapping, batch, single):
        same(curve.gain, expected.gain)


def test_a_loader_is_sampled_and_left_as_it_was():
    x, batches = loader()
    model = Two().double()
    before, state = batches.generator.get_state(), torch.get_rng_state()
    (two,) = retention(model, batches, batches=2).values()
    assert len(two.rates) == 2
    assert torch.equal(batches.generator.get_state(), before)
    assert torch.equal(torch.get_rng_state(), state)
    (one,) = retention(model, batches, batches=1).values()
    same(one.gain, retention(model, x[:4])["layer/layer0/forward"].gain)
    with pytest.raises(ValueError, match="At least one batch has to be measured, got batches=0"):
        retention(model, batches, batches=0)
    with pytest.raises(ValueError, match="DataLoader has no batch"):
        retention(model, DataLoader([]))
