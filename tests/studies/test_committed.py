"""The studies that come with the package: whole, small enough for git, and what the code of today gives, too."""

from dataclasses import replace

import pytest
from pretended import more

from rnnvanish.studies.reader import COMMITTED, results
from rnnvanish.studies.run import attempt
from rnnvanish.studies.study import read
from rnnvanish.studies.trial import Trial

NAMES = sorted(path.stem for path in COMMITTED.glob("*.json"))


@pytest.mark.parametrize("file", sorted(COMMITTED.glob("*.yaml")), ids=lambda file: file.stem)
def test_a_study_can_be_read(file):
    study = read(file)
    assert study.name == file.stem
    assert study.trials()


def assert_is_of(found, study):
    """These results are those of a study, whole: else say what makes them so."""
    wanted, there = set(study.trials()), set(found.study.trials())
    changed = f"{len(wanted - there)} trials are new and {len(there - wanted)} are gone"
    name = study.name
    assert found.study == study, (
        f"{name}.json has the results of {name}.yaml as it was: {changed}. What is new is trained, and all of it written down, by "
        f"`{more(name)}`."
        + " A cure need not be trained: see LEFT_OUT in experiments/cure_study.py."
        * (name == "cures")
    )
    assert not found.missing, f"{name}.json lacks {len(found.missing)} results: `{more(name)}` makes them."
    assert not found.others, (
        f"{name}.json has {len(found.others)} results of no trial of {name}.yaml: `{more(name)}` leaves them out."
    )


def test_results_of_another_study_say_what_makes_them_whole():
    found = results("first")
    assert_is_of(found, found.study)
    longer = replace(found.study, seeds=[*found.study.seeds, 99])
    count = len(longer.trials()) - len(found.study.trials())
    with pytest.raises(
        AssertionError, match=rf": {count} trials are new and 0 are gone.*sweep first --begin_with first --export"
    ):
        assert_is_of(found, longer)
    with pytest.raises(AssertionError, match=r"LEFT_OUT in experiments/cure_study\.py"):
        assert_is_of(found, replace(longer, name="cures"))
    with pytest.raises(AssertionError, match=r"lacks 1 results: `\.venv/bin/rnnvanish sweep first"):
        assert_is_of(replace(found, missing=found.study.trials()[:1]), found.study)


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_missing_and_it_is_small(name):
    found = results(name)
    assert_is_of(found, read(COMMITTED / f"{name}.yaml"))
    size = (COMMITTED / f"{name}.json").stat().st_size
    assert size < 1_000_000, (
        f"{name}.json has {size} bytes, and a million is what a study may take: which trials can go?"
    )
    tasks = {row["task"] for row in found.rows}
    assert tasks == set(found.study.every("tasks"))


@pytest.mark.parametrize("name", NAMES)
def test_the_shortest_trial_still_gives_its_numbers(name):
    """Processors round in their own ways, so at the first validation, before that has grown."""
    found = results(name)
    tested = [trial for trial, content in found.records.items() if content["result"]["curve"].get("loss")]
    trial = min(tested, key=lambda each: found.records[each]["result"]["steps"] * (each.lag or 1))
    stored, today = found.records[trial]["result"], attempt(Trial(**trial.configuration))["result"]
    assert today["curve"]["loss"][0] == pytest.approx(stored["curve"]["loss"][0], rel=1e-2)
    assert today["before"] == pytest.approx(stored["before"], rel=1e-2)
    assert today["parameters"] == stored["parameters"]
