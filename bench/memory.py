"""What a training step keeps in memory: exact, but for the peak of a process, which is mostly `import torch`."""

from typing import TYPE_CHECKING, Any

from asv_runner.benchmarks.mark import SkipNotImplemented

from .common import (
    ALL_CELLS_TIMEOUT,
    BATCH,
    INPUT,
    TIME,
    Missing,
    PerCell,
    beside_torch,
    layer,
    look_up,
    saved_bytes,
    training_step,
)

if TYPE_CHECKING:
    from torch import nn


def megabytes(model: "nn.Module") -> float:
    import torch

    x = torch.randn(TIME, BATCH, INPUT, requires_grad=True)
    return saved_bytes(lambda: model(x), [x, *model.parameters()]) / 1e6


class Saved(PerCell):
    """What autograd keeps of a forward pass over 100 steps, batch 32, 16 inputs, 64 units, beside weights and input."""

    version = "1"

    def setup_cache(self) -> dict[str, dict[str, Any]]:
        return beside_torch(lambda build: megabytes(build()))

    setup_cache.timeout = ALL_CELLS_TIMEOUT

    def track_saved(self, tables: dict[str, dict[str, Any]], cell: str) -> float:
        """Megabytes kept for the backward pass."""
        return look_up(tables["ours"], cell)

    track_saved.unit = "MB"

    def track_vs_torch(self, tables: dict[str, dict[str, Any]], cell: str) -> float:
        """The same over that of the layer of torch.nn with the same weights."""
        return look_up(tables["ours"], cell) / look_up(tables["torch"], cell)

    track_vs_torch.unit = "x torch.nn"


def peakmem_training_step() -> None:
    """Peak of a whole process that takes one training step of an LSTM.

    Nearly all of it is torch itself; a first run in a new environment has read a quarter more.
    """
    import torch

    try:
        model = layer("LSTM")
    except Missing as missing:
        raise SkipNotImplemented(str(missing)) from None
    training_step(model, torch.randn(TIME, BATCH, INPUT))()


peakmem_training_step.version = "1"
peakmem_training_step.unit = "bytes"
