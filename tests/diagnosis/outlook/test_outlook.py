"""Can it learn across so many steps: a relation that was planted is found again, and says what it rests on."""

import math
import random

import pytest
import torch
from scipy.stats import spearmanr

from rnnvanish.diagnosis.outlook import regression
from rnnvanish.diagnosis.outlook.outlook import outlook
from rnnvanish.diagnosis.outlook.regression import fitted, half_life_needed, log_odds, relation
from rnnvanish.probes.curve import Curve
from rnnvanish.studies import results

LAGS = [5.0, 10.0, 20.0, 40.0, 80.0]


def falling(half_life, steps=100):
    lag = torch.arange(steps)
    return Curve(lag, torch.exp(-math.log(2) / half_life * lag.double()))


def planted(pairs=24, seeds=5, slope=4.0, reach=8.0):
    """Networks learn across a lag with odds (reach * half-life / lag) ** slope."""
    dice, points = random.Random(0), []
    for pair in range(pairs):
        half_life = math.exp(dice.uniform(math.log(0.5), math.log(30)))
        for _ in range(seeds):
            u = dice.random()  # one luck a network: whoever learns a lag learns all shorter ones
            learnt = [lag for lag in LAGS if u < 1 / (1 + (lag / (reach * half_life)) ** slope)]
            points.append((f"RNN {pair}", half_life, max(learnt, default=0.0)))
    return points


def test_the_fit_is_where_the_penalised_likelihood_is_flat():
    """Autograd knows nothing of Newton's steps."""
    points = planted(pairs=12)
    line = fitted(points, LAGS).lines[0].clone().requires_grad_()
    x = torch.tensor([(1.0, math.log(h), math.log(lag)) for _, h, _ in points for lag in LAGS], dtype=torch.float64)
    y = torch.tensor([float(lag <= longest) for _, _, longest in points for lag in LAGS], dtype=torch.float64)
    likelihood = torch.nn.functional.binary_cross_entropy_with_logits(x @ line, y, reduction="sum")
    (slope,) = torch.autograd.grad(likelihood + 0.5e-2 * line.square().sum(), line)
    assert slope.abs().max() < 1e-8


def test_a_planted_relation_is_found_and_lies_in_its_interval():
    found = fitted(planted(), LAGS)
    assert len(found.pairs) == 24
    for lag, half_life in ((20, 2.0), (80, 12.0), (200, 20.0)):
        truth = 1 / (1 + (lag / (8 * half_life)) ** 4)
        chances = torch.sigmoid(log_odds(found.lines, half_life, lag))
        drawn = chances[1:].sort().values
        assert drawn[10] <= truth <= drawn[-10]
        assert chances[0].item() == pytest.approx(truth, abs=0.2)
    assert half_life_needed(found.lines, 80)[0].item() == pytest.approx(10, rel=0.15)
    _, half_lives, longest = zip(*planted(), strict=True)
    assert found.correlation[0] == pytest.approx(spearmanr(half_lives, longest).statistic, abs=1e-6)
    assert found.correlation[0] > 0.8
    assert found.correlation[1] < found.correlation[0] < found.correlation[2]


@pytest.fixture
def stored(monkeypatch):
    """Two kinds of networks: plain ones learn 8 half-lives far, gated ones not even one."""
    relation.cache_clear()
    half_lives = [0.7, 1.5, 3.0, 6.0, 12.0, math.inf]

    def longest(reach):
        return max([lag for lag in LAGS if lag <= reach], default=0.0)

    points = [(f"RNN {h}", h, longest(8 * h)) for h in half_lives] + [
        (f"LSTM {h}", h, longest(0.8 * h)) for h in half_lives
    ]
    monkeypatch.setattr(regression, "measured", lambda: (points * 3, LAGS))
    yield
    relation.cache_clear()


def test_each_kind_is_compared_with_its_own(stored):
    plain, gated = (outlook(falling(6.0), 40, cell) for cell in ("Elman", "LSTM"))
    assert (plain.verdict, gated.verdict) == ("likely", "unlikely")
    assert plain.relation.pairs == tuple(f"RNN {h}" for h in (0.7, 1.5, 3.0, 6.0, 12.0, math.inf))
    assert len(outlook(falling(6.0), 40, "Leak").relation.pairs) == 12
    assert plain.decades == pytest.approx(40 / 6 * math.log10(2))
    assert outlook(falling(0.5), 200, "Elman").verdict == "unlikely"


def test_the_words_say_what_they_rest_on(stored):
    said = str(outlook(falling(1.5), 200, "Elman"))
    assert said.startswith(
        "Across 200 steps: unlikely. Of networks with a half-life of 1.5 steps before training, less"
    )
    assert "18 short trainings of 6 pairs of cell and start to remember one bit over 5 to 80 steps; the line" in said
    assert "drawn on" not in str(outlook(falling(1.5), 40, "Elman"))
    near = str(outlook(falling(6.0), 1, "Elman"))
    assert near.startswith(
        "Across 1 step: likely. Of networks with a half-life of 6 steps before training, more than 99 %"
    )
    assert "learn that far. For half of them to learn it nearly any half-life is enough. This rests" in near
    assert "5 to 80 steps; whoever learns that learns a shorter distance, too." in near
    growing = outlook(falling(-2.0), 40, "Elman")
    assert growing.verdict == "open"
    assert "explodes" in str(growing)


def test_what_is_missing_is_named(stored):
    with pytest.raises(ValueError, match="A lag of at least 1 step is needed, got 0"):
        outlook(falling(2.0), 0)
    with pytest.raises(ValueError, match="half-life is needed, this one is nothing to carry"):
        outlook(Curve(torch.arange(1), torch.ones(1).double()), 5)


def test_it_rests_on_the_study_of_the_claims():
    """Counted there once more, row by row: a pair and a seed is a point, and the first distance not learnt ends it."""
    points, lags = regression.measured()
    assert lags == [20, 40, 80]
    rows = [row for row in results("claims").rows if row["final"] and row["hidden_size"] == 64 and row["clip"] is None]
    for cell, start, name in (("LSTM", "OpenGate(1.0)", "LSTM, OpenGate(1.0)"), ("Elman", "", "RNN, as drawn")):
        mine = [
            r
            for r in rows
            if (r["cell"], r["mitigations"], r["task"], r["optimizer"]) == (cell, start, "recall", "adam")
        ]
        for seed, point in zip(range(2, 8), [point for point in points if point[0] == name], strict=True):
            solved = {row["lag"]: row["solved"] for row in mine if row["seed"] == seed}
            assert point[2] == (0 if not solved[20] else 20 if not solved[40] else 40 if not solved[80] else 80)
            assert point[1] == next(row["half_life_before"] for row in mine if (row["seed"], row["lag"]) == (seed, 80))
    assert len({name for name, _, _ in points}) == 14
    assert outlook(falling(40.0), 40, "LSTM").chance[0] > outlook(falling(1.5), 40, "LSTM").chance[0]
