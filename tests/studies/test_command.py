"""`rnnvanish sweep`: how much there is to do, how far it is, what it found, and how it ends."""

import csv
import json
import math
import subprocess
import sys
from dataclasses import replace

import pytest
from pretended import pretend

from rnnvanish import studies
from rnnvanish.__main__ import main
from rnnvanish.studies import command, table
from rnnvanish.studies.estimate import estimate
from rnnvanish.studies.progress import Progress
from rnnvanish.studies.reader import results, write_results
from rnnvanish.studies.run import sweep
from rnnvanish.studies.store import Store
from rnnvanish.studies.study import Study, read

YAML = """name: seen
cells: [GRU, Elman]
mitigations: ["", OpenGate]
tasks: [recall, adding]
lags: [3, 6]
lrs: [0.01, 0.1]
seeds: [0, 1]
hidden_sizes: [3]
steps: 20
check_every: 10
batch_size: 4
"""


@pytest.fixture
def file(tmp_path, monkeypatch):
    """A study whose trials are pretended: a GRU learns lag 3 at either rate, lag 6 at the higher one with seed 0."""

    def attempt(trial):
        content = pretend(trial)
        learns = trial.cell == "GRU" and (trial.lag == 3 or (trial.lr == 0.1 and trial.seed == 0))
        content["result"]["solved"] = 10 * trial.lag if learns else None
        return content

    monkeypatch.setattr(command, "attempt", attempt)
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "study.yaml"
    path.write_text(YAML)
    return path


def ended(capsys, *args):
    code = main(["sweep", *map(str, args), "--json"])
    printed = capsys.readouterr()
    return code, json.loads(printed.out), printed.err


def test_a_study_from_its_beginning_to_its_results(file, tmp_path, capsys):
    code, before, _ = ended(capsys, file, "--status")
    assert (code, before["done"], before["missing"]) == (0, 0, 48)
    assert not (tmp_path / "studies").exists()
    code, after, _ = ended(capsys, file)
    assert (code, after["done"], after["missing"], after["solved"], after["outdated"]) == (0, 48, 0, 16 + 4, 0)
    assert after["refused"] == [{"why": after["refused"][0]["why"], "trials": 16}]
    assert "OpenGate suits no layer" in after["refused"][0]["why"]
    assert main(["sweep", str(file), "--status"]) == 0
    said = capsys.readouterr().out
    assert "seen: 48 of 48 trials have a result." in said
    assert "GRU on recall at lag 6, adam 0.1, seed 0: solved in 60 steps" in said


def test_what_is_missing_and_how_to_make_it(file, tmp_path, capsys):
    with pytest.raises(ValueError, match=r"no results in studies/seen\. Make them: rnnvanish sweep"):
        results("seen")
    ended(capsys, file)
    trials = read(file).trials()
    for trial in trials[:3]:
        Store("studies/seen").path(trial).unlink()
    Store("studies/seen").path(trials[3]).write_text("{")
    Store("studies/seen").write(
        trials[4], {k: v for k, v in pretend(trials[4]).items() if k != "result"} | {"failed": {"error": "E"}}
    )
    old = pretend(trials[5])
    old["provenance"]["code"] = "another"
    Store("studies/seen").write(trials[5], old)
    (tmp_path / "studies/seen/notes.json").write_text("{}")
    found = results("seen")
    assert found.missing == trials[:5]
    assert found.damaged == [trials[3]]
    assert found.failed == {trials[4]: "E"}
    assert found.outdated == [trials[5]]
    assert found.others == ["notes.json"]
    said = str(found)
    for words in (
        "43 of 48",
        "1 failed",
        "1 files are damaged",
        "1 results were made by other code",
        "1 files hold nothing",
    ):
        assert words in said
    again = said.partition("What is missing is made by: rnnvanish ")[2].split()
    assert main([*again, "--retry"]) == 0
    assert results("seen").missing == []


def test_a_failed_trial_is_said_and_the_exit_code_is_1(file, capsys, monkeypatch):
    real = command.attempt

    def attempt(trial):
        content = real(trial)
        if trial.seed == 1 and trial.lag == 6:
            del content["result"]
            content["failed"] = {"error": "ValueError: odd", "traceback": "..."}
        return content

    monkeypatch.setattr(command, "attempt", attempt)
    code, document, _ = ended(capsys, file)
    assert (code, document["done"], len(document["failed"]), document["missing"]) == (1, 36, 12, 12)
    assert main(["sweep", str(file), "--status"]) == 1
    said = capsys.readouterr().out
    assert "12 failed: run them again with --retry" in said
    assert "ValueError: odd; its traceback is in studies/seen/" in said


def test_success_by_lag_is_of_the_best_rate(file, capsys):
    ended(capsys, file)
    assert results("seen").success("recall") == {
        "GRU, as drawn": {3: 1.0, 6: 0.5}, "GRU, OpenGate": {3: 1.0, 6: 0.5}, "Elman, as drawn": {3: 0.0, 6: 0.0},
    }  # fmt: skip


def test_results_go_out_as_tables_and_come_back_from_a_small_file(file, tmp_path, capsys):
    parquet = pytest.importorskip("pyarrow.parquet")
    ended(capsys, file, "--export", tmp_path / "out.csv")
    ended(capsys, file, "--export", tmp_path / "out.parquet", "--plot", tmp_path / "out.svg")
    ended(capsys, file, "--status", "--export", tmp_path / "out.json")
    found, back = results("seen"), results(tmp_path / "out.json")
    assert back.rows == found.rows
    assert (back.missing, back.study) == ([], found.study)
    with (tmp_path / "out.csv").open(newline="") as table:
        rows = list(csv.DictReader(table))
    assert [row["solved"] for row in rows] == [
        "" if row["solved"] is None else str(row["solved"]) for row in found.rows
    ]
    assert {row["half_life_before"] for row in rows} == {"inf"}
    columns = parquet.read_table(tmp_path / "out.parquet").to_pydict()
    for name, values in columns.items():
        assert values == [row[name] for row in found.rows]
    assert "curve" not in columns
    picture = (tmp_path / "out.svg").read_text()
    assert picture.startswith("<?xml")
    write_results(replace(found, records=dict(list(found.records.items())[:-1])), tmp_path / "part.json")
    part = results(tmp_path / "part.json")
    assert [part.missing, len(part.rows)] == [[read(file).trials()[-1]], 47] or len(part.missing) == 1
    assert f"rnnvanish sweep STUDY.yaml --export {tmp_path / 'part.json'}" in str(part)


def test_a_file_of_results_that_is_damaged_is_said(file, tmp_path, capsys):
    ended(capsys, file, "--export", tmp_path / "out.json")
    whole = (tmp_path / "out.json").read_text()
    for spoilt in ("", whole[:-20], whole.replace('"schema": 1', '"schema": 2'), "{}"):
        (tmp_path / "out.json").write_text(spoilt)
        with pytest.raises(ValueError, match="holds no results of a study"):
            results(tmp_path / "out.json")


def test_a_sweep_goes_on_from_a_file_of_results_and_each_keeps_where_it_was_made(file, tmp_path, capsys, monkeypatch):
    ended(capsys, file)
    for trial in list(results("seen").records)[:40]:  # of another day, machine and code
        old = pretend(trial)
        old["provenance"] |= {"code": "another", "date": "2025-01-01", "commit": "1", "processor": "older"}
        Store("studies/seen").write(trial, old)
    ended(capsys, file, "--status", "--export", "all.json")
    before, run, real = results("all.json"), [], command.attempt
    monkeypatch.setattr(command, "attempt", lambda trial: run.append(trial) or real(trial))
    file.write_text(YAML.replace("OpenGate]", "OpenGate, ClipNorm]"))
    once_more = [file, "--out", "elsewhere", "--begin_with", "all.json", "--export", "more.json"]
    code, document, _ = ended(capsys, *once_more)
    assert (code, document["done"], document["missing"]) == (0, 48 + 32, 0)
    assert {trial.mitigations for trial in run} == {"ClipNorm"}
    assert len(run) == 32
    after = results("more.json")
    assert after.study == read(file)
    assert {trial: after.records[trial] for trial in before.records} == before.records
    assert len(after.outdated) == len(before.outdated) == document["outdated"] == 40
    assert ended(capsys, *once_more)[1]["done"] == 48 + 32
    assert len(run) == 32  # the same command goes on, and what is there stays


def test_a_row_is_known_by_its_fields(file, capsys):
    ended(capsys, file)
    found = results("seen")
    assert len(found.where(cell="GRU", lag=3)) == 16
    with pytest.raises(ValueError, match="A row has no 'lags'"):
        found.where(lags=3)
    assert all(math.isinf(row["half_life_before"]) for row in found.rows)


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--export", "out.txt"], "needs a file that ends in .csv, .parquet or .json, got out.txt"),
        (["--status", "--stop"], "one thing at a time, got --status and --stop"),
        (["--status", "--begin_with", "all.json"], "got --status with it: run it first, or leave it out"),
        (["--begin_with", "all.json"], "There is no all.json"),
        (["--statsu"], "Did you mean --status?"),
    ],
)
def test_wrong_use_is_said(args, said, file, capsys):
    assert main(["sweep", str(file), *args]) == 2
    assert said in capsys.readouterr().err


def test_there_is_no_such_study(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["sweep", "frist"]) == 2
    assert "frist" in capsys.readouterr().err


def test_nothing_is_exported_of_nothing(file, capsys):
    for option in ("--export=out.csv", "--plot=out.svg"):
        assert main(["sweep", str(file), "--status", option]) == 2
        assert "there is nothing to" in capsys.readouterr().err


def test_stop_asks_whoever_sweeps(file, capsys, monkeypatch):
    real, seen = command.attempt, []

    def attempt(trial):
        seen.append(trial)
        if len(seen) == 5:
            assert main(["sweep", str(file), "--stop"]) == 0
        return real(trial)

    monkeypatch.setattr(command, "attempt", attempt)
    assert main(["sweep", str(file)]) == 0
    assert len(seen) == 5
    assert "It was asked to stop." in capsys.readouterr().out


@pytest.mark.parametrize(("end", "code"), [(KeyboardInterrupt(), 130), (SystemExit(143), 143)])
def test_an_interruption_has_its_exit_code(end, code, file, capsys, monkeypatch):
    def attempt(trial):
        raise end

    monkeypatch.setattr(command, "attempt", attempt)
    found, document, said = ended(capsys, file)
    assert found == code
    assert "the same command goes on" in document["error"]
    assert "the same command goes on" in said


def test_a_dry_run_says_how_many_and_how_long(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "study.yaml"
    file.write_text(YAML.replace("[recall, adding]", "[recall]").replace("[3, 6]", "[3]"))
    code, document, _ = ended(capsys, file, "--dry-run")
    assert (code, document["trials"], document["networks"], document["timed"]) == (0, 12, 3, 3)
    assert document["seconds"] > 0
    assert document["refused"][0]["trials"] == 4
    assert not (tmp_path / "studies").exists()


def test_an_estimate_counts_every_trial_and_every_check(monkeypatch):
    """Of a machine on which a trial takes a second, and a check two."""
    timed = []

    def run(trial):
        timed.append(trial.network)
        return {"cost": {"seconds": 1.0 + 2.0 * (trial.steps // trial.check_every - 1)}}

    monkeypatch.setattr("rnnvanish.studies.estimate.run", run)
    trials = Study("t", ["GRU"], ["recall"], list(range(1, 21)), lrs=[0.1, 0.2], steps=100, check_every=10).trials()
    guess = estimate(trials)
    assert guess.seconds == pytest.approx(40 * (1 + 9 * 2))
    assert (guess.timed, guess.networks) == (8, 20)
    assert len(set(timed)) == 8


def test_where_no_terminal_is_there_is_a_line_now_and_then(capsys, monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(table.time, "monotonic", lambda: clock[0])
    progress = Progress(10)
    progress.begin()
    with table.shown("study") as report:
        for second in range(130):
            clock[0] = float(second)
            progress.here = progress.done = second // 26
            report(progress)
    said = capsys.readouterr().err.splitlines()
    assert said == [
        "rnnvanish: study: 2 of 10 done, 0 solved, 0 failed, 4 min left",
        "rnnvanish: study: 4 of 10 done, 0 solved, 0 failed, 3 min left",
    ]


def test_the_table_of_a_terminal_shows_what_there_is():
    from rich.console import Console

    trial = Study("t", ["GRU"], ["recall"], [7]).trials()[0]
    progress = Progress(12, running=2)
    progress.count(trial, pretend(trial))
    console = Console(width=200, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(table._table("t", progress))
    said = console.export_text()
    for words in ("Study t", "1 of 12", "running", "GRU on recall at lag 7", "solved in 70 steps"):
        assert words in said


def test_reading_results_imports_nothing_heavy(tmp_path):
    study = Study("whole", ["GRU"], ["recall"], [3])
    sweep(study, Store(tmp_path), function=pretend)
    write_results(results(tmp_path), tmp_path / "out.json")
    code = """if True:
        import sys
        import rnnvanish
        assert "rnnvanish.studies" not in sys.modules
        from rnnvanish import studies
        assert len(studies.results(sys.argv[1]).rows) == 1
        heavy = {"pytorch_lightning", "matplotlib", "ray", "pyarrow", "pandas", "numba"}
        assert not heavy & set(sys.modules), heavy & set(sys.modules)
    """
    subprocess.run([sys.executable, "-c", code, tmp_path / "out.json"], check=True, timeout=120)


def test_public_names_are_there():
    assert studies.results is results
