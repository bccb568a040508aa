"""What looking costs: the probes, the whole diagnosis, and the monitor beside a training."""

import statistics
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

from .common import (
    BATCH,
    INPUT,
    QUICK,
    ROUNDS,
    TIME,
    Missing,
    in_torch,
    interleaved,
    layer,
    look_up,
    need,
    ratio,
    tabulate,
)
from .common import training_step as _training_step

if TYPE_CHECKING:
    from torch import nn

LOOKS = ["retention", "retention of Recurrent", "diagnose"]
PARTS = ["measures and faults", "draw of a cure"]
STEPS = [100, 1000, 4000]
LONGEST = 100 if QUICK else 4000  # longer sequences are skipped
EVERY = 10  # steps of a training between two looks of the monitor
INTERVALS: dict[str, int | None] = {"default": None, "every 50": 50}  # of `watch`
PASSES = 60 if QUICK else 1000  # of the loop that it watches


def overhead(look: str) -> float:
    """CPU time of a look at torch's LSTM, or at a Recurrent of the same, over that of a training step of it."""
    import torch

    package = need("rnnvanish.diagnosis") if look == "diagnose" else need("rnnvanish.probes")
    function: Callable[..., Any] = getattr(package, look.partition(" ")[0])
    own = layer("LSTM")
    model, x = own if look.endswith("Recurrent") else in_torch("LSTM", own), torch.randn(TIME, BATCH, INPUT)
    looks, steps = interleaved(lambda: function(model, x), _training_step(model, x), rounds=max(3, ROUNDS // 5), warm=1)
    return ratio(looks, steps)


class Looking:
    """At torch.nn.LSTM (or Recurrent) with 64 units, over 100 steps, batch 32."""

    version = "1"
    params: ClassVar = [LOOKS]
    param_names: ClassVar = ["look"]

    def setup_cache(self) -> dict[str, Any]:
        return tabulate(overhead, LOOKS)

    setup_cache.timeout = 600

    def track_overhead(self, table: dict[str, Any], look: str) -> float:
        """CPU time over that of one training step."""
        return look_up(table, look)

    track_overhead.unit = "x training step"


def part_of_a_diagnosis(case: tuple[str, int]) -> float:
    """CPU time of a part of `diagnose(nn.LSTM(8, 64), torch.randn(steps, 4, 8))` over that of a training step of it."""
    import torch

    part, steps = case
    if steps > LONGEST:
        raise Missing(f"{steps} steps are left out of a quick run")
    model, x = torch.nn.LSTM(8, 64), torch.randn(steps, 4, 8)
    run, times = one_draw(model, x) if part == "draw of a cure" else (all_measures(model, x), 1)
    looks, training = interleaved(run, _training_step(model, x.clone()), rounds=max(3, ROUNDS // 5), warm=1)
    return ratio(looks, training) / times


def all_measures(model: "nn.Module", x: Any) -> Callable[[], object]:
    """Curve, cause, faults and measures: of commits that do not watch once for all of these, each with its own runs."""
    examine = need("rnnvanish.diagnosis.examine")
    if "curve" in examine.Examined.__dataclass_fields__:
        return lambda: examine.examine(model, x)
    retention = need("rnnvanish.probes").retention
    return lambda: (retention(model, x), examine.examine(model, x))


def one_draw(model: "nn.Module", x: Any) -> tuple[Callable[[], object], int]:
    """Trying cures that draw weights, and how often these were drawn."""
    trials, cures = need("rnnvanish.diagnosis.advice.trials"), need("rnnvanish.mitigations")
    trials.VANISHING = (cures.OpenGate(1.0), cures.OpenGate(3.0), cures.OrthogonalStart())
    before = need("rnnvanish.probes").retention(model, x)

    def run() -> Any:
        return trials.try_cures(model, x, None, before)

    (tried,) = run().layers.values()
    return run, sum(getattr(each, "draws", 1) for each in tried)  # of older commits once each


class Parts:
    """Of torch.nn.LSTM with 64 units, which reads 8 features of 4 sequences."""

    version = "1"
    params: ClassVar = [PARTS, STEPS]
    param_names: ClassVar = ["part", "steps"]

    def setup_cache(self) -> dict[Any, Any]:
        return tabulate(part_of_a_diagnosis, [(part, steps) for part in PARTS for steps in STEPS])

    setup_cache.timeout = 600

    def track_overhead(self, table: dict[Any, Any], part: str, steps: int) -> float:
        """CPU time over that of one training step."""
        return look_up(table, (part, steps))

    track_overhead.unit = "x training step"


def watched() -> float:
    """CPU time of 20 training steps with the monitor, which looks at every tenth, over that without."""
    import logging

    import pytorch_lightning as pl
    import torch
    from torch.utils.data import DataLoader

    monitor = need("rnnvanish.training.monitor", "rnnvanish.probes.monitor").RetentionMonitor
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)

    class Model(pl.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.layer: nn.Module = torch.nn.LSTM(INPUT, 64)

        def training_step(self, batch: Any, index: int) -> Any:
            return self.layer(batch)[0].square().mean()

        def configure_optimizers(self) -> Any:
            return torch.optim.SGD(self.parameters(), lr=1e-3)

    data = DataLoader(torch.randn(2 * EVERY, TIME, BATCH, INPUT), batch_size=None)

    class Nowhere(pl.loggers.Logger):
        name, version = "nowhere", 0
        log_metrics = log_hyperparams = lambda self, *_, **__: None

    def training(*callbacks: Any) -> Callable[[], None]:
        def run() -> None:
            options = {"enable_progress_bar": False, "enable_model_summary": False, "enable_checkpointing": False}
            trainer = pl.Trainer(
                max_epochs=1, accelerator="cpu", logger=Nowhere(), callbacks=list(callbacks), **options
            )
            trainer.fit(Model(), data)

        return run

    with_it, without = interleaved(
        training(monitor(every_n_steps=EVERY)), training(), rounds=max(2, ROUNDS // 8), warm=1
    )
    return statistics.median(one / other for one, other in zip(with_it, without, strict=True))


class Monitor:
    """The Lightning callback that measures retention while a model trains."""

    version = "1"

    def setup_cache(self) -> dict[str, Any]:
        return tabulate(lambda _: watched(), ["monitor"])

    setup_cache.timeout = 600

    def track_overhead(self, table: dict[str, Any]) -> float:
        """CPU time of a training with the monitor at every tenth step over that of the same training without."""
        return look_up(table, "monitor")

    track_overhead.unit = "x unwatched training"


def watched_in_a_loop(interval: str) -> float:
    """CPU time of a plain training loop that is watched over that of the same loop alone."""
    import torch

    watch = need("rnnvanish.monitor.watch").watch
    batches = torch.randn(10, TIME, BATCH, INPUT)

    def training(watching: bool) -> Callable[[], None]:
        def run() -> None:
            torch.manual_seed(0)
            model, head = torch.nn.LSTM(INPUT, 64), torch.nn.Linear(64, 1)
            rule = torch.optim.Adam([*model.parameters(), *head.parameters()])
            seen = watch(model, every=INTERVALS[interval], on_alert=str) if watching else None
            for step in range(PASSES):
                rule.zero_grad()
                head(model(batches[step % len(batches)])[0][-1]).square().mean().backward()
                rule.step()
            if seen is not None:
                seen.close()

        return run

    with_it, without = interleaved(training(True), training(False), rounds=max(2, ROUNDS // 8), warm=1)
    return statistics.median(one / other for one, other in zip(with_it, without, strict=True))


class Watching:
    """A loop of torch.nn.LSTM with 64 units over 100 steps, batch 32, with `watch` at its default interval, or at every 50th pass."""

    version = "1"
    params: ClassVar = [list(INTERVALS)]
    param_names: ClassVar = ["interval"]

    def setup_cache(self) -> dict[str, Any]:
        return tabulate(watched_in_a_loop, list(INTERVALS))

    setup_cache.timeout = 600

    def track_overhead(self, table: dict[str, Any], interval: str) -> float:
        """CPU time of a training that is watched over that of the same training alone."""
        return look_up(table, interval)

    track_overhead.unit = "x unwatched training"
