"""The data of the page *Explore*: every recorded number and no other, in the order of the history."""

import itertools
import json
import math
from collections import Counter

import pytest

from bench import ROOT
from bench.pages import explorer
from bench.stored import archive, results

pytestmark = pytest.mark.skipif(not results.has_history(ROOT), reason="a copy without history has no commits")


@pytest.fixture(scope="module")
def known():
    return archive.Archive()


@pytest.fixture(scope="module")
def shown(known):
    """What there is to choose, and by benchmark the lines that were written."""
    return json.loads(json.dumps(explorer.choices(known)))


@pytest.fixture(scope="module")
def lines(known, tmp_path_factory):
    folder = tmp_path_factory.mktemp("explorer")
    explorer.write(known, folder / "explore")
    return {
        path.stem: json.loads(path.read_text(encoding="utf-8").partition(" = ")[2].removesuffix(";\n"))
        for path in (folder / "explore").iterdir()
    }


def from_the_files(known):
    """Every number of `bench/results`, read again without the tools of `bench/stored`."""
    found = Counter()
    for path in (ROOT / "bench/results").glob("*/????????-*.json"):
        data = json.loads(path.read_text(encoding="utf-8"))
        if data["commit_hash"] not in known.commits:
            continue
        for name, (values, params, version) in data["results"].items():
            if known.benchmarks.get(name, {}).get("version") != version:
                continue
            for cell, value in zip(itertools.product(*params), values or [], strict=False):
                if value is None or not math.isnan(value):
                    cell = tuple(each.strip("'") for each in cell)
                    found[path.parent.name, name, cell, data["commit_hash"][:8], value] += 1
    return found


def from_the_page(shown, lines):
    found = Counter()
    for each in shown["benchmarks"]:
        for machine, places, points, *_ in lines[each["name"]]:
            cell = tuple(known["values"][place] for known, place in zip(each["parameters"], places, strict=True))
            for commit, value in points:
                found[shown["machines"][machine], each["name"], cell, shown["commits"][commit][0], value] += 1
    return found


def test_every_number_is_the_recorded_one_and_none_is_left_out(known, shown, lines):
    assert len(from_the_page(shown, lines)) > 1000
    assert from_the_page(shown, lines) == from_the_files(known)


def test_commits_stand_in_the_order_of_the_history(known, shown, lines):
    places = {commit.short: commit.place for commit in known.commits.values()}
    order = [places[name] for name, _, _ in shown["commits"]]
    assert order == sorted(order)
    for found in lines.values():
        for _, _, points, *_ in found:
            assert [commit for commit, _ in points] == sorted(commit for commit, _ in points)


def test_what_became_worse_is_marked_where_it_did(known, shown, lines):
    marked = {
        (name, tuple(places), shown["commits"][int(commit)][0], round(factor, 2))
        for name, found in lines.items()
        for _, places, _, worse, _ in found
        for commit, (factor, _) in worse.items()
    }
    assert ("memory.Saved.track_saved", (0,), "9291851d", 2.0) in marked  # of the Elman network
    assert len(marked) == len(known.regressions)


def test_a_script_cannot_be_closed_by_what_is_in_the_data(known, monkeypatch):
    monkeypatch.setattr(explorer, "choices", lambda _: {"subject": "</script><script>alert(1)</script>"})
    page = explorer.explorer(known)
    assert page.count("</script>") == 1
    assert "alert(1)" in page
