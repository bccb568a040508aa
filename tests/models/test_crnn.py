"""A reader of text in images: columns of what convolutions see are the steps of two bidirectional LSTMs, read by CTC.

The design of meijieru/crnn.pytorch: pooling takes the height away and leaves the width, each LSTM has a linear layer of its
own behind it that works on rows flattened, time stands first, and the loss reads the scores of every column.

Shi, Bai & Yao 2015, An End-to-End Trainable Neural Network for Image-based Sequence Recognition.
"""

import end_point
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader

from rnnvanish import probes
from rnnvanish.diagnosis.find_faults import find

LETTERS, BATCH, WIDTH, TIME = 6, 4, 36, 18


class BidirectionalLSTM(nn.Module):
    def __init__(self, inputs, hidden, outputs):
        super().__init__()
        self.rnn = nn.LSTM(inputs, hidden, bidirectional=True)
        self.embedding = nn.Linear(2 * hidden, outputs)

    def forward(self, x):
        seen, _ = self.rnn(x)
        time, batch, size = seen.shape
        return self.embedding(seen.view(time * batch, size)).view(time, batch, -1)


class CRNN(nn.Module):
    def __init__(self, swapped=False, flat=False):
        super().__init__()
        self.cnn = nn.Sequential(
            *(nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(True), nn.MaxPool2d(2)),
            *(nn.Conv2d(8, 12, 3, padding=1), nn.BatchNorm2d(12), nn.ReLU(True), nn.MaxPool2d((4, 1))),
        )
        self.rnn = nn.Sequential(BidirectionalLSTM(12, 10, 10), BidirectionalLSTM(10, 10, LETTERS))
        self.swapped, self.flat = swapped, flat

    def columns(self, images):
        return self.cnn(images).squeeze(2).permute(2, 0, 1)

    def forward(self, images):
        columns = self.columns(images)
        scores = self.rnn(columns.transpose(0, 1)).transpose(0, 1) if self.swapped else self.rnn(columns)
        return scores.flatten(0, 1) if self.flat else scores


def by_hand(model, images):
    """The scores (time, batch, letters), and the states of each loop."""
    x, loops = model.columns(images).detach(), {}
    for number, layer in enumerate(model.rnn):
        seen, forth, back = end_point.both_ways(layer.rnn, x)
        x = seen @ layer.embedding.weight.detach().T + layer.embedding.bias.detach()
        loops |= {f"rnn.{number}.rnn/layer0/forward": forth, f"rnn.{number}.rnn/layer0/reverse": back}
    return x, loops


def expected(model, images, loss):
    scores, loops = by_hand(model, images)
    gradient = end_point.by_output(loss, scores)
    found = {}
    for name, states in loops.items():
        last = 0 if name.endswith("reverse") else TIME - 1
        at_end = end_point.only(gradient, torch.full((BATCH,), last))
        found[name] = end_point.gains(scores, at_end, states, end_point.whole(states))
    return found


@pytest.fixture
def images():
    torch.manual_seed(0)
    return torch.rand(BATCH, 1, 8, WIDTH)


@pytest.fixture
def model():
    torch.manual_seed(1)
    return CRNN().eval()


def ctc(scores):
    said = torch.arange(3 * BATCH).view(BATCH, 3) % (LETTERS - 1) + 1
    return F.ctc_loss(scores.log_softmax(-1), said, torch.full((BATCH,), len(scores)), torch.full((BATCH,), 3))


LOSSES = {"what it returns": None, "ctc": ctc}


@pytest.mark.parametrize("flat", [False, True], ids=["steps", "flat"])
@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_gains_agree_with_a_loop_by_hand(model, images, loss, flat):
    images, model.flat = images.double(), flat
    as_read = (lambda scores: loss(scores.view(TIME, BATCH, -1))) if loss else None
    gains = expected(model.double(), images, loss or torch.sum)
    end_point.assert_same_gains(probes.retention(model, images, as_read), gains)


@pytest.mark.parametrize("training", [False, True], ids=["eval", "train"])
def test_the_sound_model_has_no_finding(model, training):
    torch.manual_seed(0)
    columns = DataLoader(torch.rand(2 * BATCH, 1, 8, WIDTH), batch_size=BATCH)
    assert find(model.train(training), columns, ctc) == ()


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_columns_taken_for_images_are_named(loss):
    torch.manual_seed(1)
    columns = DataLoader(torch.rand(2 * BATCH, 1, 8, WIDTH), batch_size=BATCH)
    found = find(CRNN(swapped=True).eval(), columns, loss)
    assert [(each.fault, each.question, each.after) for each in found] == [("batch and time swapped", False, 1)]
    assert "rnn.0.rnn ran over 4 steps of 18 sequences" in found[0].seen
