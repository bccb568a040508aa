"""What is read from the study of cures: from results whose answer is known, and what becomes of those that are missing."""

import math
import re
from dataclasses import replace

import pytest
from pretended import more

from rnnvanish import mitigations
from rnnvanish.experiments import cures
from rnnvanish.experiments.cure_study import (
    CELLS,
    LEFT_OUT,
    REAL,
    REMEMBERED,
    Trained,
    compared,
    cure_of,
    lengthened,
    longest_of,
    reach_effect,
    reaches,
    score_effect,
    score_of,
    study,
    trained,
)
from rnnvanish.studies.reader import COMMITTED, Results
from rnnvanish.studies.study import Study, read
from rnnvanish.studies.trial import Trial

STUDY = Study("cures", cells=["GRU"], tasks=["recall"], lags=[20, 60], lrs=[0.1, 0.2], seeds=[0, 1, 2])
#: Which seeds solved it, by cure, lag and rate.
SOLVED = {
    ("", 20, 0.1): {0, 2}, ("", 20, 0.2): {1, 2}, ("", 60, 0.1): {0}, ("", 60, 0.2): {1, 2},
    ("Chrono(span={lag})", 20, 0.1): set(), ("Chrono(span={lag})", 20, 0.2): {0},
    ("Chrono(span={lag})", 60, 0.1): {0, 1, 2}, ("Chrono(span={lag})", 60, 0.2): set(),
}  # fmt: skip
SCORES = {("", 0.1): (0.2, 0.9, 0.9), ("", 0.2): (0.4, 0.5, 0.45), ("Chrono(span=64)", 0.1): (0.8, 0.82, 0.81)}
FIELDS = vars(Trial("GRU", "recall"))
SCORES = {("", 0.1): (0.2, 0.3, 0.9), ("", 0.2): (0.4, 0.5, 0.45), ("Chrono(span=64)", 0.1): (0.8, 0.82, 0.81)}


def row(trial, solved=None, score=0.5, diverged=None):
    values = {"solved": solved, "score": score, "diverged": diverged, "parameters": 99 if trial.lag else 7}
    return vars(trial) | values


def found(missing=()):
    rows = [
        row(Trial("GRU", "recall", lag, cure, lr=lr, seed=seed), 25 if seed in seeds else None)
        for (cure, lag, lr), seeds in SOLVED.items()
        for seed in range(3)
    ] + [
        row(Trial("GRU", "digits", None, cure, lr=lr, seed=seed), score=score)
        for (cure, lr), scores in SCORES.items()
        for seed, score in enumerate(scores)
    ]
    left = [each for each in rows if not any(all(each[k] == v for k, v in one.items()) for one in missing)]
    gone = [Trial(**{name: each[name] for name in FIELDS}) for each in rows if each not in left]
    return Results(STUDY, left, gone, {}, {}, [], [], "again", {})


def test_each_side_counts_at_its_best_rate_and_the_first_seed_and_one_more_have_to_learn():
    plain, cured = trained("GRU", "", found()), trained("GRU", "Chrono", found())
    assert plain.learnt == {20: True, 60: False}  # at 60 two seeds learn at the second rate, and not the first
    assert cured.learnt == {20: False, 60: True}
    assert (plain.longest(), cured.longest()) == (20, 60)
    assert plain.scores == (0.4, 0.5, 0.45)  # at the rate that the first seed chose
    assert (plain.score, cured.score) == (0.45, 0.81)
    assert plain.parameters == 99  # of the network that remembers
    assert plain.missing == {}


def without(cure="", **fields):
    return trained("GRU", cure, found([{"mitigations": "Chrono(span={lag})" if cure else ""} | fields]))


def test_what_is_missing_is_no_failure():
    one = without(lag=60, lr=0.1, seed=2)
    assert one.learnt == {20: True, 60: None}
    assert one.longest() is None
    assert one.missing == {"recall": 1}
    assert without(lag=60, lr=0.1, seed=0).learnt[60] is None
    assert without("Chrono", lag=20, lr=0.2).longest() == 60  # what is missing at a shorter lag changes nothing
    scores = without(task="digits", lr=0.1, seed=0)
    assert scores.score is None
    assert scores.longest() == 20
    assert without(task="digits", lr=0.2, seed=2).missing == {"digits": 1}
    nothing = trained("GRU", "", found([{"mitigations": ""}]))
    assert (nothing.longest(), nothing.score, nothing.parameters) == (None, None, None)
    assert nothing.missing == {"recall": 12, "digits": 6}


def test_what_could_change_nothing_is_not_missed():
    complete = trained("GRU", "", found())
    for fields in (
        {"lag": 20, "lr": 0.1, "seed": 1},  # two seeds have learnt
        {"lag": 60, "lr": 0.2, "seed": 1},  # the first has not
        {"task": "digits", "lr": 0.1, "seed": 2},  # not the best rate
    ):
        assert without(**fields) == complete


def test_what_training_does_to_the_half_life_is_the_middle_of_all_trials_that_remember():
    results = found()
    for each in results.rows:
        grown = 9.0 if each["task"] == "digits" else 1.0 + each["seed"] + (each["lag"] == 60)
        each |= {"half_life_before": 2.0, "half_life_after": 2.0 * grown}
    assert lengthened(0, "GRU", "", results) == 1.5  # one at 20 steps, two at 60, twice each
    assert lengthened(2, "GRU", "Chrono", results) == 3.5
    assert math.isnan(lengthened(0, "LSTM", "", results))


def test_a_network_that_diverged_scores_nothing():
    results = found()
    for each in results.rows:
        if each["task"] == "digits" and each["mitigations"]:
            each.update(diverged=20, score=None)
    assert trained("GRU", "Chrono", results).scores == (0.0, 0.0, 0.0)


def test_why_there_is_none_is_said():
    refused = {Trial("LSTM", "recall", 20, "Critical"): "Critical needs tanh."}
    results = replace(found(), refused=refused)
    assert trained("LSTM", "Critical", results).refused == "Critical needs tanh."
    assert trained("LSTM", "Critical", results).longest() is None
    partly = {Trial("GRU", "digits", None, "Chrono(span={lag})"): "no lag"}
    assert trained("GRU", "Chrono", replace(found(), refused=partly)).refused == ""


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ((0.4, 0.5, 0.45), (0.8, 0.82, 0.81), "helps"),
        ((0.8, 0.82, 0.81), (0.4, 0.5, 0.45), "hurts"),
        ((0.4, 0.5, 0.45), (0.55, 0.6, 0.57), "no difference"),  # apart, but not by more than both spread
        ((0.4, 0.4, 0.4), (0.4, 0.4, 0.4), "no difference"),
        ((), (0.8, 0.82, 0.81), None),
    ],
)
def test_a_difference_is_larger_than_the_spread_of_seeds(before, after, said):
    assert score_effect(Trained({}, before), Trained({}, after)) == said


PLAIN = Trained({20: True, 60: False, 180: False}, (0.4, 0.5, 0.45))


def test_a_reach_is_compared_at_lags_that_were_tried_both_ways():
    assert reaches(PLAIN, Trained({20: True, 60: True, 180: False})) == (20, 60)
    assert reaches(Trained({20: True, 60: True}), Trained({20: True})) == (20, 20)
    assert reach_effect(PLAIN, Trained({20: True, 60: True, 180: None})) is None
    assert reach_effect(PLAIN, Trained({})) is None
    assert reach_effect(PLAIN, Trained({20: False, 60: False, 180: False})) == "hurts"


def test_one_seed_counts_at_whichever_rate():
    assert [longest_of(seed, "GRU", "", found()) for seed in range(3)] == [60, 60, 60]
    assert [longest_of(seed, "GRU", "Chrono", found()) for seed in range(3)] == [60, 60, 60]
    assert [score_of(seed, "GRU", "", found()) for seed in range(3)] == [0.4, 0.5, 0.45]
    assert longest_of(0, "GRU", "", found([{"lag": 20, "lr": 0.1, "seed": 1}])) == 60  # another seed's is missing
    left = found([{"lr": 0.1, "seed": 0}])
    assert math.isnan(longest_of(0, "GRU", "", left))
    assert math.isnan(score_of(0, "GRU", "", left))
    assert math.isnan(longest_of(0, "LSTM", "", found()))


def test_each_network_is_compared_with_itself_untreated():
    both = compared("Chrono", found())
    assert list(both) == ["GRU"]
    assert both["GRU"] == (trained("GRU", "", found()), trained("GRU", "Chrono", found()))
    results = found()
    results.rows.extend(row(Trial(cell, "recall", 20, "He")) for cell in ("Elman", "Elman(nonlinearity='relu')", "GRU"))
    assert list(compared("He", results)) == ["tanh", "GRU"]


def test_where_results_come_from_is_said():
    places = [{"date": "2026-01-02", "torch": "2", "code": "a"}, {"date": "2026-01-01", "torch": "2", "code": "b"}]
    records = {Trial("GRU", "recall", lag): {"provenance": place} for lag, place in enumerate(places)}
    assert replace(found(), records=records).origin == {"date": "2026-01-01, 2026-01-02", "torch": "2"}


def test_a_cure_is_known_whatever_its_options():
    assert cure_of("Chrono(span={lag})") == cure_of("Chrono(span=64)") == "Chrono"
    assert cure_of("") == ""


def assert_answered(listed, tried, left_out):
    """Every cure is either tried in the study, or left out of it with a reason: else say both ways out."""
    asked = listed - tried - set(left_out)
    assert not asked, (
        f"{', '.join(sorted(asked))}: what is it worth in training? Either a line each in src/rnnvanish/records/studies/cures.yaml, "
        f"trained by `{more('cures')}`. Or, untrained, a line each in LEFT_OUT of experiments/cure_study.py: its reason, a sentence, "
        "stands on the pages in the place of results."
    )
    both = tried & set(left_out)
    assert not both, (
        f"{', '.join(sorted(both))}: the study has it, so take it out of LEFT_OUT in experiments/cure_study.py."
    )
    gone = set(left_out) - listed
    assert not gone, f"LEFT_OUT in experiments/cure_study.py has {', '.join(sorted(gone))}, and there is no such cure."
    assert all(reason.endswith(".") for reason in left_out.values())


def test_every_cure_is_in_the_study_or_it_is_said_why_not():
    trials = read(COMMITTED / "cures.yaml").trials()
    assert {trial.cell for trial in trials} == set(CELLS.values())
    tried = {cure_of(trial.mitigations) for trial in trials}
    assert "" in tried
    assert_answered(set(mitigations.ALL), tried, LEFT_OUT)


def test_a_new_cure_is_asked_for_its_worth_and_both_answers_will_do():
    with pytest.raises(
        AssertionError, match=r"New: what is it worth.*yaml, trained by .*--begin_with cures.*LEFT_OUT of exp"
    ):
        assert_answered({"Old", "New"}, {"", "Old"}, {})
    assert_answered({"Old", "New"}, {"", "Old", "New"}, {})
    assert_answered({"Old", "New"}, {"", "Old"}, {"New": "It was not tried yet."})
    with pytest.raises(AssertionError, match="New: the study has it, so take it out of LEFT_OUT"):
        assert_answered({"New"}, {"New"}, {"New": "It was not tried yet."})
    with pytest.raises(AssertionError, match="has New, and there is no such cure"):
        assert_answered({"Old"}, {"Old"}, {"New": "It was not tried yet."})


def test_the_scope_of_claims_is_that_of_the_study():
    rows = study().rows
    assert {row["hidden_size"] for row in rows} == {cures.UNITS}
    assert {row["budget"] for row in rows} == {cures.BUDGET}
    rates = {task: {row["lr"] for row in rows if row["task"] == task} for task in (REMEMBERED, REAL)}
    assert rates == {"recall": {*cures.RATES}, "digits": {*cures.RATES[:2]}}
    assert {str(row["lag"]) for row in rows if row["lag"]} == {*re.findall(r"\d+", cures.RECALL)}
