"""`rnnvanish claims`: a section, one claim, a broken one, and what there is not."""

import json

import pytest

from rnnvanish.__main__ import main


def test_claims(capsys):
    assert main(["claims", "--section", "1", "--seeds", "1", "--json"]) == 0
    records = json.loads(capsys.readouterr().out)["claims"]
    assert {record["section"] for record in records} == {1}
    assert all(record["seeds"] == 1 and record["verdict"] == record["stated"] for record in records)
    assert main(["claims", "--only", records[0]["id"]]) == 0
    assert "1 of 1 claims" in capsys.readouterr().out


def test_a_broken_claim_fails(monkeypatch, capsys):
    from dataclasses import replace

    from rnnvanish import experiments

    sound = experiments.claims()[0]
    monkeypatch.setattr(experiments, "claims", lambda: [replace(sound, sample=lambda seed: 1e9)])
    assert main(["claims"]) == 1
    assert f"THE TEXT STATES: {sound.stated}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--section", "99"], "no section 99. There are: 1, 2, 3"),
        (["--only", "structure.nothing"], "no claim 'structure.nothing'"),
        (["--seeds", "0"], "needs seeds >= 1, got 0"),
    ],
)
def test_wrong_claims(capsys, arguments, said):
    assert main(["claims", *arguments]) == 2
    assert said in capsys.readouterr().err
