"""The linear autoencoder start: what its states hold, against what a read-out finds and a line of delays."""

import pytest
import torch
from torch import nn

from rnnvanish import Recurrent, cells
from rnnvanish.live import live_cells
from rnnvanish.mitigations import LinearAutoencoderStart

#: A layer of tanh units of torch and of this package, and where its recurrent matrix is.
PLAIN = {
    "torch RNN": (nn.RNN, "weight_hh_l0"),
    "Elman": (lambda size, hidden: Recurrent(cells.Elman, size, hidden), "cells.0.from_h.weight"),
}


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def linear(layer):
    """The layer without its tanh."""
    for cell in layer.cells:
        cell.nonlinearity = nn.Identity()
    return layer


def legible(layer, x, lag):
    """The part of the variance of the input of so many steps ago that a linear read-out of the last state finds."""
    h = layer(x)[0][-1]
    past = x[-1 - lag]
    left = past - h @ torch.linalg.lstsq(h, past).solution
    return 1 - (left.square().sum() / past.square().sum()).item()


def test_linear_autoencoder_start_holds_the_last_inputs_without_an_error():
    """As many units as numbers in the window: all can be read, nothing older, and by the transpose of its own weights."""
    x = torch.randn(9, 60, 2).double()
    layer = Recurrent(cells.Elman, 2, 8).double()
    LinearAutoencoderStart(steps=4)(layer, x)
    assert layer(x)[0].square().mean().sqrt().item() < 0.35
    (cell,) = layer.cells
    short = x[:4]
    h = linear(layer)(short)[0][-1]
    a, b = cell.from_x.weight, cell.from_h.weight
    for lag in range(4):
        assert legible(layer, short, lag) == pytest.approx(1, abs=1e-10)
        read = h @ torch.linalg.matrix_power(b, lag) @ a  # the decoder: a and b transposed
        torch.testing.assert_close(read / (a.T @ a)[0, 0], short[3 - lag], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", PLAIN)
def test_linear_autoencoder_start_without_data_is_a_line_of_delays(name):
    """A linear state is the last inputs, newest first, times the size; what does not fit is gone, and other units stay."""
    for hidden, steps in ((8, 4), (5, 4), (11, 4)):
        module, key = PLAIN[name][0](2, hidden).double(), PLAIN[name][1]
        before = {key: value.clone() for key, value in module.state_dict().items()}
        LinearAutoencoderStart(steps)(module)
        x, h = torch.randn(9, 1, 2).double(), torch.zeros(1, hidden).double()
        (cell,) = live_cells(module)
        for now in x:
            h = cell.from_x(now) + cell.from_h(h)
        held = min(hidden, 8)
        torch.testing.assert_close(h[0, :held], 0.3 * x.flip(0).flatten()[:held])
        assert torch.equal(module.get_parameter(key)[8:], before[key][8:])


def test_linear_autoencoder_start_keeps_what_most_of_the_data_is():
    """Five units hold what a slow sequence was 14 steps ago; drawn as torch does, or for other data, they hold less.

    The second number is the first of 8 steps ago: data that run backwards are other data.
    """

    def slow(time):
        number = torch.randn(time + 15, 200).double().unfold(0, 8, 1).mean(-1)
        return torch.stack([number[8:], number[:-8]], -1)

    x, other = slow(30), slow(30)
    drawn_for = {"start": x, "backwards": x.flip(0), "noise": torch.randn(30, 200, 2).double(), "none": None}
    held = {}
    for name, data in drawn_for.items():
        torch.manual_seed(1)
        layer = Recurrent(cells.Elman, 2, 5).double()
        if data is not None:
            LinearAutoencoderStart(steps=15)(layer, data)
        held[name] = legible(linear(layer), other, 14)
    assert held["start"] > 0.85
    assert held["backwards"] < 0.8
    assert max(held["noise"], held["none"]) < 0.4


@pytest.mark.parametrize(
    "build",
    [lambda: nn.RNN(2, 12, num_layers=2, bidirectional=True), lambda: Recurrent(cells.Elman, 2, 12, num_layers=2)],
)
def test_linear_autoencoder_start_sets_each_layer_for_what_it_reads(build):
    """Units that are not needed stay; in the second layer, too; sequences may be of different lengths."""
    module, x = build().double(), torch.randn(7, 5, 2).double()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    packed = nn.utils.rnn.pack_padded_sequence(x, torch.tensor([7, 2, 6, 7, 3]), enforce_sorted=False)
    assert LinearAutoencoderStart(steps=3)(module, packed) is module
    for cell in live_cells(module)[:1]:
        u = cell.from_h.weight
        assert not u[:6, 6:].any()
        torch.testing.assert_close(
            u[:6, :6] @ u[:6, :6] @ u[:6, :6], torch.zeros(6, 6).double()
        )  # after 3 steps all is gone
        name = "weight_hh_l0" if isinstance(module, nn.RNN) else "cells.0.from_h.weight"
        assert torch.equal(u[6:], before[name][6:])
    assert all(not torch.equal(value, before[name]) for name, value in module.state_dict().items())
    with pytest.raises(ValueError, match="suits no layer of this model: it needs tanh units"):
        LinearAutoencoderStart()(nn.LSTM(2, 3), x.float())
