"""The line in the box of a verdict: the points that were recorded, in the order of the history, and no others."""

import json
import math
import subprocess
from xml.etree import ElementTree

import pytest

from bench.pages import claim_trend
from bench.stored import suite
from rnnvanish.claim import Measurement, Verdict, at_least, claim


@claim(
    section=1,
    sentence="S",
    finding="F.",
    scope="two stones",
    statistic="size",
    unit="m",
    stated=Verdict.HOLDS,
    holds=at_least(1),
    seeds=1,
)
def grows(seed):
    return 3.0


PROVENANCE = {"date": "d", "commit": "cccccccc with changes", "processor": "p", "torch": "t", "python": "3"}
SHOWN = Measurement((3.0,), Verdict.HOLDS, 0.1, PROVENANCE)


def box(*points, value=3.0, commit="cccccccc"):
    """What stands in the box of a verdict of which these points are known."""
    record = {**grows.to_json(SHOWN), "statistic": value, "provenance": {"commit": commit}}
    known = [claim_trend.Point(place, name, before) for place, (name, before) in enumerate(points)]
    return claim_trend.trend(grows.id, record, {grows.id: known})


def git(root, *arguments):
    command = ["git", "-C", str(root), "-c", "user.name=n", "-c", "user.email=e@localhost", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def test_the_line_stands_in_the_box_with_its_numbers(monkeypatch, tmp_path):
    known = {grows.id: [claim_trend.Point(0, "aaaaaaaa", 2.0), claim_trend.Point(1, "bbbbbbbb", 2.5)]}
    monkeypatch.setattr(claim_trend, "history_of_claims", lambda _: known)
    page = f"<div><p>before</p>{grows.to_html(SHOWN)}<p>after</p></div>"
    drawn = claim_trend.add_trends(page, tmp_path, {grows.id: grows.to_json(SHOWN)})
    (rows,) = ElementTree.fromstring(drawn).iter("dl")
    assert [row.find("dt").text for row in rows][-2:] == ["Reproduce", "Before"]
    numbers = [(item.find("code").text, item.find("code").tail.strip()) for item in rows.iter("li")]
    assert numbers == [("aaaaaaaa", "2"), ("bbbbbbbb", "2.5"), ("cccccccc", "3")]
    assert "3 versions of the code: 2 to 3 m; the newest 3" in drawn
    assert claim_trend.add_trends(page, tmp_path, {}) == page  # a box that is no measurement of this build


def test_what_the_page_measured_itself_is_the_last_point_and_counts_once():
    assert "2 versions of the code: 2 to 3 m<" in box(("aaaaaaaa", 2.0), ("cccccccc", 9.0))
    assert "2 versions of the code: always 3 m<" in box(("aaaaaaaa", 3.0))
    assert "2 versions of the code: -3 to 2 m<" in box(("aaaaaaaa", -3.0), value=2.0)


@pytest.mark.parametrize("points", [(), (("cccccccc", 3.0),)])
def test_one_commit_is_no_line(points):
    assert box(*points) == ""


def test_there_is_no_line_to_infinity():
    assert box(("aaaaaaaa", 2.0), value=math.inf) == ""


def test_points_come_from_results_and_from_every_version_of_a_record(tmp_path, monkeypatch):
    git(tmp_path, "init", "--quiet")
    path, commits = tmp_path / "src/rnnvanish/records/a.dear.json", []
    path.parent.mkdir(parents=True)
    (path.parent / "ledger.py").write_text("no record\n")
    for values, measured in (([1, 5, 2], "11111111 with changes"), ([7], "22222222")):
        path.write_text(json.dumps({"values": values, "provenance": {"commit": measured}}))
        git(tmp_path, "add", ".")
        git(tmp_path, "commit", "--quiet", "--no-gpg-sign", "--no-verify", "-m", measured)
        commits.append(git(tmp_path, "rev-parse", "HEAD"))
    folder = tmp_path / "bench/results/box"
    folder.mkdir(parents=True)
    for commit, value in zip(commits, (4.0, 6.0), strict=True):
        results = {claim_trend.IN_VERDICTS: [[value, math.nan], [["'b.cheap'", "'b.dearer'"]], "1"]}
        columns = ["result", "params", "version"]
        data = {"commit_hash": commit, "env_name": "e", "result_columns": columns, "results": results}
        (folder / f"{commit[:8]}-e.json").write_text(json.dumps(data))
    monkeypatch.setattr(claim_trend, "benchmarks", lambda _: {claim_trend.IN_VERDICTS: {"version": "1"}})
    found = {
        name: [(each.commit, each.value) for each in points]
        for name, points in claim_trend.history_of_claims(tmp_path).items()
    }
    assert found == {
        "a.dear": [("11111111", 2.0), ("22222222", 7.0)],
        "b.cheap": [(commits[0][:8], 4.0), (commits[1][:8], 6.0)],
    }


def test_the_number_of_a_claim_is_a_benchmark():
    assert claim_trend.IN_VERDICTS in suite.benchmarks()
