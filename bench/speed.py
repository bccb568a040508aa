"""How long a training step takes: as a ratio, to compare commits, and in seconds, to know what it costs."""

import statistics
from typing import TYPE_CHECKING, Any

from .common import (
    BATCH,
    HIDDEN,
    INPUT,
    TIME,
    Missing,
    PerCell,
    in_torch,
    interleaved,
    layer,
    look_up,
    ratio,
    tabulate,
    training_step,
)

if TYPE_CHECKING:
    from torch import Tensor, nn

ROUNDS = 25


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


def measure(cell: str) -> dict[str, Any]:
    import torch

    x = torch.randn(TIME, BATCH, INPUT)
    models = {"ours": layer(cell), "loop": frozen_loop()}
    none = None
    try:
        models["torch"] = in_torch(cell, models["ours"])
    except Missing as missing:
        none = missing
    steps = [training_step(model, x) for model in models.values()]
    seconds = dict(zip(models, interleaved(*steps, rounds=ROUNDS), strict=True))
    return {
        "seconds": statistics.median(seconds["ours"]),
        "loop": ratio(seconds["ours"], seconds["loop"]),
        "torch": none or ratio(seconds["ours"], seconds["torch"]),
    }


class TrainingStep(PerCell):
    """Forward and backward over 100 steps, batch 32, 16 inputs, 64 units, one thread."""

    version = "1"

    def setup_cache(self) -> dict[str, Any]:
        return tabulate(measure)

    setup_cache.timeout = 600

    def track_vs_torch(self, table: dict[str, Any], cell: str) -> float:
        """CPU time over that of the layer of torch.nn with the same weights."""
        return look_up(look_up(table, cell), "torch")

    track_vs_torch.unit = "x torch.nn"

    def track_vs_loop(self, table: dict[str, Any], cell: str) -> float:
        """CPU time over that of a frozen tanh network in plain Python: the same yardstick for every cell."""
        return look_up(look_up(table, cell), "loop")

    track_vs_loop.unit = "x frozen loop"

    def track_seconds(self, table: dict[str, Any], cell: str) -> float:
        """CPU seconds of one training step."""
        return look_up(look_up(table, cell), "seconds")

    track_seconds.unit = "seconds"
