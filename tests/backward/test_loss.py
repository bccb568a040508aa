"""What a loss may read, and by what name."""

import pytest
import torch
from networks import BATCH, INPUT, TIME, Tagger, same
from pytorch_lightning import LightningModule
from torch.nn.functional import mse_loss

from rnnvanish.probes import retention


class Lit(LightningModule):
    def __init__(self):
        super().__init__()
        self.tagger = Tagger()

    def forward(self, x):
        return self.tagger(x)

    def training_step(self, batch, index):
        x, y = batch
        return {"loss": mse_loss(self(x), y)}


def test_the_loss_may_read_the_batch_or_be_the_models_own():
    torch.manual_seed(0)
    model, x, y = Lit().double(), torch.randn(TIME, BATCH, INPUT).double(), torch.randn(TIME, BATCH, 5).double()
    (named,) = retention(model, x, loss=lambda output: mse_loss(output, y)).values()
    (given,) = retention(model, (x, y), loss=lambda output, batch: mse_loss(output, batch[1])).values()
    (own,) = retention(model, (x, y), loss="training_step").values()
    for curve in (given, own):
        same(curve.gain, named.gain)
        same(curve.total.gain, named.total.gain)
    with pytest.raises(ValueError, match="Lit has no method 'training_stop'"):
        retention(model, (x, y), loss="training_stop")
