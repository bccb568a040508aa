"""The map of the package: its folders and modules in layers, drawn from its imports, and the same in words.

An arrow says "imports". One is left out where a longer way leads to the same place, so that few are enough; the words
name all. Circles are not drawn: import-linter allows none.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import grimp
import networkx

from rnnvanish.templates import renderer

render = renderer(Path(__file__).parent / "templates")

PLACE = "<div data-rv-import-map></div>"
ROW, HIGH, GAP, LETTER = 46, 26, 6, 6.7  # a box is HIGH in a row of ROW; a letter of 12 px is LETTER wide
WIDE = 320  # of the boxes of a row
SWEEPS = 40
STRAIGHT = 8.0  # how much more than its ends the middle of a long arrow pulls itself straight
Point = tuple[float, float]


@dataclass(frozen=True)
class Room:
    """A module or a folder: its middle on the map, how wide its box is, its first sentence, and all that it imports."""

    name: str
    x: float
    y: float
    wide: float
    folder: bool
    holds: str
    imports: list[str]


def put(page: str, package: Path) -> str:
    """Fill the place that a rendered page keeps for the map."""
    return page.replace(PLACE, figure(package)) if PLACE in page else page


def figure(package: Path) -> str:
    """Return the map of a package that can be imported and lies at `package`."""
    imports = imports_of(package.name)
    arrows = networkx.transitive_reduction(imports)
    rows = layers(arrows)
    ways = bent(arrows, rows)
    steps = networkx.DiGraph(step for way in ways for step in pairwise(way))
    steps.add_nodes_from(imports)
    rows = ordered(rows, steps)
    x, width = places(rows, steps)
    y = {name: number * ROW + HIGH for number, row in enumerate(rows) for name in row}
    return render(
        "import_map.html",
        width=width,
        height=len(rows) * ROW,
        high=HIGH,
        lines=[_line([(x[name], y[name]) for name in way]) for way in ways],
        rooms=[
            Room(
                name,
                x[name],
                y[name],
                _wide(name),
                (package / name).is_dir(),
                _holds(package / name),
                sorted(imports[name]),
            )
            for name in networkx.lexicographical_topological_sort(imports)
        ],
    )


def imports_of(package: str) -> networkx.DiGraph:
    """Return which modules and folders of a package import which, those for types alone included."""
    graph = grimp.build_graph(package, cache_dir=None)
    found = networkx.DiGraph()
    found.add_nodes_from(sorted(each.rpartition(".")[2] for each in graph.find_children(package)))
    for module in graph.modules - {package}:
        for other in graph.find_modules_directly_imported_by(module) - {package}:
            found.add_edge(module.split(".")[1], other.split(".")[1])
    found.remove_edges_from(list(networkx.selfloop_edges(found)))
    return found


def layers(arrows: networkx.DiGraph) -> list[list[str]]:
    """Put each under all that import it; of a row that is too wide, what imports nothing moves further down."""
    rows = [sorted(row) for row in networkx.topological_generations(arrows)]
    for row, below in pairwise(rows):
        while sum(map(_wide, row)) > WIDE and (ends := [name for name in row if not arrows[name]]):
            row.remove(ends[0])
            below.append(ends[0])
    return rows


def bent(arrows: networkx.DiGraph, rows: list[list[str]]) -> list[list[str]]:
    """Return the way of each arrow, with a bend in each row that it passes; the bends are put into the rows."""
    level = {name: number for number, row in enumerate(rows) for name in row}
    ways = []
    for start, end in sorted(arrows.edges):  # in another order the same arrows make another picture
        bends = {row: f"{start} {end} {row}" for row in range(level[start] + 1, level[end])}
        for row, bend in bends.items():
            rows[row].append(bend)
        ways.append([start, *bends.values(), end])
    return ways


def ordered(rows: list[list[str]], steps: networkx.DiGraph) -> list[list[str]]:
    """Order each row by the middle of what it is joined to, down and up again; of all orders seen the one with fewest crossings."""
    best = rows
    for sweep in range(SWEEPS):
        rows = [list(row) for row in rows]
        down = sweep % 2 == 0
        for above, row in pairwise(rows if down else rows[::-1]):
            at = {name: number for number, name in enumerate(above)}
            joined = steps.predecessors if down else steps.successors
            middle = {}
            for number, name in enumerate(row):
                near = [at[other] for other in joined(name)]
                middle[name] = sum(near) / len(near) if near else number * len(above) / len(row)
            row.sort(key=middle.__getitem__)
        best = min(best, rows, key=lambda each: crossings(each, steps))
    return best


def crossings(rows: list[list[str]], steps: networkx.DiGraph) -> int:
    """Count the pairs of lines that cross."""
    found = 0
    for above, below in pairwise(rows):
        at = {name: number for number, name in enumerate(below)}
        lines = [(number, at[other]) for number, name in enumerate(above) for other in steps[name]]
        found += sum((a - c) * (b - d) < 0 for i, (a, b) in enumerate(lines) for c, d in lines[:i])
    return found


def places(rows: list[list[str]], steps: networkx.DiGraph) -> tuple[dict[str, float], float]:
    """Return where the middle of each stands from left to right, near what it is joined to; and how wide it all is."""
    width = max(sum(map(_wide, row)) + GAP * (len(row) + 1) for row in rows)
    x = {name: width * (number + 1) / (len(row) + 1) for row in rows for number, name in enumerate(row)}
    for sweep in range(SWEEPS):
        for row in rows if sweep % 2 == 0 else rows[::-1]:
            wanted = []
            for name in row:
                near = [*steps.predecessors(name), *steps.successors(name)]
                pull = [STRAIGHT if " " in name and " " in other else 1.0 for other in near]
                middle = sum(x[other] * each for other, each in zip(near, pull, strict=True))
                wanted.append(middle / sum(pull) if near else x[name])
            x |= dict(zip(row, _apart(wanted, list(map(_wide, row)), width), strict=True))
    return x, width


def _apart(wanted: list[float], wide: list[float], width: float) -> list[float]:
    """Move what would overlap apart, as far to the left as to the right, and keep all on the paper."""
    room = [0.0]
    for left, right in pairwise(wide):
        room.append(room[-1] + (left + right) / 2 + GAP)
    shifted = [want - here for want, here in zip(wanted, room, strict=True)]  # to be made to grow from left to right
    rising = [(max(shifted[: number + 1]) + min(shifted[number:])) / 2 for number in range(len(shifted))]
    least, most = GAP + wide[0] / 2, width - GAP - wide[-1] / 2 - room[-1]
    return [min(max(each, least), max(most, least)) + here for each, here in zip(rising, room, strict=True)]


def _holds(path: Path) -> str:
    """The first sentence of a module or folder."""
    source = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return (ast.get_docstring(ast.parse(source.read_text(encoding="utf-8"))) or "").partition("\n")[0]


def _wide(name: str) -> float:
    return 2 if " " in name else (len(name) + 1) * LETTER + 6


def _line(points: list[Point]) -> str:
    (x, y), *rest = points
    line = f"M{x:.1f} {y + HIGH / 2:.1f}"
    last = y + HIGH / 2
    for number, (x_next, y_next) in enumerate(rest):
        top = y_next - HIGH / 2
        middle = (last + top) / 2
        line += f"C{x:.1f} {middle:.1f} {x_next:.1f} {middle:.1f} {x_next:.1f} {top - 1:.1f}"
        if number < len(rest) - 1:
            line += f"V{y_next + HIGH / 2:.1f}"
        x, last = x_next, y_next + HIGH / 2
    return line
