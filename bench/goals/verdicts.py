"""The goals of the engine, and how far what was measured is from each."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median

Row = Mapping[str, float]


@dataclass(frozen=True)
class Goal:
    """A bound for one column of one of the tables.

    Attributes:
        words: What it asks for.
        table: Of `bench.goals`, or "torchrecurrent": the cells of that package that we have too, as `bench.peers` found them.
        column: Of that table.
        bound: Largest number that is allowed.
        counts: Whether it speaks of a row: from the cell and the sizes in the row's name.
        middle: Whether the median of each cell's rows counts; otherwise every row does.
    """

    words: str
    table: str
    column: str
    bound: float
    counts: Callable[[str, Mapping[str, int]], bool] = lambda cell, sizes: True
    middle: bool = False


#: Of a GRU's training step, what a loop without a product may take at most.
WITHOUT_PRODUCT = 0.4

GOALS = (
    Goal("Bare products, 32 sequences and 64 units or more", "torch", "floor", 1.6,
         lambda cell, sizes: sizes["batch"] >= 32 and sizes["hidden"] >= 64),
    Goal("torch.nn.RNN and GRU", "torch", "torch", 1.0, lambda cell, sizes: cell != "LSTM"),
    Goal("torch.nn.RNN and GRU, up to 64 units", "torch", "torch", 0.5,
         lambda cell, sizes: cell != "LSTM" and sizes["hidden"] <= 64),
    Goal("torch.nn.LSTM, 32 sequences or more", "torch", "torch", 1.1,
         lambda cell, sizes: cell == "LSTM" and sizes["batch"] >= 32),
    Goal("torch.nn.LSTM, in the middle of all sizes", "torch", "torch", 1.0, lambda cell, sizes: cell == "LSTM", True),
    Goal("Two threads over one", "threads", "threads", 1.0),
    Goal("Our own plain loop, the cells of torch.nn in the middle of their sizes", "reference", "reference", 0.4,
         lambda cell, sizes: cell in ("Elman", "GRU", "LSTM"), True),
    Goal("Our own plain loop, every cell at every size", "reference", "reference", 1.05),
    Goal("A GRU, loops without a product whose products with the input alone take less than that", "gru", "possible",
         WITHOUT_PRODUCT),
    Goal("The better of step by step and all steps at once", "parallel", "better", 1.2),
    Goal("torchrecurrent, in the middle of the cells that both have", "torchrecurrent", "ours", 0.333, middle=True),
    Goal("A look at the retention of torch.nn, over its training step", "looks", "look", 2.0,
         lambda layer, sizes: layer == "torch.nn"),
    Goal("A look at the retention of Recurrent, over its training step", "looks", "look", 1.1,
         lambda layer, sizes: layer == "Recurrent"),
    Goal("First step, compiled anew, with its imports (seconds)", "first", "cold_all_s", 5.0),
    Goal("First step, compiled before, with its imports (seconds)", "first", "cached_all_s", 0.3),
)  # fmt: skip


def verdicts(tables: Mapping[str, Mapping[str, Row]]) -> list[list[str]]:
    """A line for each goal: what it asks for, the most allowed, the middle and the worst measured, and the verdict."""
    lines = []
    for goal in GOALS:
        found = {
            name: row[goal.column]
            for name, row in tables.get(goal.table, {}).items()
            if goal.column in row and goal.counts(*_read(name))
        }
        if not found:
            lines.append([goal.words, f"{goal.bound:g}", "–", "–", "not measured"])
            continue
        worst = max(found, key=lambda name: found[name])
        cells = {_read(name)[0] for name in found}
        middles = [median(value for name, value in found.items() if _read(name)[0] == cell) for cell in cells]
        number = max(middles) if goal.middle else found[worst]
        inside = sum(value <= goal.bound for value in found.values())
        verdict = "kept" if number <= goal.bound else f"missed by {number / goal.bound - 1:.0%}"
        if not goal.middle:
            verdict += f"; {inside} of {len(found)} are inside"
        middle = f"{median(found.values()):.2g}"
        lines.append([goal.words, f"{goal.bound:g}", middle, f"{found[worst]:.2g} ({worst})", verdict])
    return lines


def _read(name: str) -> tuple[str, dict[str, int]]:
    """The cell and the sizes in a row's name, such as "GRU steps=64 batch=32 hidden=64"."""
    cell, *sizes = name.split()
    parts = (size.partition("=") for size in sizes)
    return cell, {key: int(value) for key, _, value in parts if value.isdigit()}
