"""Layers that are alike are told once, others never: by curves that are alike in all but one thing."""

import torch

from rnnvanish.diagnosis.report.alike import common_name, grouped
from rnnvanish.diagnosis.report.contents import Layer
from rnnvanish.probes.curve import Curve


def layer(name, half_life, lags=60, **more):
    lag = torch.arange(lags)
    return Layer(name, Curve(lag, 0.5 ** (lag.double() / half_life), **more), [("row", name)])


def names(*layers):
    return [group.name for group in grouped(layers)]


def test_equal_layers_are_told_once_with_the_numbers_of_the_worst():
    layers = [layer(f"lstm/layer{i}/forward", 1.6 - 0.1 * i) for i in range(4)]
    (group,) = grouped(layers)
    assert group.name == "lstm/layer0..3/forward"
    assert group.curve is layers[3].curve
    assert list(group.alike) == layers
    assert group.rows == [
        ("row", "lstm/layer3/forward"),
        (
            "alike",
            "4 loops are alike: they reach 12 to 15 of 59 steps; the numbers are those of the worst, lstm/layer3/forward",
        ),
    ]


def test_what_is_not_alike_stays_apart():
    one = layer("lstm/layer0/forward", 1.5)
    for other in (
        layer("lstm/layer1/forward", 6.0),  # another half-life
        layer("lstm/layer1/forward", 300.0),  # another verdict
        layer("gru/layer1/forward", 1.5),  # another module
        layer("lstm/layer1/forward", 1.5, lags=50),  # shorter
        layer("lstm/layer1/forward", 1.5, notes=("odd",)),
    ):
        assert len(grouped([one, other])) == 2, other.name
    assert len(grouped([one, layer("lstm/layer1/reverse", 1.5)])) == 1


def test_the_worst_comes_first():
    assert names(layer("a", 40.0), layer("b", 2.0), layer("c", -3.0), layer("d", 0.5)) == ["c", "d", "b", "a"]


def test_names_that_have_no_gap_become_a_range():
    assert common_name(["rnn/layer0/forward", "rnn/layer2/forward"]) == "rnn/layer0/forward and rnn/layer2/forward"
    both = [f"rnn/layer{i}/{way}" for i in range(2) for way in ("forward", "reverse")]
    assert common_name(both) == "rnn/layer0..1, both directions"
    assert common_name(both[:3]) == "rnn/layer0/forward, rnn/layer0/reverse and rnn/layer1/forward"
    assert common_name(["cell", *(f"cell (call {i})" for i in range(2, 61))]) == "cell (call 1..60)"
    assert common_name([f"rnn (call {i})/layer0/forward" for i in (2, 3)]) == "rnn (call 2..3)/layer0/forward"
