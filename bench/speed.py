"""How long a step takes: as a ratio, to compare commits, and in seconds, to know what it costs."""

import statistics
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

from asv_runner.benchmarks.mark import SkipNotImplemented

from .common import (
    ALL_CELLS_TIMEOUT,
    BATCH,
    CELLS,
    DEVICES,
    HIDDEN,
    INPUT,
    QUICK,
    ROUNDS,
    STUDIED,
    TIME,
    Missing,
    clock,
    in_torch,
    inference_step,
    interleaved,
    layer,
    look_up,
    need,
    one_thread,
    ratio,
    tabulate,
    training_step,
)

if TYPE_CHECKING:
    from torch import Tensor, nn

LENGTHS, LAYERS = [64, 256, 1024, 4096], [1, 2, 4]
LONGEST = 256 if QUICK else 4096
PAIRS = [(cell, device) for device in DEVICES for cell in CELLS]


def frozen_loop() -> "nn.Module":
    """A tanh network stepped in Python: the yardstick of every cell at every commit, so never edit it."""
    import torch
    from torch import nn

    class FrozenLoop(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.from_x, self.from_h = nn.Linear(INPUT, HIDDEN), nn.Linear(HIDDEN, HIDDEN)

        def forward(self, x: "Tensor") -> tuple["Tensor", "Tensor"]:
            h, outputs = x.new_zeros(x.shape[1], HIDDEN), []
            for now in self.from_x(x).unbind(0):
                h = torch.tanh(now + self.from_h(h))
                outputs.append(h)
            return torch.stack(outputs), h

    return FrozenLoop()


def measure(
    cell: str, device: str = "cpu", step: Callable[["nn.Module", "Tensor"], Callable[[], None]] = training_step
) -> dict[str, Any]:
    """Seconds of a step, and its ratios: to the frozen loop, to torch's layer, to our own plain loop."""
    import torch

    now, x = clock(device), torch.randn(TIME, BATCH, INPUT).to(device)
    models: dict[str, nn.Module] = {"ours": layer(cell), "loop": frozen_loop()}
    table: dict[str, Any] = {}
    others: dict[str, Callable[[], nn.Module]] = {
        "torch": lambda: in_torch(cell, models["ours"]),
        "reference": lambda: layer(cell, engine="reference"),
    }
    for name, build in others.items():
        try:
            models[name] = build()
        except Missing as missing:
            table[name] = missing
        except TypeError:
            table[name] = Missing("no engine to choose at this commit")
    steps = (step(model.to(device), x) for model in models.values())
    seconds = dict(zip(models, interleaved(*steps, rounds=ROUNDS, now=now), strict=True))
    table |= {name: ratio(seconds["ours"], seconds[name]) for name in models if name != "ours"}
    return table | {"seconds": statistics.median(seconds["ours"])}


class _Step:
    """A step of every cell. Each suite has a `setup_cache` of its own: asv keeps one table for each place in a file."""

    version = "1"
    params: ClassVar = [CELLS, DEVICES]
    param_names: ClassVar = ["cell", "device"]

    def track_vs_torch(self, table: dict[Any, Any], cell: str, device: str) -> float:
        """Time over that of the layer of torch.nn with the same weights."""
        return look_up(look_up(table, (cell, device)), "torch")

    track_vs_torch.unit = "x torch.nn"

    def track_vs_loop(self, table: dict[Any, Any], cell: str, device: str) -> float:
        """Time over that of a frozen tanh network in plain Python: the same yardstick for every cell."""
        return look_up(look_up(table, (cell, device)), "loop")

    track_vs_loop.unit = "x frozen loop"

    def track_seconds(self, table: dict[Any, Any], cell: str, device: str) -> float:
        """Seconds of one step: of a processor's time, or until a GPU is done."""
        return look_up(look_up(table, (cell, device)), "seconds")

    track_seconds.unit = "seconds"


class TrainingStep(_Step):
    """Forward and backward over 100 steps, batch 32, 16 inputs, 64 units, one thread."""

    def setup_cache(self) -> dict[Any, Any]:
        return tabulate(lambda pair: measure(*pair), PAIRS)

    setup_cache.timeout = ALL_CELLS_TIMEOUT

    def track_vs_reference(self, table: dict[Any, Any], cell: str, device: str) -> float:
        """Time over that of the same cell stepped by our plain Python loop: what the engine is worth."""
        return look_up(look_up(table, (cell, device)), "reference")

    track_vs_reference.unit = "x plain loop"


class InferenceStep(_Step):
    """Forward alone, without a graph, over the same sequences."""

    def setup_cache(self) -> dict[Any, Any]:
        return tabulate(lambda pair: measure(*pair, step=inference_step), PAIRS)

    setup_cache.timeout = ALL_CELLS_TIMEOUT


class Growth:
    """A training step of an LSTM over ever longer sequences, batch 8: a step in time should cost the same in all."""

    version = "1"
    params: ClassVar = [LENGTHS]
    param_names: ClassVar = ["length"]

    def setup_cache(self) -> dict[int, Any]:
        return tabulate(growth, LENGTHS)

    setup_cache.timeout = 600

    def track_vs_loop(self, table: dict[int, Any], length: int) -> float:
        """CPU time over that of a frozen tanh network in plain Python on the same sequences."""
        return look_up(table, length)["loop"]

    track_vs_loop.unit = "x frozen loop"

    def track_microseconds(self, table: dict[int, Any], length: int) -> float:
        """CPU time of one step in time."""
        return look_up(table, length)["microseconds"]

    track_microseconds.unit = "microseconds per step"


def growth(length: int) -> dict[str, float]:
    import torch

    if length > LONGEST:
        raise Missing(f"{length} steps are left out of a quick run")
    x = torch.randn(length, 8, INPUT)
    steps = [training_step(model, x) for model in (layer("LSTM"), frozen_loop())]
    ours, loop = interleaved(*steps, rounds=max(3, ROUNDS * 64 // length), warm=1)
    return {"loop": ratio(ours, loop), "microseconds": statistics.median(ours) / length * 1e6}


class Layers:
    """A training step of a stack of GRU layers."""

    version = "1"
    params: ClassVar = [LAYERS]
    param_names: ClassVar = ["layers"]

    def setup_cache(self) -> dict[int, Any]:
        return tabulate(stacked, LAYERS)

    setup_cache.timeout = 600

    def track_vs_torch(self, table: dict[int, Any], layers: int) -> float:
        """CPU time over that of torch.nn.GRU with as many layers and the same weights."""
        return look_up(table, layers)

    track_vs_torch.unit = "x torch.nn"


def stacked(layers: int) -> float:
    import torch

    model = layer("GRU", num_layers=layers)
    x = torch.randn(TIME, BATCH, INPUT)
    ours, theirs = interleaved(
        *(training_step(each, x) for each in (model, model.to_torch())), rounds=max(3, ROUNDS // 3)
    )
    return ratio(ours, theirs)


class Owned:
    """What it costs that the output belongs to its user and every gradient to its parameter, over 100 steps, batch 32."""

    version = "1"
    params: ClassVar = [STUDIED]
    param_names: ClassVar = ["cell"]

    def setup_cache(self) -> dict[Any, Any]:
        return tabulate(owned, STUDIED)

    setup_cache.timeout = 600

    def track_cost(self, table: dict[Any, Any], cell: str) -> float:
        """CPU time of a training step over that of one that hands out what its own way back reads and shares."""
        return look_up(table, cell)

    track_cost.unit = "x training step"


def owned(cell: str) -> float:
    """Time of a step as it is over one without the three functions that part memory."""
    import torch

    need("rnnvanish.compat")
    loop, cpu = need("rnnvanish.engine.loop"), need("rnnvanish.engine.cpu.cpu_loop")
    given = training_step(layer(cell), torch.randn(TIME, BATCH, INPUT))

    def shared() -> None:
        kept = loop.lazy_clone, loop.copy_shared, cpu.data_address
        loop.lazy_clone, loop.copy_shared, cpu.data_address = (
            (lambda y: y.data),
            (lambda own, _: list(own)),
            torch.Tensor.data_ptr,
        )
        try:
            given()
        finally:
            loop.lazy_clone, loop.copy_shared, cpu.data_address = kept

    return ratio(*interleaved(given, shared, rounds=4 * ROUNDS))


class FirstCall:
    """The first training step of a fresh process: whatever is compiled or warmed up is paid here."""

    version = "1"
    params: ClassVar = [STUDIED]
    param_names: ClassVar = ["cell"]

    def track_seconds(self, cell: str) -> float:
        """CPU seconds of building the layer and taking one training step, `import rnnvanish` not counted."""
        import torch

        try:
            layer(cell)  # imports
            with one_thread():
                x = torch.randn(TIME, BATCH, INPUT)
                start = time.process_time()
                training_step(layer(cell), x)()
                return time.process_time() - start
        except Missing as missing:
            raise SkipNotImplemented(str(missing)) from None

    track_seconds.unit = "seconds"
