"""What is left of a gradient at each lag, and in how many steps half of it is lost: in a browser and by `probes.retention`."""

import math
from pathlib import Path

import pytest
import torch

from rnnvanish import probes
from rnnvanish.task import stream
from rnnvanish.training.learner import Learner

ASSETS = Path(__file__).resolve().parents[3] / "docs/assets"
SEED, LAG = 3, 12
#: Options of `Learner`, and of rv.Lane.
NETWORKS = {
    "plain": ({"cell": "Elman"}, {"cell": "Elman"}),
    "gate": ({"mitigations": "OrthogonalStart, OpenGate(bias=3)"}, {"start": [["orthogonal"], ["open", 3]]}),
    "adding": ({"cell": "GRU", "num_layers": 2, "task": "adding"}, {"cell": "GRU", "layers": 2, "task": "adding"}),
    "skip": ({"mitigations": "SkipThroughTime(lag=5)"}, {"timeSkip": 5}),
    "copying": ({"task": "copying", "task_options": {"delay": LAG - 10}}, {"task": "copying"}),
}


def in_python(**options):
    """The curve of the last layer, over 16 sequences of the test part."""
    torch.manual_seed(SEED)
    options = {"cell": "LSTM", "task": "recall", "hidden_size": 7, "task_options": {"length": LAG + 1}} | options
    learner = Learner(**options)
    batch = learner.task.sample(16, stream(SEED), "test")
    targets = batch.targets.double() if batch.targets.is_floating_point() else batch.targets
    batch = batch._replace(inputs=batch.inputs.double(), targets=targets)
    curves = probes.retention(learner.double(), batch.inputs, loss=lambda said: learner.task.loss(said, batch))
    return list(curves.values())[-1]


@pytest.fixture
def page(engine):
    if not engine.evaluate("'Lane' in rv"):
        for name in ("live/halflife.js", "live/lane.js"):
            engine.add_script_tag(path=ASSETS / name)
    return engine


@pytest.mark.parametrize("name", NETWORKS)
def test_what_is_left_is_what_the_probe_finds(page, name):
    ours, theirs = NETWORKS[name]
    curve = in_python(**ours)
    options = {"cell": "LSTM", "units": 7, "task": "recall", "lag": LAG, "seed": SEED} | theirs
    got = page.evaluate(
        "(o) => { const lane = new rv.Lane(o); lane.advance(Infinity); const [one] = lane.halfLives; return [[...one.gain], one.halfLife]; }",
        options,
    )
    assert got[0] == pytest.approx(
        curve.gain.tolist(), rel=2e-5
    )  # normal numbers of single precision are equal to 4e-7
    assert got[1] == pytest.approx(curve.half_life, rel=2e-5)


def test_a_half_life_of_what_is_known(page):
    half = "(gain) => String(rv.halfLife(gain))"
    assert float(page.evaluate(half, [1] + [0.3 * 0.5 ** (lag / 4) for lag in range(1, 30)])) == pytest.approx(4)
    assert page.evaluate(half, [1, 1, 2, 3]) == "Infinity"
    assert page.evaluate(half, [1, 0, 0, 0]) == "0"
    assert float(page.evaluate(half, [1, 0.5, 0, 0])) == pytest.approx(1)
    assert math.isnan(float(page.evaluate(half, [1])))
