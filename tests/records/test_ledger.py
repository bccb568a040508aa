"""Stored measurements: kept, recalled, held against the bounds of today, and known to be old when the code changes."""

import dataclasses
import datetime
import json
import random

import pytest

from rnnvanish import experiments
from rnnvanish.__main__ import main
from rnnvanish.claim import MIME, ClaimBroken, Verdict, at_least, at_most, claim, control
from rnnvanish.experiments.claim_grid import GridClaim
from rnnvanish.records import ledger
from rnnvanish.records.provenance import provenance

CHEAP = [claim_ for claim_ in experiments.claims() if not claim_.stored]
STORED = [claim_ for claim_ in experiments.claims() if claim_.stored and not isinstance(claim_, GridClaim)]


def dear(name, values, stated=Verdict.HOLDS, measured=None):
    """Make a stored claim that counts how often it is measured."""

    def sample(seed):
        if measured is not None:
            measured.append((name, seed))
        if isinstance(values[seed], BaseException):
            raise values[seed]
        return values[seed]

    sample.__name__ = name
    return claim(
        section=1,
        sentence="`Ten` < it.",
        finding="It is `large`.",
        scope="two stones",
        statistic="size",
        unit="steps",
        stated=stated,
        holds=at_least(10),
        fails=at_most(1),
        seeds=len(values),
        stored=True,
    )(sample)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(ledger, "FOLDER", tmp_path / "records")
    return tmp_path / "records"


@pytest.fixture
def known(monkeypatch):
    """Let the command know these claims alone."""
    return lambda *claims: monkeypatch.setattr(experiments, "claims", lambda: list(claims))


def test_what_is_kept_is_recalled(folder):
    claim_ = dear("it", (12, float("inf"), 11))
    measurement = claim_.measure()
    claim_.keep(measurement)
    recalled = claim_.recall()
    assert recalled.values == measurement.values == (12, float("inf"), 11)
    assert recalled.verdict == Verdict.HOLDS
    assert recalled.provenance == provenance()
    assert not recalled.outdated
    assert [path.name for path in folder.iterdir()] == [f"{claim_.id}.json"]
    assert json.loads(json.dumps(claim_.to_json(recalled), allow_nan=False))["values"] == [12, "inf", 11]


def test_its_control_is_kept_too_and_measured_once(folder):
    measured = []

    def otherwise(value):
        def sample(seed, less=0):
            measured.append((seed, less))
            return value - less

        claim_ = dear("it", (12,))
        return dataclasses.replace(claim_, sample=sample, control=control("with less", less=11), first=5)

    claim_ = otherwise(12)
    claim_.keep(claim_.measure())
    assert measured == [(5, 0), (5, 11)]
    assert claim_.check_control().verdict == Verdict.FAILS
    with pytest.raises(ClaimBroken, match="too"):
        dataclasses.replace(
            claim_, control=control("with less", less=0), bounds={Verdict.HOLDS: at_most(20)}
        ).check_control()
    assert len(measured) == 2


def test_a_claim_begins_at_its_first_seed_and_what_reads_a_study_has_no_more_than_its_own():
    claim_ = dataclasses.replace(dear("it", range(20)), seeds=3, first=5)
    assert claim_.measure().values == (5, 6, 7)
    assert claim_.measure(5).values == (5, 6, 7, 8, 9)
    assert claim_.measure(2, first=8).values == (8, 9)
    assert dataclasses.replace(claim_, origin=provenance).measure(5).values == (5, 6, 7)


def test_a_stored_measurement_is_held_against_the_bounds_of_today(folder):
    dear("it", (12,)).keep(dear("it", (0,)).measure())
    with pytest.raises(ClaimBroken, match="that it does not hold"):
        dear("it", (12,)).show()


def test_a_missing_one_names_the_command(folder, known, capsys):
    claim_ = dear("it", (12,))
    with pytest.raises(ledger.NotStored, match=f"rnnvanish claims --update --only {claim_.id}$"):
        claim_.show()
    known(claim_)
    assert main(["claims"]) == 2
    assert "--update --only" in capsys.readouterr().err


def test_a_page_shows_it_with_its_provenance_and_measures_nothing(folder, monkeypatch):
    claim_ = dear("it", (12,))
    claim_.keep(claim_.measure())
    shown = []
    monkeypatch.setattr("IPython.display.display", lambda data, raw: shown.append(data))
    never = []
    dear("it", (12,), measured=never).show()
    monkeypatch.setattr(ledger, "digest", lambda module: "another")
    claim_.show()
    assert never == []
    fresh, old = (data["text/html"] for data in shown)
    assert f"Measured on {provenance()['date']}, commit {provenance()['commit']}, {provenance()['processor']}" in fresh
    assert "<code>Ten</code> &lt; it." in fresh
    assert "It is <code>large</code>." in fresh
    assert "has changed since" not in fresh
    assert "has changed since" in old
    assert [data[MIME]["outdated"] for data in shown] == [False, True]


def test_update_stores_each_at_once_and_goes_on_after_an_interruption(folder, known, capsys):
    measured = []
    known(dear("first", (12,), measured=measured), dear("second", (KeyboardInterrupt(),), measured=measured))
    assert main(["claims", "--update"]) == 130
    known(dear("first", (12,), measured=measured), dear("second", (13,), measured=measured))
    assert main(["claims", "--update"]) == 0
    assert measured == [("first", 0), ("second", 0), ("second", 0)]
    assert "2 of 2 claims" in capsys.readouterr().out
    assert main(["claims", "--update", "--only", dear("first", (12,)).id]) == 0  # named: measured in any case
    assert measured[3:] == [("first", 0)]
    assert main(["claims"]) == 0
    assert len(measured) == 4
    capsys.readouterr()
    assert main(["claims", "--all"]) == 0
    assert len(measured) == 6
    assert "Measuring the expensive claims, too, takes about less than a second" in capsys.readouterr().err


def test_what_is_of_other_code_is_measured_again_and_what_is_of_another_day_is_not(folder, known, monkeypatch):
    measured = []
    claim_ = dear("it", (12,), measured=measured)
    known(claim_)
    main(["claims", "--update"])
    path = folder / f"{claim_.id}.json"
    path.write_text(path.read_text().replace(provenance()["date"], "2001-01-01"))
    main(["claims", "--update"])
    assert len(measured) == 1
    monkeypatch.setattr(ledger, "digest", lambda module: "another")
    main(["claims", "--update"])
    assert len(measured) == 2


def test_a_verdict_that_differs_is_stored_and_fails(folder, known, capsys):
    claim_ = dear("it", (0,))
    known(claim_)
    assert main(["claims", "--update"]) == 1
    assert "THE TEXT STATES: holds" in capsys.readouterr().out
    assert claim_.recall().verdict == Verdict.FAILS


@pytest.mark.parametrize("arguments", [["--update", "--seeds", "3"], ["--update", "--all"]])
def test_options_that_contradict_each_other(capsys, arguments):
    assert main(["claims", *arguments]) == 2
    assert "leave out --all and --seeds" in capsys.readouterr().err


@pytest.fixture
def project(tmp_path, monkeypatch):
    """Two modules, of which one imports the other."""

    def write(experiment, used):
        for name, text in {"experiment": experiment, "used": used}.items():
            (tmp_path / f"{name}.py").write_text(text)
        paths = {f"rnnvanish.{name}": str(tmp_path / f"{name}.py") for name in ("experiment", "used")}
        real = ledger.importlib.util.find_spec
        fake = type("Spec", (), {})
        for name, path in paths.items():
            paths[name] = fake()
            paths[name].origin = path
        monkeypatch.setattr(ledger.importlib.util, "find_spec", lambda name: paths.get(name) or real(name))
        monkeypatch.setattr(ledger, "_home", lambda module, name: module)
        return ledger.digest("rnnvanish.experiment")

    return write


EXPERIMENT = '''"""Section 1."""
from rnnvanish.used import step

@claim(section=1, sentence="Ten.")
def it(seed: int) -> float:
    """Do it."""
    return step(seed)
'''


def test_the_digest_knows_code_and_its_imports_and_no_prose(project):
    before = project(EXPERIMENT, "def step(seed):\n    return seed + 1\n")
    prose = EXPERIMENT.replace("Ten.", "Eleven.").replace("Do it.", "Do it well.").replace("Section 1", "Another")
    assert project(prose, "def step(seed):\n    # why\n    return seed + 1\n") == before
    assert (
        project(EXPERIMENT.replace("step(seed)", "step(seed + 1)"), "def step(seed):\n    return seed + 1\n") != before
    )
    assert project(EXPERIMENT, "def step(seed):\n    return seed + 2\n") != before


def test_the_digest_finds_what_an_experiment_is_made_of():
    reached = ledger._reached("rnnvanish.experiments.vanishing")
    assert {"rnnvanish.experiments.small", "rnnvanish.probes.retention", "rnnvanish.probes.curve"} <= reached
    assert not {"rnnvanish.claim", "rnnvanish.plots", "rnnvanish.experiments.bptt"} & reached


def test_a_new_cell_makes_no_measurement_old_but_the_cell_that_was_measured_does():
    reached = ledger._reached("rnnvanish.experiments.multiplication")
    assert "rnnvanish.recurrent" in reached
    assert "rnnvanish.cells.elman" in reached
    assert "rnnvanish.cells" not in reached
    learner = ledger._reached("rnnvanish.training.learner")
    assert "rnnvanish.cells.gru" in learner, "it walks through cells.ALL"
    assert "rnnvanish.mitigation.build" in learner, "a folder that hands on what a file of it has"
    clipping = ledger._reached("rnnvanish.experiments.clipping")
    assert "rnnvanish.templates" in clipping, "a folder whose own file has what is imported"


@pytest.mark.parametrize("claim_", STORED, ids=lambda claim_: claim_.id)
def test_every_dear_claim_has_a_stored_measurement_with_its_stated_verdict(claim_):
    assert len(claim_.hold(claim_.recall()).values) >= 5


#: Others every day; the build of the site measures all of them.
FEW = random.Random(datetime.date.today().isoformat()).sample(CHEAP, min(5, len(CHEAP)))


@pytest.mark.parametrize("claim_", FEW, ids=lambda claim_: claim_.id)
def test_a_random_few_are_measured_again(claim_):
    claim_.check()
