"""`rnnvanish claims --update`: what the study of claims lacks is trained, kept as it comes, and nothing is trained twice."""

import json

import pytest

from rnnvanish.experiments import claim_study, command
from rnnvanish.studies import run as sweeping
from rnnvanish.studies.reader import results

STUDY = """name: claims
cells: [Elman]
tasks: [recall]
lags: [2]
lrs: [0.01, 0.1]
seeds: [0]
final_seeds: [1]
hidden_sizes: [3]
batch_size: 4
steps: 2
check_every: 1
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A study of claims that takes no time."""
    (tmp_path / "claims.yaml").write_text(STUDY)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(command, "COMMITTED", tmp_path)
    monkeypatch.setattr(claim_study, "COMMITTED", tmp_path)
    claim_study.forget()
    yield tmp_path
    claim_study.forget()


@pytest.fixture
def trained(monkeypatch):
    """The trials that are trained, in order."""
    asked, real = [], sweeping.run
    monkeypatch.setattr(sweeping, "run", lambda trial, **options: asked.append(trial) or real(trial, **options))
    return asked


def test_what_is_missing_is_trained_and_written_down(folder, trained):
    assert claim_study.found() is None
    command._train(1)
    assert [(trial.lr, trial.seed) for trial in trained[:2]] == [(0.01, 0), (0.1, 0)]
    assert (len(trained), trained[2].seed) == (3, 1)
    found = claim_study.found()
    assert (len(found.rows), found.missing, found.to_come) == (3, [], 0)
    command._train(1)
    assert len(trained) == 3


def test_a_fresh_checkout_goes_on_from_what_is_committed(folder, trained):
    command._train(1)
    for path in (folder / "studies/claims").iterdir():
        path.unlink()
    (folder / "claims.yaml").write_text(STUDY.replace("final_seeds: [1]", "final_seeds: [1, 2]"))
    command._train(1)
    assert [trial.seed for trial in trained] == [0, 0, 1, 2]
    assert len(results(folder / "claims.json").rows) == 4


def test_what_was_trained_before_an_interruption_is_written_down(folder, trained, monkeypatch, capsys):
    def interrupted(trial, **options):
        raise KeyboardInterrupt

    command._train(1)
    (folder / "claims.yaml").write_text(STUDY.replace("final_seeds: [1]", "final_seeds: [1, 2]"))
    monkeypatch.setattr(sweeping, "run", interrupted)
    with pytest.raises(SystemExit):
        command.fill([claim for claim in command.experiments.claims() if claim.id == "gru.gru_learns"])
    assert "0 claims are left to measure" in capsys.readouterr().err
    assert len(json.loads((folder / "claims.json").read_text())["rows"]) == 3
