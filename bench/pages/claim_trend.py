"""The trend of every claim, for the box of its verdict: the commits that were measured, and the page itself.

Cheap claims are measured at past commits by `bench/claims.py`. Of an expensive one, every version of its record that git has
is a point: it says with which code it was measured.
"""

import json
import re
import statistics
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from markupsafe import Markup

from rnnvanish.numerals import in_words

from ..stored.results import history, read
from ..stored.suite import benchmarks
from .labels import IN_VERDICTS
from .render import render
from .sparkline import sparkline

RECORDS = ":(glob)src/rnnvanish/records/*.json"
BOX = re.compile(r'<div class="rv-verdict [^"]*" id="([\w.]+)">.*?(?=</dl></details></div>)', re.DOTALL)


@dataclass(frozen=True)
class Point:
    """What a claim's statistic was at a commit; `place` orders the commits."""

    place: int
    commit: str
    value: float


def add_trends(text: str, root: Path, shown: dict[str, dict[str, Any]]) -> str:
    """Add to each verdict of a page how its number came out before.

    Args:
        text: The page.
        root: The repository.
        shown: What the page has measured itself, by claim, as `Claim.to_json` gives it.
    """

    def with_trend(box: re.Match[str]) -> str:
        record = shown.get(box[1])
        return Markup(box[0]) + trend(box[1], record, history_of_claims(root)) if record else box[0]

    return BOX.sub(with_trend, text)


def trend(name: str, record: dict[str, Any], known: dict[str, list[Point]]) -> Markup:
    """The line and its numbers, for one claim; nothing where no other commit was measured."""
    here, now = record["provenance"]["commit"][:8], float(record["statistic"])
    points = [(each.commit, each.value) for each in known.get(name, []) if each.commit != here] + [(here, now)]
    if len(points) < 2 or now in (float("inf"), float("-inf")):
        return Markup()
    said = [in_words(value) for _, value in points]
    span = (
        f"always {said[0]}"
        if len(set(said)) == 1
        else f"{in_words(min(value for _, value in points))} to {in_words(max(value for _, value in points))}"
    )
    span += f" {record['unit']}"
    label = f"Line over {len(points)} versions of the code: {span}; the newest {said[-1]}"
    line = sparkline([[(index / (len(points) - 1), value) for index, (_, value) in enumerate(points)]], label)
    numbers = [(commit, text) for (commit, _), text in zip(points, said, strict=True)]
    return render("claim_trend.html", line=line, span=span, numbers=numbers)


@cache
def history_of_claims(root: Path) -> dict[str, list[Point]]:
    """Every point of every claim, the oldest first; one for each commit."""
    commits = history(root)
    found: dict[str, dict[str, Point]] = {}
    for series in read(root / "bench/results", commits, {IN_VERDICTS: benchmarks(root)[IN_VERDICTS]["version"]}):
        for point in series.measured:
            one = Point(point.commit.place, point.commit.short, float(point.value or 0))
            found.setdefault(series.cell[0], {})[one.commit] = one
    for commit, path in versions_of_records(root):
        data = json.loads(_git(root, "show", f"{commit}:{path}"))
        if "values" not in data:  # no claim
            continue
        value, measured = statistics.median(map(float, data["values"])), data["provenance"]["commit"][:8]
        found.setdefault(Path(path).stem, {})[measured] = Point(commits[commit].place, measured, value)
    return {name: sorted(points.values(), key=lambda each: each.place) for name, points in found.items()}


def versions_of_records(root: Path) -> list[tuple[str, str]]:
    """Every version of every stored record: commit and path, the oldest first."""
    said = _git(
        root, "log", "--topo-order", "--reverse", "--format=:%H", "--name-only", "--diff-filter=AM", "--", RECORDS
    )
    found, commit = [], ""
    for text in filter(None, said.splitlines()):
        if text.startswith(":"):
            commit = text[1:]
        else:
            found.append((commit, text))
    return found


def _git(root: Path, *arguments: str) -> str:
    return subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True, check=True).stdout
