"""What compiling the loop of a cell gives, and takes: by `Recurrent`, by `torch.compile` of the step, and of the whole loop.

`torch.compile` unrolls a loop, which takes minutes. So these are stored measurements:
`python -m rnnvanish.experiments.compiled_loops` makes them anew.
"""

import os
import resource
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, cast

import torch
from torch import Tensor, nn

from rnnvanish import cells
from rnnvanish.cell import Cell
from rnnvanish.records import ledger
from rnnvanish.records.provenance import provenance
from rnnvanish.recurrent import Recurrent

RECORD = "compiled_loops"
BATCH, INPUT, HIDDEN, ROUNDS = 16, 32, 64, 25
#: Steps of the sequence that is measured, and of one that is read after it.
TIME, LONGER = 50, 60


class PlainLoop(nn.Module):
    """A cell in a loop, as one writes it."""

    def __init__(self, cell: Cell, step: Callable[..., Any] | None = None) -> None:
        super().__init__()
        self.cell, self.step = cell, cell if step is None else step

    def forward(self, x: Tensor) -> Tensor:
        """Return all states, (time, batch, hidden), of inputs (time, batch, features)."""
        h, states = x.new_zeros(x.shape[1], self.cell.hidden_size), []
        for now in x:
            (h,) = self.step(now, (h,))
            states.append(h)
        return torch.stack(states)


def training_step(model: nn.Module, x: Tensor) -> Callable[[], None]:
    """Forward and backward, with the gradients of all weights."""
    weights = list(model.parameters())

    def step() -> None:
        found = model(x)
        output = found[0] if isinstance(found, tuple) else found
        torch.autograd.grad(output.square().mean(), weights)

    return step


def interleaved(steps: Mapping[str, Callable[[], None]], rounds: int = ROUNDS) -> dict[str, list[float]]:
    """CPU seconds of each in every round, in turns and in alternating order."""
    found: dict[str, list[float]] = {name: [] for name in steps}
    for turn in range(rounds + 2):
        for name in list(steps)[:: 1 if turn % 2 else -1]:
            start = time.process_time()
            steps[name]()
            found[name].append(time.process_time() - start)
    return {name: seconds[2:] for name, seconds in found.items()}  # the first two warm up


def times_faster(seconds: Mapping[str, list[float]], name: str, than: str) -> float:
    """How many times as fast as another: the median over rounds."""
    return statistics.median(other / own for own, other in zip(seconds[name], seconds[than], strict=True))


@cache
def record() -> dict[str, Any]:
    """The stored measurements, by what compiles, and where they were made.

    Raises:
        NotStored: There are none.
    """
    return ledger.read(RECORD)


def measure() -> dict[str, dict[str, float]]:
    """Of each: CPU seconds of the first training step, of one of another length, and how many times as fast as a plain loop."""
    torch.manual_seed(0)
    layer = Recurrent(cells.MGU, INPUT, HIDDEN)
    cell = cast(Cell, layer.cells[0])
    x, longer = torch.randn(TIME, BATCH, INPUT), torch.randn(LONGER, BATCH, INPUT)
    models: dict[str, Any] = {
        "plain": PlainLoop(cell),
        "Recurrent": layer,
        "step": PlainLoop(cell, torch.compile(cell)),
        "loop": torch.compile(PlainLoop(cell)),
    }
    found = {name: {"first": _seconds(training_step(model, x))} for name, model in models.items()}
    seconds = interleaved({name: training_step(model, x) for name, model in models.items()})
    for name, model in models.items():
        found[name]["faster"] = round(times_faster(seconds, name, "plain"), 2)
        found[name]["other length"] = _seconds(training_step(model, longer))
        print(name, found[name], flush=True)
    return found


def _seconds(step: Callable[[], None]) -> float:
    before = _cpu()
    step()
    return round(_cpu() - before, 4)


def _cpu() -> float:
    """CPU seconds of this process and of the compilers that it has called."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def main() -> None:
    """Measure all, with empty caches, and store it."""
    torch.set_num_threads(1)
    where = provenance()  # now: the code may change while it runs
    with tempfile.TemporaryDirectory() as folder:
        # In this process: a compiler in another would not be counted.
        os.environ |= {
            "TORCHINDUCTOR_CACHE_DIR": folder,
            "RNNVANISH_CACHE": folder,
            "TORCHINDUCTOR_COMPILE_THREADS": "1",
        }
        ledger.write(RECORD, {"measured": measure(), "time": TIME, "provenance": where})


if __name__ == "__main__":
    main()
