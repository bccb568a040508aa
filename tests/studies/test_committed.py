"""The studies that come with the package: whole, small enough for git, and what the code of today gives, too."""

import pytest

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


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_missing_and_it_is_small(name):
    found = results(name)
    assert found.study == read(COMMITTED / f"{name}.yaml")
    assert not found.others
    assert not found.missing
    assert (COMMITTED / f"{name}.json").stat().st_size < 1_000_000
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
