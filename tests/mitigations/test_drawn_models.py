"""Draws on a whole model: which layers they reach, that these still learn, and what is refused."""

import math

import pytest
import torch
from torch import nn

from rnnvanish.mitigations import (
    Chrono,
    Critical,
    Glorot,
    He,
    Identity,
    LinearAutoencoderStart,
    NpRNN,
    OpenGate,
    OrthogonalStart,
    RotationStart,
    SparseStart,
    UniformGate,
)


def test_every_layer_direction_and_model_is_reached():
    model = nn.ModuleDict({"a": nn.LSTM(2, 4, num_layers=2, bidirectional=True), "b": nn.GRU(2, 4), "c": nn.RNN(2, 4)})
    before = {name: value.clone() for name, value in model.state_dict().items()}
    assert OpenGate(2.0)(model) is model
    changed = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    assert changed == {name for name in before if "bias" in name and not name.startswith("c.")}


def test_weights_can_still_be_learnt():
    """The same parameters, in place: an optimiser that was built before goes on with them."""
    module = nn.LSTM(1, 4)
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
    Chrono(20)(OrthogonalStart()(module))
    after = {name: value.clone() for name, value in module.state_dict().items()}
    module(torch.randn(5, 2, 1))[0].sum().backward()
    optimizer.step()
    assert all(not torch.equal(value, after[name]) for name, value in module.state_dict().items())


@pytest.mark.parametrize(
    ("draw", "module"),
    [
        (OpenGate(), nn.RNN(1, 2)),
        (OpenGate(), nn.LSTM(1, 2, bias=False)),
        (Chrono(9), nn.GRU(1, 2, bias=False)),
        (UniformGate(), nn.GRU(1, 1)),
        (Identity(), nn.RNN(1, 2)),
        (NpRNN(), nn.LSTM(1, 2)),
        (He(), nn.RNN(1, 2)),
        (Critical(), nn.RNN(1, 2, nonlinearity="relu")),
        (Glorot(), nn.Linear(1, 2)),
        (SparseStart(), nn.Linear(1, 2)),
        (RotationStart(), nn.LSTM(2, 4, proj_size=2)),
    ],
)
def test_what_suits_no_layer_is_an_error_and_changes_nothing(draw, module):
    before = {name: value.clone() for name, value in module.state_dict().items()}
    with pytest.raises(ValueError, match=f"{type(draw).__name__} suits no layer of this model, which has"):
        draw(module)
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())


def test_a_weight_that_is_computed_from_others_is_not_written_to():
    module = nn.RNN(1, 3)
    nn.utils.parametrizations.orthogonal(module, "weight_hh_l0")
    with pytest.raises(ValueError, match="OrthogonalStart suits no layer"):
        OrthogonalStart()(module)


@pytest.mark.parametrize(
    ("build", "needed"),
    [
        (lambda: Glorot("gauss"), "'uniform' or 'normal', got 'gauss'"),
        (lambda: OrthogonalStart(0.0), "gain > 0, got 0.0"),
        (lambda: Identity(-1.0), "scale > 0, got -1.0"),
        (lambda: Identity(input_std=-1.0), "input_std >= 0, got -1.0"),
        (lambda: OpenGate(math.inf), "finite bias, got inf"),
        (lambda: OrthogonalStart(radius=-1.0), "radius > 0 or None, got -1.0"),
        (lambda: Glorot(radius=0.9, slope_gain=True), "a radius or slope_gain=True"),
        (lambda: He(slope_gain=True), "leave slope_gain out"),
        (lambda: RotationStart("haar"), "'henaff' or 'cayley', got 'haar'"),
        (lambda: LinearAutoencoderStart(0), "steps >= 1, got 0"),
        (lambda: SparseStart(0), "connections >= 1, got 0"),
        (lambda: SparseStart(radius=0.9)(nn.LSTM(2, 4, proj_size=2)), "not square: they have no radius"),
        (lambda: Chrono(2.0), "span > 2 steps, got 2.0"),
        (lambda: Chrono(math.nan), "span > 2 steps, got nan"),
        (lambda: Chrono(math.inf), "span > 2 steps, got inf"),
        (lambda: Critical(-0.1), "power >= 0, the mean square of an input, got -0.1"),
    ],
)
def test_senseless_numbers(build, needed):
    with pytest.raises(ValueError, match=needed):
        build()
