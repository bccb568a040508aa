"""Dropout that a single layer does not have; and dropout that acts."""

import warnings

import pytest
import torch
from torch import nn

from rnnvanish import Recurrent, cells
from rnnvanish.diagnosis.find_faults import find

FAULT = "dropout of a single layer"


def quiet(make):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return make()


class Reader(nn.Module):
    def __init__(self, rnn, dropout=0.0):
        super().__init__()
        self.rnn, self.drop, self.head = rnn, nn.Dropout(dropout), nn.Linear(6, 1)

    def forward(self, x):
        return self.head(self.drop(self.rnn(x)[0])[-1])


SINGLE = {
    "LSTM": lambda: nn.LSTM(2, 6, dropout=0.5),
    "both directions": lambda: nn.GRU(2, 3, dropout=0.5, bidirectional=True),
    "Recurrent": lambda: Recurrent(cells.GRU, 2, 6, dropout=0.5),
}


@pytest.mark.parametrize("kind", SINGLE)
def test_two_runs_in_training_are_the_same_until_an_output_is_dropped(kind):
    torch.manual_seed(0)
    model = Reader(quiet(SINGLE[kind])).eval()
    finding = next(each for each in find(model, torch.randn(6, 4, 2)) if each.fault == FAULT)
    assert (finding.layer, finding.before, finding.question) == ("rnn", 0, False)
    assert finding.after > 0.05
    assert "dropout=0.5" in finding.seen
    assert not model.training


def test_where_another_dropout_is_in_use_it_is_asked():
    torch.manual_seed(0)
    (finding,) = find(Reader(quiet(SINGLE["LSTM"]), 0.5), torch.randn(6, 4, 2))
    assert finding.question
    assert finding.before > 0


def test_dropout_that_acts_or_is_not_asked_for_is_right():
    torch.manual_seed(0)
    for layer in (nn.LSTM(2, 6, num_layers=2, dropout=0.5), nn.LSTM(2, 6)):
        model = Reader(layer).eval()
        assert [each for each in find(model, torch.randn(6, 4, 2)) if each.fault == FAULT] == []
