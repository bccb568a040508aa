"""The map of the package: its folders and modules in layers, drawn from its imports, and the same in words.

An arrow says "imports". One is left out where a longer way leads to the same place, so that few are enough; the words
name all. Circles are not drawn: import-linter allows none.
"""

from __future__ import annotations

import ast
import html
import re
from itertools import pairwise
from pathlib import Path

import grimp
import networkx

PLACE = "<div data-rv-import-map></div>"
ROW, HIGH, GAP, LETTER = 46, 26, 6, 6.7  # a box is HIGH in a row of ROW; a letter of 12 px is LETTER wide
WIDE = 320  # of the boxes of a row
SWEEPS = 40
STRAIGHT = 8.0  # how much more than its ends the middle of a long arrow pulls itself straight
Point = tuple[float, float]


def put(page: str, package: Path) -> str:
    """Fill the place that a rendered page keeps for the map."""
    return page.replace(PLACE, figure(package)) if PLACE in page else page


def figure(package: Path) -> str:
    """Return the map of a package that can be imported and lies at `package`."""
    imports = imports_of(package.name)
    return (
        f'<figure class="rv-out">{drawn(imports, package)}<figcaption>An arrow leads to what is imported; where a '
        "longer way leads there too, it is left out. Boxes with a bar are folders.</figcaption></figure>"
        f'<details class="info" id="rv-import-map"><summary>The map in words</summary>{said(imports, package)}</details>'
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


def said(imports: networkx.DiGraph, package: Path) -> str:
    """Return the same in words: what each holds, and all that it imports."""
    order = networkx.lexicographical_topological_sort(imports)
    return f"<dl>{''.join(_said(name, sorted(imports[name]), package) for name in order)}</dl>"


def _said(name: str, others: list[str], package: Path) -> str:
    source = package / name / "__init__.py" if (package / name).is_dir() else package / f"{name}.py"
    first = " ".join(
        (ast.get_docstring(ast.parse(source.read_text(encoding="utf-8"))) or "").partition("\n\n")[0].split()
    )
    first = re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(first))
    imported = f"Imports {', '.join(others)}." if others else "Imports no other."
    label = f"{name}/" if (package / name).is_dir() else f"{name}.py"
    return f"<dt><code>{label}</code></dt><dd>{first}<br><small>{imported}</small></dd>"


def drawn(imports: networkx.DiGraph, package: Path) -> str:
    """Return the map as SVG."""
    arrows = networkx.transitive_reduction(imports)
    rows = layers(arrows)
    level = {name: number for number, row in enumerate(rows) for name in row}
    ways = {(start, end): [start, *_bends(start, end, level), end] for start, end in arrows.edges}
    for way in ways.values():
        for bend in way[1:-1]:
            rows[int(bend.split()[-1])].append(bend)
    steps = networkx.DiGraph(step for way in ways.values() for step in pairwise(way))
    steps.add_nodes_from(imports)
    rows = ordered(rows, steps)
    x, width = places(rows, steps)
    y = {name: number * ROW + HIGH for number, row in enumerate(rows) for name in row}
    lines = "".join(f'<path d="{_line([(x[name], y[name]) for name in way])}"/>' for way in ways.values())
    boxes = "".join(_box(name, x[name], y[name], (package / name).is_dir()) for name in imports)
    return (
        f'<svg viewBox="0 0 {width:.0f} {len(rows) * ROW}" style="width:100%;max-width:30rem" role="img" '
        f'aria-label="Map of the package: {len(imports)} modules and folders in {len(rows)} layers" '
        'aria-describedby="rv-import-map"><defs><marker id="rv-arrow" viewBox="0 0 8 8" refX="7" refY="4" '
        'markerWidth="7" markerHeight="7" orient="auto"><path d="M0 .8 7 4 0 7.2z" fill="var(--rv-quiet)"/></marker>'
        '</defs><g fill="none" stroke="var(--rv-quiet)" stroke-width="1.1" marker-end="url(#rv-arrow)">'
        f'{lines}</g><g font-size="12" text-anchor="middle">{boxes}</g></svg>'
    )


def layers(arrows: networkx.DiGraph) -> list[list[str]]:
    """Put each under all that import it; of a row that is too wide, what imports nothing moves further down."""
    rows = [sorted(row) for row in networkx.topological_generations(arrows)]
    for row, below in pairwise(rows):
        while sum(map(_wide, row)) > WIDE and (ends := [name for name in row if not arrows[name]]):
            row.remove(ends[0])
            below.append(ends[0])
    return rows


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


def _bends(start: str, end: str, level: dict[str, int]) -> list[str]:
    """Name a bend for each row that an arrow passes on its way."""
    return [f"{start} {end} {row}" for row in range(level[start] + 1, level[end])]


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


def _box(name: str, x: float, y: float, folder: bool) -> str:
    wide = _wide(name)
    left, top = x - wide / 2, y - HIGH / 2
    bar = f'<path d="M{left:.1f} {top:.1f}v{HIGH}" stroke="var(--rv-c0)" stroke-width="3"/>' if folder else ""
    return (
        f'<rect x="{left:.1f}" y="{top:.1f}" width="{wide:.1f}" height="{HIGH}" rx="3" fill="var(--rv-soft)" '
        f'stroke="var(--rv-line)"/>{bar}<text x="{x:.1f}" y="{y + 4:.1f}" fill="currentColor">'
        f"{name}{'/' if folder else ''}</text>"
    )
