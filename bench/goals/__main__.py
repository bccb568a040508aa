"""The engine against its goals: bare matrix products, torch.nn, our own plain loop, two threads, looks.

`python -m bench.goals` measures the whole grid on this machine, on one thread, in turns, and writes
`bench/results/<machine>/goals.json`. What is there already is not measured again; `--again` forgets it. `--only torch`
measures one of the tables.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import torch
from torch import nn

from bench.common import inference_step, interleaved, one_thread, ratio, training_step
from bench.goals.verdicts import WITHOUT_PRODUCT
from rnnvanish import Recurrent, cells
from rnnvanish.cell import Cell
from rnnvanish.records.files import write_whole
from rnnvanish.records.provenance import provenance

TIMES, BATCHES, WIDTHS = (64, 256, 1024), (1, 32, 128), (32, 64, 128, 256)
KINDS = {"RNN": (nn.RNN, 1), "GRU": (nn.GRU, 3), "LSTM": (nn.LSTM, 4)}
#: CPU seconds that one row may take, about.
BUDGET = 6.0
#: Numbers of the states of all steps together: what a plain loop keeps of them for the way back is ten times as much.
LARGEST = 40_000_000


@cache
def products() -> Callable[..., None]:
    """A compiled loop of matrix products of one size: each row of `left` by `matrix`, into `out`."""
    import numpy as np
    from numba import njit

    from rnnvanish.engine.cpu.memory import gemm_float32 as gemm

    @njit(nogil=True)
    def loop(steps, batch, height, width, turned, matrix, left, out):  # type: ignore[no-untyped-def]
        letters = np.array([78, 84], np.uint8)
        sizes = np.array([width, batch, height, height if turned else width, height, width], np.int32)
        numbers = np.array([1.0, 0.0], np.float32)
        letter, size, one = letters.ctypes.data, sizes.ctypes.data, numbers.ctypes.data
        for t in range(steps):
            gemm(letter + turned, letter, size, size + 4, size + 8, one, matrix, size + 12,
                 left + 4 * t * batch * height, size + 16, one + 4, out + 4 * t * batch * width, size + 20)  # fmt: skip

    return loop  # type: ignore[no-any-return]


def floor(gates: int, steps: int, batch: int, width: int) -> Callable[[], None]:
    """The matrix products of a training step and nothing else: input and hidden size `width`, weights drawn."""
    wide, loop = gates * width, products()
    x, h = torch.randn(steps * batch, width), torch.randn(steps * batch, width)
    w, u = torch.randn(wide, width), torch.randn(wide, width)
    z, back, dz = torch.empty(steps * batch, wide), torch.empty(steps * batch, width), torch.randn(steps * batch, wide)
    of_w, of_u = torch.empty_like(w.t()), torch.empty_like(u.t())

    def step() -> None:
        torch.mm(x, w.t(), out=z)
        loop(steps, batch, width, wide, True, u.data_ptr(), h.data_ptr(), z.data_ptr())
        loop(steps, batch, wide, width, False, u.data_ptr(), dz.data_ptr(), back.data_ptr())
        torch.mm(dz, w, out=back)
        torch.mm(x.t(), dz, out=of_w)  # faster than its transpose, dzᵀ x, where there are gates
        torch.mm(h.t(), dz, out=of_u)

    return step


def against(
    ours: nn.Module, others: dict[str, Any], x: torch.Tensor, step_of: Callable[..., Callable[[], None]] = training_step
) -> dict[str, float]:
    """Milliseconds of our training step, or of inference, and how many times as long it takes as each of the others."""
    steps = [step_of(ours, x)]
    steps += [other if not isinstance(other, nn.Module) else step_of(other, x) for other in others.values()]
    for step in steps:
        step()
    start = time.process_time()
    for step in steps:
        step()
    rounds = int(min(max(BUDGET / (time.process_time() - start + 1e-6), 3), 25))
    mine, *theirs = interleaved(*steps, rounds=rounds, warm=0)
    return {
        "ms": 1e3 * statistics.median(mine),
        **{name: ratio(mine, seconds) for name, seconds in zip(others, theirs, strict=True)},
        "rounds": rounds,
    }


def against_torch() -> Iterator[tuple[str, Callable[[], dict[str, float]]]]:
    """torch.nn and the bare products, over the whole grid, the cheap ones first."""
    grid = product(KINDS, TIMES, BATCHES, WIDTHS)
    for kind, steps, batch, width in sorted(grid, key=lambda row: row[1] * row[2] * row[3] ** 2 * KINDS[row[0]][1]):

        def measure(kind: str = kind, steps: int = steps, batch: int = batch, width: int = width) -> dict[str, float]:
            build, gates = KINDS[kind]
            theirs = build(width, width)
            others = {"floor": floor(gates, steps, batch, width), "torch": theirs}
            return against(Recurrent.from_torch(theirs), others, torch.randn(steps, batch, width))

        yield f"{kind} steps={steps} batch={batch} hidden={width}", measure


def against_reference() -> Iterator[tuple[str, Callable[[], dict[str, float]]]]:
    """Our own plain loop, for every cell, at the sizes where a Python loop fares best and worst."""
    for name, (batch, width) in product(sorted(cells.ALL), ((1, 32), (32, 64), (32, 128), (128, 128))):
        steps = min(256, LARGEST // (batch * numbers(name, width)))

        def measure(name: str = name, steps: int = steps, batch: int = batch, width: int = width) -> dict[str, float]:
            ours = Recurrent(cells.ALL[name], width, width)
            plain = Recurrent(cells.ALL[name], width, width, engine="reference")
            return against(ours, {"reference": plain}, torch.randn(steps, batch, width))

        yield f"{name} steps={steps} batch={batch} hidden={width}", measure


def layers_of_input(blocks: int, x: torch.Tensor, width: int) -> Callable[[], None]:
    """The products of a training step of so many layers of the input, and nothing else."""
    rows = x.detach().flatten(0, 1)
    w, dz = torch.randn(blocks * width, rows.shape[1]), torch.randn(len(rows), blocks * width)
    z, back, of_w = torch.empty_like(dz), torch.empty_like(rows), torch.empty_like(w.t())

    def step() -> None:
        torch.mm(rows, w.t(), out=z)
        torch.mm(dz, w, out=back)
        torch.mm(rows.t(), dz, out=of_w)

    return step


def against_gru() -> Iterator[tuple[str, Callable[[], dict[str, float]]]]:
    """Loops without a product in them: over a GRU, and over their own products with the input, which nothing can beat."""
    for (size, width), name in product(((16, 64), (64, 64), (256, 256)), ("MinGRU", "MinLSTM", "QRNN", "SRU")):

        def measure(name: str = name, size: int = size, width: int = width) -> dict[str, float]:
            ours, x = Recurrent(cells.ALL[name], size, width), torch.randn(256, 32, size)
            blocks = sum(each.out_features for each in ours.modules() if isinstance(each, nn.Linear)) // width
            others = {"gru": Recurrent(cells.GRU, size, width), "products": layers_of_input(blocks, x, width)}
            row = against(ours, others, x)
            share = row["gru"] / row["products"]
            return (
                row | {"blocks": blocks, "share": share} | ({"possible": row["gru"]} if share < WITHOUT_PRODUCT else {})
            )

        yield f"{name} steps=256 batch=32 input={size} hidden={width}", measure


def numbers(name: str, width: int) -> int:
    """How many numbers a cell's state has for one sequence; a complex one counts twice."""
    state = cells.ALL[name](1, width).initial_state(torch.zeros(1, 1))
    return sum(part.numel() * (1 + part.is_complex()) for part in state)


class AllAtOnce(nn.Module):
    """The parallel form of a layer's cell."""

    def __init__(self, layer: Recurrent) -> None:
        super().__init__()
        (self.cell,) = layer.cells

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, Any]:
        """Return all outputs and the last state."""
        return self.cell.parallel(x, self.cell.initial_state(x[0]))


def step_by_step(name: str, width: int) -> Recurrent:
    """A layer that never takes all steps at once: a compiled loop where there can be one."""
    layer = Recurrent(cells.ALL[name], width, width, engine="cpu")
    try:
        layer(torch.zeros(2, 1, width))
    except RuntimeError:
        return Recurrent(cells.ALL[name], width, width, engine="reference")
    return layer


def parallel_forms() -> Iterator[tuple[str, Callable[[], dict[str, float]]]]:
    """What is chosen by itself against steps and against the parallel form: was the choice right?"""
    having = [name for name, cell in sorted(cells.ALL.items()) if cell.parallel is not Cell.parallel]
    works = {"training": training_step, "inference": inference_step}
    for name, steps, batch, width, work in product(
        having, (4, 16, 64, 256, 1024, 4096), (1, 8, 32), (16, 64, 128), works
    ):
        if steps * batch * numbers(name, width) > LARGEST:
            continue

        def measure(
            name: str = name, steps: int = steps, batch: int = batch, width: int = width, work: str = work
        ) -> dict[str, float]:
            stepped = step_by_step(name, width)
            others = {"step": stepped, "parallel": AllAtOnce(stepped)}
            row = against(
                Recurrent(cells.ALL[name], width, width), others, torch.randn(steps, batch, width), works[work]
            )
            return row | {"better": max(row["step"], row["parallel"])}

        yield f"{name} steps={steps} batch={batch} hidden={width} {work}", measure


FIRST = """
import sys, time
import torch
from rnnvanish import Recurrent, cells
torch.set_num_threads(1)
if sys.argv[2] == "imported":
    import numba, torch.fx.experimental.proxy_tensor, torch._decomp, torch._dynamo
    import rnnvanish.engine.ir.trace, rnnvanish.engine.cpu.mathematics, rnnvanish.engine.cpu.machine_code
layer, x = Recurrent(cells.ALL[sys.argv[1]], 32, 32), torch.randn(64, 32, 32)
start = time.process_time()
layer(x)[0].sum().backward()
first = time.process_time() - start
start = time.process_time()
layer(x)[0].sum().backward()
print(first - (time.process_time() - start))
"""


def first_calls() -> Iterator[tuple[str, Callable[[], dict[str, float]]]]:
    """What the first training step of a process costs beyond the second: compiled anew, and from the cache on disk.

    Once with all imported beforehand that compiling may need, and once with whatever is imported on the way.
    """
    for name in sorted(cells.ALL):

        def measure(name: str = name) -> dict[str, float]:
            found = {}
            for before, suffix in (("imported", "_s"), ("", "_all_s")):
                with tempfile.TemporaryDirectory() as folder:
                    environment = {**os.environ, "RNNVANISH_CACHE": folder, "OMP_NUM_THREADS": "1"}
                    for state in ("cold", "cached"):
                        process = subprocess.run(
                            [sys.executable, "-c", FIRST, name, before],
                            env=environment,
                            capture_output=True,
                            check=True,
                        )
                        found[state + suffix] = float(process.stdout)
            return found

        yield name, measure


def two_threads() -> Iterator[tuple[str, Callable[[], dict[str, float]]]]:
    """Two threads over one, by the clock on the wall: sizes at which a batch can be shared."""
    for name, batch, width in product(sorted(cells.ALL), (32, 128), (32, 128)) if (os.cpu_count() or 1) > 1 else ():

        def measure(name: str = name, batch: int = batch, width: int = width) -> dict[str, float]:
            step = training_step(Recurrent(cells.ALL[name], width, width), torch.randn(256, batch, width))

            def on(threads: int) -> None:
                torch.set_num_threads(threads)
                step()

            two, one = interleaved(lambda: on(2), lambda: on(1), rounds=9, warm=2, now=time.perf_counter)
            torch.set_num_threads(1)
            return {"ms": 1e3 * statistics.median(one), "threads": ratio(two, one), "rounds": 9}

        yield f"{name} steps=256 batch={batch} hidden={width}", measure


def looks() -> Iterator[tuple[str, Callable[[], dict[str, float]]]]:
    """What a look at the retention costs, over a training step of the layer that is looked at."""
    from rnnvanish.probes import retention

    for (kind, (build, _)), steps, own in product(KINDS.items(), (100, 256), (False, True)):

        def measure(build: Callable[..., nn.RNNBase] = build, steps: int = steps, own: bool = own) -> dict[str, float]:
            layer, x = build(64, 64), torch.randn(steps, 32, 64)
            model = Recurrent.from_torch(layer) if own else layer
            look, step = interleaved(lambda: retention(model, x), training_step(model, x), rounds=9, warm=2)
            return {"ms": 1e3 * statistics.median(step), "look": ratio(look, step), "rounds": 9}

        yield f"{'Recurrent' if own else 'torch.nn'} kind={kind} steps={steps}", measure


TABLES = {
    "torch": against_torch,
    "looks": looks,
    "threads": two_threads,
    "reference": against_reference,
    "gru": against_gru,
    "parallel": parallel_forms,
    "first": first_calls,
}


def main() -> int:
    """Measure what is not yet recorded; each row is written as soon as it is there."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--out", type=Path, required=True, help="for instance bench/results/MACHINE/goals.json")
    parser.add_argument("--only", choices=TABLES, help="one of the tables")
    parser.add_argument("--again", action="store_true", help="forget what is recorded")
    given = parser.parse_args()
    recorded: dict[str, Any] = {"tables": {}}
    if given.out.exists() and not given.again:
        recorded = json.loads(given.out.read_text(encoding="utf-8"))
    with one_thread():
        for table, rows in TABLES.items():
            if given.only not in (None, table):
                continue
            there = recorded["tables"].setdefault(table, {})
            for name, measure in rows():
                if name in there:
                    continue
                torch.manual_seed(0)
                load = os.getloadavg()[0]
                row = measure()
                there[name] = {key: round(value, 4) for key, value in row.items()} | {"load": round(load, 1)}
                recorded["provenance"] = {**provenance(), "date": datetime.now(UTC).date().isoformat(), "threads": "1"}
                write_whole(given.out, json.dumps(recorded, indent=1) + "\n")
                print(table, name, there[name], flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
