"""Other packages' layers: what is no longer the same function is not called the same."""

import pytest
import torch
from torch import nn

from bench.common import layer
from bench.peers import layers, same_weights
from rnnvanish import Recurrent, cells

X = torch.randn(5, 3, layers.INPUT)


@pytest.fixture
def ours():
    return Recurrent(cells.LSTM, layers.INPUT, layers.HIDDEN, engine="reference")


def peer(build, differs=""):
    return layers.Peer("torch", "nn.LSTM", "LSTM", build, differs)


def test_the_same_weights_give_the_same_function(ours):
    assert layers.apart(peer(None), ours, ours.to_torch(), X).startswith("Yes")


@torch.no_grad()
def test_a_wrong_weight_is_noticed(ours):
    theirs = ours.to_torch()
    theirs.bias_hh_l0[0] += 0.1
    assert layers.apart(peer(None), ours, theirs, X).startswith("No: with the same weights the outputs are up to")


def test_another_shape_of_outputs_is_no_equal_work(ours):
    said = layers.apart(peer(None, "No: another cell."), ours, nn.LSTM(layers.INPUT, 7), X)
    assert said.startswith("No: it gives outputs of shape (5, 3, 7)")


def test_one_that_does_not_run_here_says_so():
    def build(_):
        raise ImportError("needs a compiler\nand more")

    found = layers.row(peer(build))
    assert found["same"] == "Not measured: ImportError: needs a compiler"
    assert "training" not in found


def test_batch_first_layers_are_called_like_the_others():
    called = layers.Called(
        nn.GRU(layers.HIDDEN, 4, batch_first=True), nn.Linear(layers.INPUT, layers.HIDDEN), batch_first=True
    )
    assert called(X)[0].shape == (5, 3, 4)
    assert torch.equal(called(X[:2])[0], called(X)[0][:2])  # time is not taken for the batch


@pytest.mark.parametrize("name", [name for name, twin in same_weights.TWINS.items() if not twin.differs])
def test_every_weight_of_ours_is_handed_on(name):
    twin = same_weights.TWINS[name]
    (cell,) = layer(twin.ours).cells
    for weight in cell.parameters():
        nn.init.uniform_(weight, 1, 2)
    handed = same_weights.handed_on(twin, cell).values()
    assert sum(int(weight.count_nonzero()) for weight in handed) == sum(map(torch.numel, cell.parameters()))
    assert all(hasattr(cell, option) for option in twin.same)
