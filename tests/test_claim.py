"""Claims: the median decides, the stated verdict is held against it, nothing slips through undecided."""

import dataclasses
import html
import re

import pytest

from rnnvanish import experiments
from rnnvanish.claim import Bounds, ClaimBroken, Verdict, at_least, at_most, claim, control


def made(values, stated=Verdict.HOLDS, otherwise=None, scope="two <stones>", **bounds):
    bounds = bounds or {"holds": at_least(10), "caveat": Bounds(5, 9), "fails": at_most(1)}
    return claim(
        section=1,
        sentence="Ten < it.",
        finding="It is large.",
        scope=scope,
        statistic="size",
        unit="steps",
        stated=stated,
        seeds=len(values),
        control=otherwise,
        **bounds,
    )(lambda seed, less=0: values[seed] - less)


@pytest.mark.parametrize(
    ("values", "verdict"),
    [
        ((1, 12, 11), Verdict.HOLDS),
        ((1, 7, 11), Verdict.CAVEAT),
        ((1, 0, 11), Verdict.FAILS),
        ((3,), Verdict.UNDECIDED),
        ((float("nan"),), Verdict.UNDECIDED),
        ((float("inf"),), Verdict.HOLDS),
    ],
)
def test_the_median_decides(values, verdict):
    assert made(values).measure().verdict == verdict


@pytest.mark.parametrize("stated", [Verdict.CAVEAT, Verdict.FAILS])
def test_another_verdict_than_the_stated_one_is_an_error(stated):
    with pytest.raises(ClaimBroken, match=rf"states that it {stated}, the measurement that it holds.\n.*Ten < it"):
        made((12,), stated).check()
    assert made((12,)).check().median == 12


def test_nan_never_passes_as_does_not_hold():
    with pytest.raises(ClaimBroken, match="is undecided"):
        made((float("nan"),), Verdict.FAILS).check()


def test_the_stated_verdict_needs_bounds():
    with pytest.raises(ValueError, match="needs bounds for the verdict that it states, 'does not hold'"):
        made((1,), Verdict.FAILS, holds=at_least(1))


def test_a_claim_says_what_it_was_measured_of():
    with pytest.raises(ValueError, match="needs a scope: network, width"):
        made((1,), scope=" ")


def test_a_control_must_get_another_verdict():
    assert made((12,), otherwise=control("with 11 less", less=11)).check_control().verdict == Verdict.FAILS
    assert made((12,), otherwise=control("with 5 less", less=5)).check_control().verdict == Verdict.CAVEAT
    with pytest.raises(ClaimBroken, match="should come out otherwise with 1 less, and there it holds, too"):
        made((12,), otherwise=control("with 1 less", less=1)).check_control()


@pytest.mark.parametrize("less", [2.5, float("nan")])
def test_undecided_is_no_other_verdict(less):
    with pytest.raises(ClaimBroken, match="and there it is undecided"):
        made((12,), otherwise=control("with a little less", less=less)).check_control()


def test_a_claim_without_a_control_is_named():
    with pytest.raises(ClaimBroken, match="has no control"):
        made((12,)).check_control()


def test_what_follows_from_definitions_needs_no_control_but_one_that_is_named_must_come_out_otherwise():
    assert dataclasses.replace(made((12,)), identity=True).check_control().verdict == Verdict.HOLDS
    with pytest.raises(ClaimBroken, match="the measurement that it does not hold"):
        dataclasses.replace(made((0,)), identity=True).check_control()
    with pytest.raises(ClaimBroken, match="there it holds, too"):
        dataclasses.replace(made((12,), otherwise=control("with 1 less", less=1)), identity=True).check_control()


def test_show_raises_on_a_broken_claim():
    with pytest.raises(ClaimBroken):
        made((0,)).show()


def test_box_escapes_and_names_its_reproduction():
    claim_ = made((12, 13, 14), otherwise=control("with < 1", less=11))
    box = claim_.to_html(claim_.measure())
    assert "Ten &lt; it." in box
    assert "13 steps (12 to 14 over 3 seeds)" in box
    assert "It comes out otherwise with &lt; 1." in box
    assert "two &lt;stones&gt;" in box
    assert f"rnnvanish claims --only {claim_.id}" in html.unescape(box)


def test_box_says_how_many_draws_agree_what_it_is_of_and_what_follows_from_definitions():
    claim_ = dataclasses.replace(made((12, 7, 14)), scope="RNN, 16 units")
    assert "<small>2 of 3 draws</small>" in claim_.to_html(claim_.measure())
    assert "draw" not in claim_.agreement(claim_.measure(seeds=1))
    assert "Of: RNN, 16 units</small></p>" in claim_.to_html(claim_.measure())
    assert "It follows from definitions" in dataclasses.replace(claim_, identity=True).to_html(claim_.measure())


def test_what_does_not_simply_hold_says_outside_of_the_fold_what_does():
    folded = r"<details.*It is large"
    holds, fails = made((12,)), made((0,))
    assert re.search(folded, holds.to_html(holds.measure()))
    assert not re.search(folded, box := fails.to_html(fails.measure()))
    assert "It is large" in box


def test_json_has_everything():
    claim_ = made((12, 13), otherwise=control("with 11 less", less=11))
    record = claim_.to_json(claim_.measure())
    assert record["statistic"] == 12.5
    assert record["verdict"] == record["stated"] == "holds"
    assert record["control"] == "with 11 less"
    assert record["scope"] == "two <stones>"
    assert record["agreement"] == "2 of 2 draws"
    assert record["thresholds"] == "holds: at least 10; holds with a caveat: from 5 to 9; does not hold: at most 1"
    assert {"id", "section", "sentence", "unit", "seeds", "seconds", "provenance"} <= set(record)


def test_ids_are_unique():
    ids = [claim_.id for claim_ in experiments.claims()]
    assert len(set(ids)) == len(ids)


def test_numbers_that_are_read_from_a_study_say_when_they_were_made():
    place = {"date": "2001-02-03", "commit": "abc", "processor": "Abacus", "torch": "2", "python": "3"}
    read = dataclasses.replace(made((12,)), origin=lambda: place)
    measurement = read.measure()
    assert measurement.provenance == place
    assert "Measured on 2001-02-03, commit abc, Abacus" in read.to_html(measurement)
    assert "2001" not in made((12,)).to_html(made((12,)).measure())
