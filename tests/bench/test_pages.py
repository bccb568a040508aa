"""The pages made from results: what is said is what was recorded, and what was not measured is said to be so."""

import json
import math
import re
import shutil
from xml.etree import ElementTree

import pytest

from bench.pages import pictures, placeholders, tables
from bench.stored import archive, results
from rnnvanish import cells

COMMITS = [results.Commit(f"{place:040x}", place, "2026-01-02", f"Commit <{place}>") for place in range(4)]
MACHINE = {"cpu": "Fast", "num_cpu": "2", "ram": "8 GiB", "gpu": "none", "driver": "none", "threads": "1 per core"}
KNOWN = {
    "speed.TrainingStep.track_vs_torch": {"unit": "x torch.nn", "version": "1", "param_names": ["cell", "device"]},
    "diagnose.Looking.track_overhead": {"unit": "x training step", "version": "1", "param_names": ["look"]},
    "diagnose.Monitor.track_overhead": {"unit": "x unwatched training", "version": "1", "param_names": []},
    "retention.Retention.track_decades_lost": {"unit": "decades", "version": "1", "param_names": ["cell", "lag"]},
}


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A repository of four commits: the third doubles what the LSTM loses, the fourth cannot be measured."""
    folder = tmp_path / "bench/results/box"
    folder.mkdir(parents=True)
    (folder / "machine.json").write_text(json.dumps(MACHINE))
    for commit, lost in zip(COMMITS, (20.0, 20.0, 40.0, None), strict=True):
        values = {
            "speed.TrainingStep.track_vs_torch": [
                [1.5, math.nan, math.nan, math.nan],
                [["'GRU'", "'MGU'"], ["'cpu'", "'cuda'"]],
                "1",
            ],
            "diagnose.Looking.track_overhead": [[6.25], [["'retention'"]], "1"],
            "diagnose.Monitor.track_overhead": [[1.5], [], "1"],
            "retention.Retention.track_decades_lost": [[lost, 3.0], [["'LSTM'"], ["100", "10"]], "1"],
        }
        run = {"benchmarks": list(values), "busy": True, "versions": {"torch": "9.9"}, "date": "2026-02-03T00:00:00"}
        if lost is None:
            values, run["unbuilt"] = {name: [None, row[1], "1"] for name, row in values.items()}, "ImportError: <x>"
        data = {"commit_hash": commit.hash, "env_name": "e", "result_columns": ["result", "params", "version"]}
        text = json.dumps(data | {"results": values, "provenance": [run]})
        (folder / f"{commit.place:08}-e.json").write_text(text)
    monkeypatch.setattr(archive, "history", lambda _: {commit.hash: commit for commit in COMMITS})
    monkeypatch.setattr(archive, "benchmarks", lambda _: KNOWN)
    return tmp_path


def part(root, name):
    return placeholders.fill(f'<div data-rv-bench="{name}"></div>', root)


def test_every_part_can_be_made_and_a_wrong_name_is_an_error(root):
    for name in placeholders.PARTS:
        ElementTree.fromstring(f"<div>{part(root, name)}</div>")
    with pytest.raises(KeyError):
        part(root, "nonsense")


def test_a_cell_is_shown_with_its_newest_number_and_a_skipped_one_not_at_all(root):
    shown = part(root, "cells")
    assert re.search(r"GRU</th><td>1\.5 times", shown)
    assert "MGU" not in shown


@pytest.mark.parametrize(("place", "newest", "older"), [(3, "1.1 times", "1.5 times"), (1, "1.5 times", "1.1 times")])
def test_of_two_environments_the_one_that_was_measured_last_is_shown(root, place, newest, older):
    for name in ("a", "z"):  # before and after the other one by name
        path = root / f"bench/results/box/{COMMITS[0].place:08}-e.json"
        data = json.loads(path.read_text()) | {"commit_hash": COMMITS[place].hash, "env_name": name}
        for values, *_ in data["results"].values():
            values[0] = 1.1
        added = path.with_name(f"{place:08}-{name}.json")
        added.write_text(json.dumps(data))
        for each in ("cells", "side-by-side", "numbers"):
            shown = part(root, each)
            assert newest in shown, (name, each)
            assert older not in shown, (name, each)
        added.unlink()


def test_a_line_over_commits_has_a_dot_for_each_that_was_measured(root):
    shown = part(root, "over-commits")
    assert re.findall(r"<title>(.*?)</title>", shown) == [
        f"GRU, commit {each.short}: 1.5 times" for each in COMMITS[:3]
    ]
    assert "over 3 commits" in shown
    assert "At the newest commit: GRU 1.5 times." in shown
    assert part(root, "counted").startswith("<p><strong>3 of 4 commits</strong>")


def test_a_cell_that_a_machine_has_no_number_of_is_an_empty_field(root, monkeypatch):
    monkeypatch.setattr(pictures, "AGAINST_LOOP", pictures.AGAINST_TORCH)
    shutil.copytree(root / "bench/results/box", root / "bench/results/other")
    newest = root / f"bench/results/other/{2:08}-e.json"
    newest.write_text(newest.read_text().replace("[1.5, NaN, NaN, NaN]", "[NaN, NaN, 0.25, NaN]"))
    box, other = part(root, "fields").split("other: ")
    fields = re.findall(r'<li class="rv-(\w+)[^>]*>(\w+) <span>(.*?)</span>', box)
    assert [cell for _, cell, _ in fields] == sorted(cells.ALL, key=str.lower)
    assert ("slower", "GRU", "1.5×") in fields
    assert ("none", "MGU", "not measured") in fields
    assert f"box: 1 of {len(cells.ALL)} cells" in box
    assert '<li class="rv-faster rv-by3">MGU <span>0.25×</span>' in other


def test_machines_stand_side_by_side_with_their_newest_numbers(root):
    """Of the cells that torch.nn has; a number that a machine has not is a dash."""
    shutil.copytree(root / "bench/results/box", root / "bench/results/other")
    for old, new in (("[1.5, NaN, NaN, NaN]", "[NaN, NaN, 0.25, NaN]"), ("'cuda'", "'cpu'")):
        for path in (root / "bench/results/other").glob("*-e.json"):
            path.write_text(path.read_text().replace(old, new))
    shown = re.sub(r"<[^>]*>", "|", part(root, "side-by-side"))
    assert re.search(r"Cell\|+box\|+other\|", shown)
    assert re.search(r"GRU\|+1\.5 times\|+–\|", shown)
    assert re.search(r"MGU\|+–\|+0\.25 times\|", shown)
    assert "CPU time" not in shown


def test_a_number_of_its_own_stands_beside_those_that_have_parameters(root):
    shown = part(root, "looks")
    assert "retention</th><td>6.25 times</td><td>–</td>" in shown
    assert "monitor</th><td>–</td><td>1.5 times</td>" in shown


def test_what_became_worse_is_named_with_its_commit(root):
    shown = part(root, "worse")
    assert "LSTM, lag 100" in shown
    assert f"{COMMITS[2].short}, 2026-01-02: Commit &lt;2&gt;" in shown
    assert "20 decades" in shown
    assert "still so" in shown
    ring = part(root, "numbers")
    assert ring.count("<circle") == 1
    assert f"from 20 decades to 40 decades; worse at {COMMITS[2].short}" in ring
    assert "the same at every commit (decades): LSTM, lag 10: 3." in ring


def test_a_commit_that_could_not_be_measured_is_listed_with_the_reason(root):
    assert "ImportError: &lt;x&gt;" in part(root, "missing")


def test_without_a_gpu_the_page_says_not_measured(root):
    assert "while others used the machine" in part(root, "machines")
    assert "On a GPU: <strong>not measured</strong>. None of these machines has one." in part(root, "cells")


def test_what_was_measured_on_a_gpu_stands_beside_the_processor(root):
    machine = root / "bench/results/box/machine.json"
    machine.write_text(json.dumps(MACHINE | {"gpu": "H200", "driver": "550"}))
    assert "H200, driver 550" in part(root, "machines")
    assert part(root, "cells").endswith("On a GPU: <strong>not measured</strong>.</p>")
    newest = root / f"bench/results/box/{2:08}-e.json"
    newest.write_text(newest.read_text().replace("[1.5, NaN, NaN, NaN]", "[1.5, 0.25, NaN, NaN]"))
    cpu, gpu = part(root, "cells").split(": box, on its GPU")
    assert "GRU</th><td>1.5 times</td>" in cpu
    assert "GRU</th><td>0.25 times</td>" in gpu
    assert "not measured" not in gpu
    assert "GRU, on its GPU: 0.25 times." in part(root, "numbers")


def test_on_a_phone_each_number_of_a_wide_table_knows_its_column():
    rows = [["a", "1", "2", "3", "4<"]]
    assert '<td data-label="E&lt;">4&lt;</td>' in tables.table("C", ["A", "B", "C", "D", "E<"], rows)
    assert "data-label" not in tables.table("C", ["A", "B"], [["a", "1"]])


def test_the_engine_is_shown_by_cell_with_every_size_below(root):
    rows = {f"GRU hidden={width}": {"ms": 2.0, "torch": ratio} for width, ratio in ((32, 0.25), (64, 0.5), (128, 4.0))}
    data = {
        "tables": {"torch": rows, "first": {"GRU": {"cold_s": 1.5}}},
        "provenance": {"date": "2026-02-03", "commit": "c"},
    }
    (root / "bench/results/box/goals.json").write_text(json.dumps(data))
    shown = part(root, "engine")
    assert "<td>0.5 (0.25 to 4)</td><td>3</td>" in shown
    assert "GRU hidden=128</th><td>2</td><td>4</td>" in shown
    assert "GRU</th><td>1.5</td></tr>" in shown
    assert "not measured</td></tr>" in shown
    assert part(root, "cells")  # it is no result of asv's, and is not taken for one


def test_against_another_package_the_middle_of_all_cells_counts(root):
    rows = [
        {"package": "torchrecurrent 1", "ours": name, "training": at} for name, at in (("A", 1), ("B", 4), ("C", 5))
    ]
    rows += [{"package": "torchrecurrent 1", "ours": "D"}, {"package": "other 1", "ours": "A", "training": 100}]
    (root / "bench/peers/results").mkdir(parents=True)
    (root / "bench/peers/results/box.json").write_text(json.dumps({"rows": rows}))
    known = {"tables": {}, "provenance": {"date": "2026-02-03", "commit": "c"}}
    (root / "bench/results/box/goals.json").write_text(json.dumps(known))
    shown = re.sub(' data-label="[^"]*"', "", part(root, "engine"))
    assert "<td>0.333</td><td>0.25</td><td>1 (torchrecurrent cell=A)</td><td>kept</td>" in shown


@pytest.mark.parametrize("name", ["peers", "noise", "growth", "engine"])
def test_what_is_not_there_is_not_measured_yet(root, name):
    assert part(root, name) == "<p>Not measured yet.</p>"


def test_the_false_alarms_are_counted(root):
    tries = [{"numbers": 9, "suspected": ["a"], "alarms": [], "apart": [1.01], "load": [1, 2]} for _ in range(20)]
    tries[0]["alarms"] = ["a"]
    (root / "bench/noise").mkdir()
    (root / "bench/noise/box.json").write_text(json.dumps({"commit": "abcdef0123", "rounds": 25, "tries": tries}))
    shown = part(root, "noise")
    assert "first look: 20." in shown
    assert "<strong>1 of 20</strong>" in shown


def test_the_feed_is_one_and_has_an_entry_for_each(root):
    placeholders.write(root, root)
    feed = ElementTree.fromstring((root / "regressions.xml").read_text(encoding="utf-8"))
    atom = "{http://www.w3.org/2005/Atom}"
    (entry,) = feed.findall(f"{atom}entry")
    assert "2.00 times" in entry.find(f"{atom}title").text
    assert entry.find(f"{atom}updated").text == "2026-01-02T00:00:00Z"
    assert COMMITS[2].short in entry.find(f"{atom}summary").text
