"""Models of public design: numbers against loops by hand, sound ones without a finding, and a planted fault that has to be named."""

import pytest
import torch
from torch import nn


@pytest.fixture
def trained():
    """Train a model for some steps of Adam on batches that `draw(generator)` gives, with `loss(model, batch)`."""

    def train(model, draw, loss, steps, lr=1e-2, seed=0):
        generator = torch.Generator().manual_seed(seed)
        optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr)
        for _ in range(steps):
            value = loss(model, draw(generator))
            optimizer.zero_grad()
            value.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
        return model.eval()

    return train


@pytest.fixture
def prescribed():
    """Do what a finding prescribes, typed as it stands there."""
    import re

    from rnnvanish import mitigations

    def do(finding, model):
        code = re.search(r"mitigations\..*?\)(?=\(model\))", finding.remedy)[0]
        return eval(code, {"mitigations": mitigations})(model)

    return do
