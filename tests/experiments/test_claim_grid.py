"""A claim on a grid: what each point says, what they say together, on which axis it turns, and what is not known yet."""

import dataclasses
import json
import math

import pytest

from rnnvanish import experiments
from rnnvanish.claim import ClaimBroken, Verdict, at_least, at_most, control
from rnnvanish.experiments import claim_study
from rnnvanish.experiments.claim_grid import Grid, GridClaim, Point, grid_claim, turns
from rnnvanish.experiments.claim_study import Network, Outcome

PLAIN, GATED = Network("plain"), Network("gated", "GRU")
GRID = Grid(lag=(9,), hidden_size=(16, 64), task=("recall",), budget=100)
CLAIMS = [each for each in experiments.claims() if isinstance(each, GridClaim)]


def row(network, point, seed, solved, **others):
    return {
        "cell": network.cell, "mitigations": network.mitigations, "clip": network.clip, "budget": 100, "seed": seed, "lr": 0.01,
        "solved": solved, "diverged": None, "loss": 0.1, "floor": 0.7, "seconds": 1.0, **point, **others,
    }  # fmt: skip


@pytest.fixture
def store(monkeypatch):
    """A study in which a network needs so many steps at a point, given as a function; None: it does not learn; ...: missing."""

    def put(needs, seeds=3):
        rows = {}
        for network in (PLAIN, GATED):
            for point in GRID.points():
                for seed in range(seeds):
                    solved = needs(network.words, point, seed)
                    if solved is not ...:
                        made = row(network, point, seed, solved)
                        rows.setdefault(tuple(made[name] for name in claim_study.KEY), []).append(made)
        monkeypatch.setattr(claim_study, "fresh", lambda: tuple(range(seeds)))
        monkeypatch.setattr(claim_study, "_by_network", lambda: rows)
        monkeypatch.setattr(claim_study, "outdated", lambda: False)

    return put


def made(stated=Verdict.CAVEAT, sides=(PLAIN, GATED), **others):
    def plain_learns(plain, *_):
        return plain.share

    return grid_claim(
        section=1,
        sentence="It learns.",
        finding="Not everywhere.",
        scope="two networks",
        statistic="share",
        unit="of the seeds",
        sides=sides,
        grid=GRID,
        stated=stated,
        holds=at_least(0.6),
        fails=at_most(0.4),
        control=control("the other way round", sides=sides[::-1]),
        **others,
    )(plain_learns)


def at(optimizer=None, hidden_size=None):
    return lambda words, point, seed: (
        50 if optimizer in (None, point["optimizer"]) and hidden_size in (None, point["hidden_size"]) else None
    )


def test_it_holds_where_it_holds_at_every_point_that_counts(store):
    store(lambda words, point, seed: 50 if words == "plain" else None)
    assert made().recall().verdict == Verdict.HOLDS
    assert made().recall().values == (1.0,) * 4
    store(lambda words, point, seed: 50 if words == "gated" else None)
    assert made().recall().verdict == Verdict.FAILS
    assert made(Verdict.FAILS).check_control().verdict == Verdict.HOLDS
    store(at(optimizer="adam"))
    measurement = made(sides=(PLAIN, PLAIN)).recall()
    assert measurement.verdict == Verdict.HOLDS  # where nobody learns it does not count
    assert [point.word for point in measurement.points] == ["holds", "holds", "neither learns", "neither learns"]


def test_it_holds_with_a_caveat_where_points_differ_and_says_on_which_axis_it_turns(store):
    store(lambda words, point, seed: 50 if words == "gated" or point["optimizer"] == "adam" else None)
    claim = made()
    measurement = claim.hold(claim.recall())
    assert measurement.verdict == Verdict.CAVEAT
    assert claim.found(measurement) == "Not everywhere. It holds with Adam, not with SGD."
    assert claim.agreement(measurement) == "at 2 of 4 points"
    with pytest.raises(ClaimBroken, match="states that it holds, the measurement that it holds with a caveat"):
        made(Verdict.HOLDS).hold(measurement)


def test_between_the_bounds_it_neither_holds_nor_fails(store):
    store(lambda words, point, seed: 50 if words == "gated" or seed else None, seeds=2)
    assert made().recall().values == (0.5,) * 4
    assert made().recall().verdict == Verdict.CAVEAT


def test_only_seeds_that_learn_within_the_budget_count():
    rows = [{"solved": solved, "half": half} for solved, half in ((20, 1.0), (None, 50.0), (60, 5.0))]
    side = Outcome(tuple(rows), 3)
    assert (side.missing, side.share, side.middle("half")) == (0, pytest.approx(2 / 3), 3.0)
    assert side.steps == (20, math.inf, 60)


@pytest.mark.parametrize(("loss", "diverged", "alive"), [(0.7, None, 1), (7.0, None, 0), (0.1, 3, 0), (None, 1, 0)])
def test_what_has_no_number_or_costs_more_than_nothing_is_not_alive(loss, diverged, alive):
    assert Outcome(({"loss": loss, "diverged": diverged, "floor": 0.7},), 1).alive == alive


def test_what_is_missing_is_said_and_breaks_nothing(store):
    store(lambda words, point, seed: ... if point["hidden_size"] == 64 and seed == 2 else 50)
    claim = made(Verdict.FAILS)
    measurement = claim.hold(claim.recall())
    assert measurement.verdict == Verdict.UNDECIDED
    assert "Not measured yet: at 2 of 4 points" in claim.found(measurement)
    assert [point.word for point in measurement.points] == ["holds", "not measured yet"] * 2
    assert claim.check_control().missing == 2
    assert "not measured yet" in claim.to_html(measurement)
    assert claim.to_json(measurement)["missing"] == 2


def test_json_and_box_have_every_point(store):
    store(lambda words, point, seed: 10 * (seed + 1) if words == "gated" or point["optimizer"] == "adam" else None)
    claim = made()
    measurement = claim.recall()
    record = json.loads(json.dumps(claim.to_json(measurement), allow_nan=False))
    assert record["points"][1] == {
        "optimiser": "Adam", "width": "64", "task": "recall", "steps back": "9",
        "plain": "3 of 3, in 20 steps (10 to 30); rate 0.01", "gated": "3 of 3, in 20 steps (10 to 30); rate 0.01",
        "here": "holds", "statistic": 1.0,
    }  # fmt: skip
    assert record["result"] == "0.5 of the seeds (0 to 1 over 4 points)"
    assert record["seeds"] == 3
    assert record["points"][3]["plain"] == "0 of 3; rate 0.01"
    assert record["scope"].startswith(
        "two networks; with Adam and SGD, at width 16 and 64, on recall, 9 steps back; at most"
    )
    box = claim.to_html(measurement)
    assert box.count("<tr>") == 5
    assert "It holds with Adam, not with SGD." in box
    assert claim.lines(measurement).splitlines()[4].split() == [
        "SGD", "64", "recall", "9", "0", "of", "3;", "rate", "0.01", "3", "of", "3,", "in", "20", "steps", "(10", "to", "30);",
        "rate", "0.01", "does", "not", "hold",
    ]  # fmt: skip


def points(holds, widths=(16, 64), optimisers=("adam", "sgd"), tasks=("recall",)):
    return tuple(
        Point(
            {"hidden_size": w, "optimizer": o, "task": t}, (), 1.0, Verdict.HOLDS if holds(w, o, t) else Verdict.FAILS
        )
        for w in widths
        for o in optimisers
        for t in tasks
    )


@pytest.mark.parametrize(
    ("holds", "said"),
    [
        (lambda w, o, t: True, ""),
        (lambda w, o, t: False, ""),
        (lambda w, o, t: w == 64, "It holds at width 64, not at width 16."),
        (lambda w, o, t: o == "sgd", "It holds with SGD, not with Adam."),
        (lambda w, o, t: o == "adam" or w == 16, "It holds everywhere but with SGD at width 64."),
        (lambda w, o, t: o == "sgd" and w == 16, "It holds with SGD at width 16, and nowhere else."),
        (
            lambda w, o, t: (o == "adam") == (w == 16),
            "It holds with Adam at width 16; with SGD at width 64. It does not with SGD at width 16; with Adam at width 64.",
        ),
    ],
)
def test_on_which_axis_it_turns(holds, said):
    assert turns(points(holds)) == said


def test_where_no_two_axes_decide_it_says_how_often():
    odd = points(lambda w, o, t: (w == 64) + (o == "sgd") + (t == "adding") in (2, 3), tasks=("recall", "adding"))
    assert turns(odd) == "Points at which it holds: 1 of 4 with Adam, 3 of 4 with SGD."


def test_uncounted_points_do_not_say_where_it_turns():
    counted = points(lambda w, o, t: o == "adam")
    uncounted = dataclasses.replace(counted[0], value=None, verdict=None)
    assert turns((*counted, uncounted)) == "It holds with Adam, not with SGD."


def test_networks_of_all_claims_are_in_the_study():
    """So that what is missing is what was not trained yet, and no misspelt name."""
    study = claim_study.study()
    known = {
        (t.cell, t.mitigations, t.clip, t.task, t.lag, t.hidden_size, t.optimizer, t.steps) for t in study.trials()
    }
    for claim in CLAIMS:
        asked = [(claim.sides, claim.grid)]
        asked.append(
            (claim.control.ingredients.get("sides", claim.sides), claim.control.ingredients.get("grid", claim.grid))
        )
        for sides, grid in asked:
            for point in grid.points():
                for side in sides:
                    assert claim_study.key(side, point, grid.budget) in known, (claim.id, side, point)


def test_claims_that_speak_of_one_network_say_the_same_of_it():
    """Each says of its first side, at each point, that it learns or that it does not."""
    said = {}
    for claim in CLAIMS:
        for point in claim.recall().points:
            if claim.learner is not None and point.verdict is not None:
                place = claim_study.key(claim.sides[0], point.at, claim.grid.budget)
                said.setdefault(place, {})[claim.id] = (point.verdict == Verdict.HOLDS) == claim.learner
    assert [(place, who) for place, who in said.items() if len(set(who.values())) > 1] == []
