"""Stored results run again: what is the same, what differs, and what is noted of it."""

import json
from copy import deepcopy

import pytest
from pretended import pretend

from rnnvanish.__main__ import main
from rnnvanish.studies import command, verification
from rnnvanish.studies.reader import collect, put_back, results, write_results
from rnnvanish.studies.run import sweep
from rnnvanish.studies.store import Store
from rnnvanish.studies.study import Study
from rnnvanish.studies.verification import difference, verify

STUDY = Study("again", ["GRU", "LSTM"], ["recall"], [3, 6], lrs=[0.01, 0.1], seeds=[0, 1])
CURVE = {"step": list(range(0, 300, 10)), "loss": [1 / step for step in range(1, 31)]}


def full(trial):
    content = pretend(trial)
    content["result"]["curve"] = deepcopy(CURVE)
    return content


@pytest.fixture
def store(tmp_path):
    sweep(STUDY, Store(tmp_path / "again"), function=full)
    return Store(tmp_path / "again")


def records(store):
    return collect(STUDY, store, "").records


def test_the_same_numbers_are_the_same(store):
    note = verify(records(store), 5, full)
    assert (len(note.trials), note.differing, note.left_out) == (5, {}, 0)
    assert str(note).startswith("5 of 5 trials, drawn at random and run again on ")
    assert note.is_of_today(STUDY.trials())
    assert len(verify(records(store), 99, full).trials) == 16


def test_they_are_run_again_also_where_the_code_has_no_commit(store, monkeypatch):
    monkeypatch.setattr("rnnvanish.records.provenance.this_commit", lambda: None)
    assert " at commit unknown, " in str(verify(records(store), 5, full))


def test_they_are_drawn_at_random(store):
    assert len({frozenset(verify(records(store), 8, full).trials) for _ in range(5)}) > 1


@pytest.mark.parametrize(("name", "value"), [("loss", 0.50001), ("solved", None), ("before", None), ("steps", 21)])
def test_another_outcome_differs(store, name, value):
    odd = next(iter(records(store)))

    def changed(trial):
        content = full(trial)
        content["result"] |= {name: value} if trial == odd else {}
        return content

    seen = {}
    note = verify(records(store), 16, changed, lambda trial, differs: seen.update({trial: differs}))
    assert list(note.differing) == [odd.key]
    assert f"{name}: " in seen.pop(odd)
    assert set(seen.values()) == {""}
    assert "15 of 16 trials" in str(note)


def test_of_a_thinned_curve_the_kept_points_count(store, tmp_path):
    write_results(collect(STUDY, store, ""), tmp_path / "again.json")
    found = results(tmp_path / "again.json")
    kept = next(iter(found.records.values()))["result"]
    assert len(kept["curve"]["loss"]) == 8
    assert verify(found.records, 16, full).differing == {}
    today = full(STUDY.trials()[0])
    today["result"]["curve"]["loss"][-1] *= 1.01
    assert "curve: " in difference(kept, today)
    assert difference(kept | {"curve": {}}, today) == ""


def test_what_fails_today_differs():
    stored = full(STUDY.trials()[0])["result"]
    assert difference(stored, {"failed": {"error": "ValueError: no"}}) == "today it fails: ValueError: no"


def test_long_ones_are_not_drawn_and_counted(store):
    known = records(store)
    for content in list(known.values())[:13]:
        content["cost"]["seconds"] = 61.0
    note = verify(known, 5, full)
    assert (len(note.trials), note.left_out) == (3, 13)
    assert "(13 that take over a minute were not drawn from)" in str(note)
    for content in known.values():
        content["cost"]["seconds"] = 61.0
    with pytest.raises(ValueError, match="of 16 none does"):
        verify(known, 5, full)


def test_it_is_noted_beside_the_results_and_carried_with_them(store, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(command, "attempt", full)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "again.yaml").write_text(
        "name: again\ncells: [GRU, LSTM]\ntasks: [recall]\nlags: [3, 6]\nlrs: [0.01, 0.1]\nseeds: [0, 1]\n"
    )
    assert main(["sweep", "again.yaml", "--out", "again", "--verify", "4", "--export", "again.json", "--json"]) == 0
    printed = capsys.readouterr()
    assert printed.err.count("the same numbers") == 4
    assert len(json.loads(printed.out)["verified"]["trials"]) == 4
    file, folder = results("again.json"), results(tmp_path / "again")
    assert file.verification == folder.verification
    assert folder.others == []
    assert folder.since == ""
    put_back(file, Store(tmp_path / "copy"))
    assert collect(STUDY, Store(tmp_path / "copy"), "").verification == file.verification


def test_what_was_found_stands_beside_how_many_are_outdated(store, monkeypatch):
    for trial, content in records(store).items():
        content["provenance"]["code"] = "another"
        store.write(trial, content)
    assert collect(STUDY, store, "").since == "16 results were made by other code than today's."
    command.keep_verification(verify(records(store), 2, full), store)
    found = collect(STUDY, store, "")
    assert found.since.startswith("16 results were made by other code than today's. 2 of 2 trials, drawn at random")
    assert found.since in str(found)
    assert "changed since then" not in found.since
    monkeypatch.setattr(verification, "code_of", lambda trial: "newer")
    assert collect(STUDY, store, "").since.endswith("gave the same numbers. The code has changed since then.")


def test_other_numbers_end_the_command_with_1_and_no_number_with_2(store, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        command, "attempt", lambda trial: full(trial) | {"result": full(trial)["result"] | {"loss": 1.0}}
    )
    where = [str(tmp_path / "again/study.json"), "--out", str(tmp_path / "again")]
    assert main(["sweep", *where, "--verify", "2"]) == 1
    assert "loss: 0.5 stored, 1.0 today" in capsys.readouterr().err
    assert main(["sweep", *where, "--verify", "0"]) == 2
    assert main(["sweep", *where, "--verify", "2", "--status"]) == 2
