"""A recurrent network that learns a task, for Lightning."""

import copy
import math
from collections.abc import Callable
from functools import partial
from typing import Any, Literal

import pytorch_lightning as pl
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from rnnvanish import cells, tasks
from rnnvanish.mitigation import Build, Draw, Penalty, Regime, Rule, parameter_groups
from rnnvanish.mitigations import ALL as MITIGATIONS
from rnnvanish.names import built, check_options, lookup
from rnnvanish.recurrent import Recurrent
from rnnvanish.task import Batch, Task, stream

#: Optimisers by their names; all numbers but the rate, the weight decay, and the momentum of SGD, are torch's own.
OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "rmsprop": torch.optim.RMSprop,
    "sgd": torch.optim.SGD,
}
#: What a schedule multiplies the learning rate by, from the share of all steps that is done. That of "step" is He et al.'s
#: (2016, section 4.2): a tenth after half of the steps, a hundredth after three quarters.
SCHEDULES: dict[str, Callable[[float], float]] = {
    "constant": lambda done: 1.0,
    "linear": lambda done: 1.0 - done,
    "cosine": lambda done: (1.0 + math.cos(math.pi * done)) / 2.0,
    "step": lambda done: 0.1 ** ((done >= 0.5) + (done >= 0.75)),
}


class Learner(pl.LightningModule):
    """A `Recurrent` and a linear read-out that learn a task.

    Everything that it is built from is a name or a number and goes into its checkpoints, so that
    `Learner.load_from_checkpoint(path)` needs nothing else. Logged: `train_loss`; `val_loss` and `val_score` on the
    test part, with `floor`, what remembering nothing would cost there, and by `Trainer.test` the same as `test_loss` and
    `test_score`; `penalty` where a mitigation adds one, which is no part of `train_loss`. The Trainer's own clipping comes after that of the mitigations.

    Args:
        cell: Name of the cell, one of `cells.ALL`.
        task: Name of the task, one of `tasks.ALL`; or one of your own by its place, "my_task.py:MyTask".
        hidden_size: Width of the state.
        num_layers: How many layers.
        bidirectional: Whether each layer also runs from the end to the beginning.
        dropout: Probability of dropping an output on its way to the next layer, in training.
        skip: "residual" adds the input of each layer but the first to its output.
        engine: How the loop over time is run.
        lr: Learning rate.
        seed: Decides which outputs are dropped. The weights are drawn from torch's global generator: seed that first.
        cell_options: Passed on to the cell.
        task_options: Passed on to the task.
        mitigations: Those of `mitigations.ALL`, as Python writes them: "Chrono(span=100), ClipNorm". Each acts at its
            own moment, and those of one moment in the order given.
        optimizer: Name of the optimiser, one of `OPTIMIZERS`.
        momentum: That of "sgd": the share of the last step that the next one keeps.
        schedule: What becomes of the learning rate over all steps that the Trainer is asked for, one of `SCHEDULES`.
        weight_decay: Of the optimiser; None for torch's own, which is 0, but 0.01 of "adamw".

    Raises:
        ValueError: For a name or option that there is not, or a size out of range: says what there is.
    """

    def __init__(
        self,
        cell: str,
        task: str,
        hidden_size: int = 64,
        num_layers: int = 1,
        bidirectional: bool = False,
        dropout: float = 0.0,
        skip: Literal["residual"] | None = None,
        engine: Literal["auto", "reference", "cpu", "gpu"] = "auto",
        lr: float = 5e-3,
        seed: int = 0,
        cell_options: dict[str, Any] | None = None,
        task_options: dict[str, Any] | None = None,
        mitigations: str = "",
        optimizer: str = "adam",
        momentum: float = 0.0,
        schedule: str = "constant",
        weight_decay: float | None = None,
    ) -> None:
        super().__init__()
        cell_class, task_class = lookup("cell", cell, cells.ALL), tasks.find(task)
        check_options(f"cell {cell}", cell_class, cell_options or {}, ours=("input_size", "hidden_size"))
        check_options(f"task {task}", task_class, task_options or {})
        chosen = built("mitigation", mitigations, MITIGATIONS)
        if lr <= 0:
            raise ValueError(f"Learner needs a learning rate lr > 0, got {lr}.")
        lookup("optimizer", optimizer, OPTIMIZERS)
        if not 0 <= momentum < 1 or (momentum and optimizer != "sgd"):
            raise ValueError(f"Learner needs 0 <= momentum < 1, and of sgd alone, got {momentum} of {optimizer}.")
        lookup("schedule", schedule, SCHEDULES)
        if weight_decay is not None and not 0 <= weight_decay < math.inf:
            raise ValueError(f"Learner needs a weight_decay >= 0, got {weight_decay}.")
        self.save_hyperparameters()
        self.task: Task = task_class(**task_options or {})
        if bidirectional and self.task.forward_only:
            raise ValueError(
                f"The inputs of {task} hold its answers, which a reverse direction would read: train forward."
            )
        layer = Recurrent(
            cell_class,
            self.task.input_size,
            hidden_size,
            num_layers=num_layers,
            bidirectional=bidirectional,
            dropout=dropout,
            skip=skip,
            engine=engine,
            **cell_options or {},
        )
        self.readout = nn.Linear(layer.output_size * (2 if bidirectional else 1), self.task.output_size)
        # After all other weights are drawn, so that they are those of a run without mitigations.
        for mitigation in chosen:
            if isinstance(mitigation, Draw):
                mitigation(layer, self._sample(seed) if mitigation.reads_inputs else None)
        self.recurrent: nn.Module = layer
        self.regimes = [mitigation for mitigation in chosen if isinstance(mitigation, Regime)]
        builds: list[Build | Regime] = [mitigation for mitigation in chosen if isinstance(mitigation, Build)]
        for build in (*builds, *self.regimes):
            self.recurrent = build(self.recurrent)
        self.penalties = [mitigation for mitigation in chosen if isinstance(mitigation, Penalty)]
        rules = [mitigation for mitigation in chosen if isinstance(mitigation, Rule)]
        # What one has scaled the loss by is taken out of the gradient before another reads it.
        self.rules = sorted(rules, key=lambda rule: type(rule).scale is Rule.scale)

    @property
    def default_clip(self) -> float:
        """Largest norm of the gradient where none is asked for: 1, or 0 for any where a mitigation clips it."""
        return 0.0 if any(rule.clips for rule in self.rules) else 1.0

    def forward(
        self, inputs: Float[Tensor, "time batch features"], lengths: Int[Tensor, " batch"] | None = None
    ) -> Tensor:
        """Predict: (batch, outputs) where the task's answer comes last, else (time, batch, outputs)."""
        output, _ = self.recurrent(inputs, lengths=lengths)
        prediction: Tensor = self.readout(self._last(output, lengths) if self.task.answer == "last" else output)
        return prediction

    def _sample(self, seed: int) -> tuple[Tensor, None, Tensor | None]:
        """What a draw from data is given: sequences of the train part, as a layer takes them."""
        batch = self.task.sample(64, torch.Generator().manual_seed(seed))
        return batch.inputs, None, batch.lengths

    def losses(self, batch: Batch) -> tuple[Tensor, Tensor | None]:
        """Compute the loss of a batch, and what mitigations add to it; None where there are none that do."""
        loss = self.task.loss(self(batch.inputs, batch.lengths), batch)
        if not self.penalties:
            return loss, None
        inputs, loss_of = (batch.inputs, batch.lengths), partial(self.task.loss, batch=batch)
        return loss, torch.stack([each.penalty(self, inputs, loss_of) for each in self.penalties]).sum()

    def training_step(self, batch: Batch, index: int) -> Tensor:
        """Return the loss with what mitigations add to it; log both."""
        count = batch.inputs.shape[1]
        loss, penalty = self.losses(batch)
        self.log("train_loss", loss, prog_bar=True, batch_size=count, sync_dist=True)
        if penalty is not None:
            self.log("penalty", penalty, batch_size=count, sync_dist=True)
            loss = loss + penalty
        for rule in self.rules:
            loss = rule.scale(loss)
        return loss

    def configure_gradient_clipping(
        self,
        optimizer: torch.optim.Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Apply the rules among the mitigations, then clip as the Trainer was told."""
        for rule in self.rules:
            rule.apply(self.parameters())
        self.clip_gradients(optimizer, gradient_clip_val, gradient_clip_algorithm)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep what rules have seen."""
        checkpoint["rules"] = [dict(rule.seen) for rule in self.rules]

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Give rules back what they had seen; one that has kept nothing begins anew."""
        for rule, seen in zip(self.rules, checkpoint.get("rules", []), strict=False):
            rule.seen.clear()
            rule.seen.update(copy.deepcopy(seen))

    def validation_step(self, batch: Batch, index: int) -> None:
        """Log loss and score on the test part."""
        self._log_answers("val", batch)

    def test_step(self, batch: Batch, index: int) -> None:
        """Log loss and score on the test part, of a training that is over."""
        self._log_answers("test", batch)

    def _log_answers(self, stage: str, batch: Batch) -> None:
        prediction = self(batch.inputs, batch.lengths)
        count = batch.inputs.shape[1]
        self.log(f"{stage}_loss", self.task.loss(prediction, batch), prog_bar=True, batch_size=count, sync_dist=True)
        self.log(f"{stage}_score", self.task.score(prediction, batch), prog_bar=True, batch_size=count, sync_dist=True)
        self.log("floor", self.task.floor, batch_size=count, sync_dist=True)

    def on_fit_start(self) -> None:
        """See that the batches are those that the mitigations ask for.

        Raises:
            ValueError: Where they come from elsewhere.
        """
        drawing = [regime for regime in self.regimes if type(regime).batch is not Regime.batch]
        if drawing and getattr(getattr(self.trainer, "datamodule", None), "regimes", None) != self.regimes:
            raise ValueError(
                f"{drawing[0]!r} draws the batches: train with TaskData(learner.task, regimes=learner.regimes)."
            )

    def on_train_batch_start(self, batch: Batch, index: int) -> None:
        """Seed each step by its place, so that an interrupted run drops the outputs that it would have dropped."""
        place = ("step", self.hparams["seed"], self.current_epoch, index)
        others = (self.global_rank,) if self.global_rank else ()  # each process drops outputs of its own
        # Where there is no GPU torch.manual_seed keeps a traceback of each call, which takes as long as a small step.
        seeded = torch.default_generator if self.device.type == "cpu" else torch
        seeded.manual_seed(stream(*place, *others).initial_seed())
        step = self.current_epoch * int(self.trainer.num_training_batches) + index
        for regime in self.regimes:
            regime.begin(self, step)
            regime.observe(self, step, (batch.inputs, batch.lengths), partial(self.task.loss, batch=batch))

    def configure_optimizers(self) -> Any:
        """Build the optimiser, and what changes its learning rate."""
        optimizer = self.build_optimizer()
        if self.hparams["schedule"] == "constant":
            return optimizer
        steps, factor = float(self.trainer.estimated_stepping_batches), SCHEDULES[self.hparams["schedule"]]
        scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: factor(step / steps))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def build_optimizer(self) -> torch.optim.Optimizer:
        """Build the optimiser alone."""
        options = {"momentum": self.hparams["momentum"]} if self.hparams["optimizer"] == "sgd" else {}
        if self.hparams["weight_decay"] is not None:
            options["weight_decay"] = self.hparams["weight_decay"]
        groups = parameter_groups(self, self.hparams["lr"], self.regimes)
        return OPTIMIZERS[self.hparams["optimizer"]](groups, lr=self.hparams["lr"], **options)

    def _last(self, output: Tensor, lengths: Tensor | None) -> Tensor:
        """Output of each direction at its own last step, shape (batch, hidden * directions)."""
        count = output.shape[1]
        last = output[-1] if lengths is None else output[lengths - 1, torch.arange(count, device=output.device)]
        if not self.hparams["bidirectional"]:
            return last
        forward = output.shape[-1] // 2  # the reverse direction ends at the beginning
        return torch.cat([last[:, :forward], output[0, :, forward:]], dim=-1)
