"""The page for engineers: its journeys can be walked, what it names is there, and its map shows the imports as they are."""

import ast
import re
from itertools import combinations
from pathlib import Path

import networkx
import pytest

from tools.site import import_map

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "src/rnnvanish"
PAGE = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
JOURNEYS = {
    title: re.findall(r"^\d+\. `([^`]+)`", text, re.MULTILINE)
    for title, text in re.findall(r"^## (The journey of .+)\n((?:(?!## ).*\n)+)", PAGE, re.MULTILINE)
}


def place(name):
    """A path as the page writes it: from the package, or from the root of the repository."""
    return PACKAGE / name if (PACKAGE / name).exists() else ROOT / name


def imported(path):
    """Every module that a file names in an import, wherever it stands there."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {each.name for each in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{each.name}" for each in node.names)}
    return found


def module(path):
    """By which name a file is imported."""
    path = path.relative_to(ROOT)
    parts = path.parent.parts if path.name == "__init__.py" else path.with_suffix("").parts
    return ".".join(parts[1:] if parts[0] == "src" else parts[-1:])


def uses(first, second):
    """Whether a file imports another; whether the site's configuration, or the head of a script, names it."""
    if first.suffix == ".js":
        return second.stem in re.search(r"^// needs: (.+)$", first.read_text(encoding="utf-8"), re.MULTILINE)[1].split()
    if first.suffix == ".yml":
        return str(second.relative_to(ROOT)).removeprefix("docs/") in first.read_text(encoding="utf-8")
    return module(second) in imported(first)


def test_there_are_five_journeys():
    assert len(JOURNEYS) == 5


@pytest.mark.parametrize("title", JOURNEYS)
def test_a_journey_is_short_and_each_file_is_used_by_one_above_it(title):
    files = [place(name) for name in JOURNEYS[title]]
    assert 5 <= len(files) <= 10
    assert [path for path in files if not path.is_file()] == []
    lost = [files[n].name for n in range(1, len(files)) if not any(uses(path, files[n]) for path in files[:n])]
    assert not lost, f"nothing above uses {lost}: the journey goes another way now"


def test_a_journey_that_goes_another_way_is_noticed():
    assert not uses(PACKAGE / "cell.py", PACKAGE / "recurrent.py")
    assert uses(PACKAGE / "recurrent.py", PACKAGE / "cell.py")
    assert not uses(ROOT / "mkdocs.yml", PACKAGE / "cell.py")


def test_every_file_that_the_page_names_is_there():
    named = re.findall(r"`([\w/]+(?:/|\.py|\.yml|\.toml))`", PAGE)
    assert len(named) > 50
    assert [name for name in named if not place(name).exists()] == []


def test_every_place_where_something_is_added_is_there():
    """Of a file that is to be written its folder, and of a short path what it is short for."""
    table = re.search(
        r"^\| to add \|.*\n(?:\|.*\n)+", (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    named = re.findall(r"[`> ]((?:\w+/)+(?:[\w.]+)?)", table[0])
    assert len(named) > 25
    places = (PACKAGE, ROOT, PACKAGE / "diagnosis")
    gone = [
        name
        for name in named
        if not any(
            (place / re.sub(r"(FOLDER/)?(NAME|PART)\.(py|yaml|json|svg)", "", name)).exists() for place in places
        )
    ]
    assert not gone


def test_the_tests_of_everything_that_is_added_are_there():
    """Each row of the second table names tests, and what it calls a thing is what the first table calls it."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    added, run = (re.search(rf"^\| {head} \|.*\n(?:\|.*\n)+", text, re.MULTILINE)[0] for head in ("to add", "added"))
    rows = re.findall(r"^\| (an? [\w ]+|who [\w ]+) \| `(.+?)`", run, re.MULTILINE)
    assert len(rows) == len(run.splitlines()) - 2 > 10
    for thing, command in rows:
        assert f"\n| {thing} |" in added, f"The first table of CONTRIBUTING.md has no row {thing!r}."
        for path in re.findall(r"tests/[\w/.]+", command.replace("test_NAME.py", "")):
            assert (ROOT / path).exists(), (
                f"CONTRIBUTING.md says for {thing} to run {path}, and there is no such thing."
            )


@pytest.fixture(scope="module")
def imports():
    return import_map.imports_of("rnnvanish")


def test_the_map_in_words_has_every_import(imports):
    """Counted by another way than the map's: by the syntax trees of the sources."""
    for path in PACKAGE.rglob("*.py"):
        inside = path.relative_to(PACKAGE).with_suffix("").parts
        if inside == ("__init__",):
            continue
        others = {name.split(".")[1] for name in imported(path) if name.startswith("rnnvanish.")} - {inside[0]}
        assert others & set(imports) <= set(imports[inside[0]]), path


def test_the_map_shows_what_can_be_reached_and_every_arrow_leads_down(imports):
    drawn = import_map.figure(PACKAGE)
    boxes = {
        name.rstrip("/"): tuple(map(float, box))
        for *box, name in re.findall(
            r'(?s)<rect x="([\d.-]+)" y="([\d.-]+)" width="([\d.]+)" height="(\d+)".*?>([\w/]+)</text>', drawn
        )
    }
    assert boxes.keys() == set(imports)
    reached = {name: set() for name in boxes}
    for line in re.findall(r'<path d="(M[^"]+C[^"]+)"/>', drawn):
        numbers = list(map(float, re.findall(r"-?[\d.]+", line)))
        (start,) = [name for name, box in boxes.items() if at(numbers[0], numbers[1], box)]
        (end,) = [name for name, box in boxes.items() if at(*numbers[-2:], box)]
        assert boxes[start][1] < boxes[end][1]
        reached[start].add(end)
    assert closure(reached) == closure({name: set(imports[name]) for name in imports})
    for one, other in combinations(boxes.values(), 2):
        assert one[0] + one[2] <= other[0] or other[0] + other[2] <= one[0] or one[1] != other[1], "boxes overlap"
    width = float(re.search(r'viewBox="0 0 (\d+)', drawn)[1])
    assert all(x >= 0 and x + wide <= width + 1 for x, _, wide, _ in boxes.values())
    assert width <= 420, "too wide for a phone"


def test_arrows_in_another_order_make_the_same_picture(imports):
    arrows = networkx.transitive_reduction(imports)
    turned = networkx.DiGraph(list(arrows.edges)[::-1])
    assert import_map.bent(arrows, import_map.layers(arrows)) == import_map.bent(turned, import_map.layers(arrows))


def at(x, y, box):
    left, top, wide, high = box
    return left - 1 <= x <= left + wide + 1 and top - 2 <= y <= top + high + 2


def closure(graph):
    found = {name: set(others) for name, others in graph.items()}
    for _ in found:
        for others in found.values():
            others |= set().union(*(found[other] for other in others))
    return found
