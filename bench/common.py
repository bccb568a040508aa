"""What the suites share.

asv imports every suite in a process of its own for every number, so torch is imported where it is needed: each suite
measures once, in `setup_cache`, and the other processes look their number up. The package is never imported at module
level: a commit may not have it, or have it broken, and that is a result too.
"""

import os
import re
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from asv_runner.benchmarks.mark import SkipNotImplemented

if TYPE_CHECKING:
    from torch import Tensor, nn

SOURCE = Path(__file__).parents[1] / "src/rnnvanish"
#: Whether it is only to be seen that everything runs: few rounds, short sequences. What is measured so is never kept.
QUICK = "RNNVANISH_BENCH_QUICK" in os.environ


def in_source(folder: str, pattern: str) -> list[str]:
    """What a pattern finds in a folder of this checkout's package: to import it would cost a second for every number."""
    files = sorted((SOURCE / folder).glob("*.py"))
    return sorted(
        {name for file in files for name in re.findall(pattern, file.read_text(encoding="utf-8"), re.MULTILINE)}
    )


#: Every cell of this checkout.
CELLS = in_source("cells", r"^class (\w+)\(Cell\):")
#: The cells that torch.nn has too.
IN_TORCH = {"Elman", "GRU", "LSTM", "ProjectedLSTM"}
#: What is taught, cured or started in a process of its own: all cells would take a day.
STUDIED = sorted({"Elman", "GRU", "LSTM"} & set(CELLS))
#: Seconds that a table of all cells may take, plain loops and compiling included; asv stops what takes longer.
ALL_CELLS_TIMEOUT = 3600

TIME, BATCH, INPUT, HIDDEN = 30 if QUICK else 100, 32, 16, 64
#: Where a step is measured; torch's names. What a machine has no GPU for is skipped.
DEVICES = ["cpu", "cuda"]
ROUNDS = int(os.environ.get("RNNVANISH_BENCH_ROUNDS", "5" if QUICK else "25"))  # fewer are cheaper, and noisier


class Missing(Exception):
    """This commit does not have it."""


class PerCell:
    """A suite with a number for each cell. Lists: asv drops the names of parameters that come in a tuple."""

    params: ClassVar = [CELLS]
    param_names: ClassVar = ["cell"]


def beside_torch(measure: Callable[[Callable[[], "nn.Module"]], Any]) -> dict[str, dict[str, Any]]:
    """Measure what builds every cell's layer, and what builds torch's with the same weights.

    Two tables: a layer that is no longer torch's must not hide what it has become.
    """
    return {
        "ours": tabulate(lambda cell: measure(lambda: layer(cell))),
        "torch": tabulate(lambda cell: measure(lambda: in_torch(cell, layer(cell)))),
    }


def need(module: str, *before: str) -> Any:
    """Import a module of the package; Missing where the commit has none. One that is there and broken is an error.

    Args:
        module: Its name.
        before: What it was called at earlier commits.
    """
    for name in (module, *before):
        if _is_there(name):
            return import_module(name)
    raise Missing(f"no {module} at this commit")


def _is_there(module: str) -> bool:
    package = module.rpartition(".")[0]
    if package and not (_is_there(package) and find_spec(package).submodule_search_locations):
        return False
    return find_spec(module) is not None


def layer(cell: str, **options: Any) -> "nn.Module":
    """Build one layer of `cell` as its users would, or several, as `options` say."""
    known = need("rnnvanish.cells").ALL
    if cell not in known:
        raise Missing(f"no {cell} at this commit")
    return need("rnnvanish.recurrent").Recurrent(known[cell], INPUT, HIDDEN, **options)


def in_torch(cell: str, layer: "nn.Module") -> "nn.Module":
    """Return the layer of torch.nn with the equations and the weights of `layer`."""
    if cell not in IN_TORCH:
        raise Missing(f"torch.nn has no {cell}")
    return layer.to_torch()


def training_step(model: "nn.Module", x: "Tensor") -> Callable[[], None]:
    """Forward, and the gradients of weights and input. No loss: its kernels are not what is measured."""
    import torch

    wanted = (x.requires_grad_(), *model.parameters())
    direction = torch.randn_like(model(x)[0])

    def step() -> None:
        torch.autograd.grad(model(x)[0], wanted, direction)

    return step


def inference_step(model: "nn.Module", x: "Tensor") -> Callable[[], None]:
    """Forward alone, without a graph."""
    import torch

    def step() -> None:
        with torch.no_grad():
            model(x)

    return step


def tabulate(measure: Callable[[Any], Any], cells: Sequence[Any] = CELLS) -> dict[Any, Any]:
    """Measure every cell in this one process, on one thread. One that fails does not take the others with it."""
    import torch

    table: dict[Any, Any] = {}
    with one_thread():
        for cell in cells:
            torch.manual_seed(0)
            try:
                table[cell] = measure(cell)
            except (Missing, SkipNotImplemented) as missing:
                table[cell] = Missing(str(missing))
            except Exception as error:  # noqa: BLE001
                table[cell] = f"{type(error).__name__}: {error}"
    return table


def look_up(table: dict[Any, Any], cell: Any) -> Any:
    """Take a cell's number out of a table; a skip where this commit lacks it, an error where measuring it failed."""
    found = table[cell]
    if isinstance(found, Missing):
        raise SkipNotImplemented(str(found))
    if isinstance(found, str):
        raise RuntimeError(found)
    return found


@contextmanager
def one_thread() -> Iterator[None]:
    """Threads make a small step slower and every timing uneven."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def clock(device: str) -> Callable[[], float]:
    """What tells the time of work on a device, in seconds.

    On a processor the CPU seconds of this process, because neighbours on the machine take wall time. A GPU works on
    after its call has returned: so the clock waits until it is done, and tells wall seconds.

    Raises:
        Missing: The machine has no such device.
    """
    import torch

    if device == "cpu":
        return time.process_time
    if not torch.cuda.is_available():
        raise Missing("no GPU on this machine")

    def after_all() -> float:
        torch.cuda.synchronize()
        return time.perf_counter()

    return after_all


def interleaved(
    *functions: Callable[[], object],
    rounds: int = ROUNDS,
    warm: int = 3,
    now: Callable[[], float] = time.process_time,
) -> list[list[float]]:
    """Seconds by the clock `now` of each function in each round, in turns and in alternating order.

    In turns, because a machine that slows down then slows all of them alike.
    """
    for _ in range(warm):
        for function in functions:
            function()
    seconds: list[list[float]] = [[] for _ in functions]
    for turn in range(rounds):
        for index in range(len(functions))[:: 1 if turn % 2 else -1]:
            start = now()
            functions[index]()
            seconds[index].append(now() - start)
    return seconds


def ratio(ours: list[float], reference: list[float]) -> float:
    """Median over the rounds: of two medians each could come from another moment."""
    return statistics.median(one / other for one, other in zip(ours, reference, strict=True))


def saved_bytes(forward: Callable[[], object], given: list["Tensor"]) -> int:
    """Bytes that autograd keeps of `forward` for the backward pass, without those of `given` (weights, input).

    Each storage counts once, however many views of it are kept. Exact, where a process's peak is `import torch`.
    """
    import torch

    kept: dict[int, int] = {}
    alive = []  # a freed address would be given to another tensor, and counted for both

    def pack(tensor: "Tensor") -> "Tensor":
        alive.append(tensor)
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        alive.append(forward())
    for tensor in given:
        kept.pop(tensor.untyped_storage().data_ptr(), None)
    return sum(kept.values())
