"""What a loss may read, and by what name."""

import pytest
import torch
from networks import BATCH, INPUT, TIME, Tagger, same
from pytorch_lightning import LightningModule
from torch import nn
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


class Classifier(nn.Module):
    """Scores of each sequence's last step, and what a last operation makes of them."""

    def __init__(self, last):
        super().__init__()
        self.rnn, self.head, self.last = nn.GRU(3, 8), nn.Linear(8, 4), last

    def forward(self, x):
        return self.last(self.head(self.rnn(x)[0][-1]))


@pytest.mark.parametrize(
    "last",
    [lambda y: y.softmax(-1), lambda y: y.T.softmax(0), lambda y: nn.functional.layer_norm(y, (4,))],
    ids=["softmax", "classes first", "LayerNorm"],
)
def test_what_adds_up_to_a_constant_is_no_measure_of_rounding(last):
    torch.manual_seed(0)
    model, x = Classifier(last), torch.randn(12, 5, 3)
    (single,) = retention(model, x).values()
    signs = torch.tensor([1.0, -1.0, 1.0, -1.0])
    by_hand = lambda y: (y * (signs[:, None] if y.shape[0] == 4 else signs)).sum()
    (named,) = retention(model, x, loss=by_hand).values()
    (double,) = retention(model.double(), x.double()).values()
    assert single.rate == pytest.approx(double.rate, rel=1e-4)
    assert single.rate == pytest.approx(named.rate, rel=1e-6)


@pytest.mark.parametrize("last", [lambda y: y, lambda y: 3 * y.softmax(-1), lambda y: y.sigmoid()])
def test_other_outputs_are_summed_as_they_are(last):
    torch.manual_seed(0)
    model, x = Classifier(last).double(), torch.zeros(6, 5, 3).double()  # all rows are equal
    if last(torch.zeros(1, 2)).sum() == 3:
        model.last = lambda y: last(y) * torch.tensor([1.0, 2.0, 0.5, 0.0])
    (found,) = retention(model, x).values()
    (named,) = retention(model, x, loss=torch.sum).values()
    assert found.rate == named.rate
