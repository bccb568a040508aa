r"""Recurrent batch normalisation: each number that reaches a unit is held against the same number in the other sequences.

    W x  becomes  g (W x − mean) / √(variance + ε)        and U h likewise, with statistics and gains of its own

mean and variance are those of a batch, at each step by itself. Training keeps their averages for evaluation, step by step
too, since the first steps differ from later ones. Gains start at 0.1: with 1, units would saturate and the gradient vanish.
"""

from dataclasses import dataclass
from typing import cast

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from rnnvanish.cell import Cell, Paper, State, has_output
from rnnvanish.mitigation import Build, Wrapper, innermost, run_as_plain_loop, wrap
from rnnvanish.mitigations.layer_normalisation import NormalisedLinear, plain_layers
from rnnvanish.recurrent import Recurrent

EPSILON = 1e-5
#: How much of what is kept a batch replaces, once more than 1 / RATE have come; all before count alike.
RATE = 0.05


@dataclass
class _Moment:
    """What the layers of a cell have to know of a step that is being taken.

    Attributes:
        running: Which sequences have not ended.
        known: Where each sequence finds the kept statistics of its step, or of the last step that has any.
        now: Where those of this step are kept.
        rate: How much of these it replaces.
    """

    running: Bool[Tensor, " batch"]
    known: Int[Tensor, " batch"]
    now: Int[Tensor, ""]
    rate: Float[Tensor, ""]


class _Clock:
    """Hands the moment from a cell to its layers; there is none between steps."""

    moment: _Moment | None = None


class _Normalised(NormalisedLinear):
    mean: Tensor
    variance: Tensor

    def __init__(self, plain: nn.Linear, clock: _Clock, gain: float, steps: int) -> None:
        super().__init__(plain)
        nn.init.constant_(self.gain, gain)
        self.clock = clock
        self.register_buffer("mean", plain.weight.new_zeros(steps, plain.out_features))
        self.register_buffer("variance", plain.weight.new_ones(steps, plain.out_features))

    def normalise(self, product: Tensor) -> Tensor:
        if product.dim() != 2:
            raise ValueError(
                "RecurrentBatchNormalisation needs layers that read a row a sequence, got one that reads "
                f"{product.dim() - 1} axes."
            )
        mean, variance = self._statistics(product.to(self.gain.dtype))
        scaled = self.gain * (product - mean) * torch.rsqrt(variance + EPSILON)
        return scaled if self.bias is None else scaled + self.bias

    def _statistics(self, product: Tensor) -> tuple[Tensor, Tensor]:
        """Of the batch in training, where two sequences run on; else those that are kept."""
        moment = self.clock.moment
        if moment is None:
            raise RuntimeError("its statistics are those of a step, which it does not count alone")
        rows = product[moment.running] if self.training else product[:0]
        if len(rows) < 2:
            return self.mean[moment.known], self.variance[moment.known]
        mean, variance = rows.mean(0), rows.var(0, unbiased=False)
        with torch.no_grad():
            for kept, found in ((self.mean, mean), (self.variance, variance)):
                kept[moment.now] = torch.lerp(kept[moment.now], found, moment.rate.to(found))
        return mean, variance


class _BatchNormalised(Wrapper):
    """Its state carries a clock: the step that comes, up to the last that has statistics of its own."""

    batches: Tensor

    def __init__(self, cell: Cell, gain: float, steps: int) -> None:
        super().__init__(cell, ("clock",), helpers=("clock",))
        self.wants, self.clock, self.steps = (*cell.wants, "running"), _Clock(), steps
        layers = list(plain_layers(innermost(cell), "RecurrentBatchNormalisation"))
        for owner, name, plain in layers:
            owner.set_submodule(name, _Normalised(plain, self.clock, gain, steps).train(cell.training))
        self.register_buffer("batches", layers[0][2].weight.new_zeros(steps))

    @property
    def hands_back_derivative(self) -> bool:
        """Not in training: there a sequence moves the statistics of the others."""
        return not self.training

    def forward(
        self,
        x: Float[Tensor, "batch input"],
        state: State,
        running: Float[Tensor, "batch 1"] | None = None,
        **wanted: Tensor | None,
    ) -> State:
        *own, clock = state
        clock = clock.detach()
        moment = self.clock.moment = self._moment(clock[:, 0].long(), running)
        try:
            after = self.cell(x, tuple(own), **wanted)
        finally:
            self.clock.moment = None
        if self.training and int(moment.running.sum()) > 1:
            self.batches[moment.now] += 1
        return (*after, (clock + 1).clamp(max=self.steps - 1))

    def _moment(self, step: Int[Tensor, " batch"], running: Tensor | None) -> _Moment:
        runs = torch.ones_like(step, dtype=torch.bool) if running is None else running[:, 0] > 0
        if self.training:
            self._check(step, runs)
        known = torch.minimum(step, (self.batches.count_nonzero() - 1).clamp(min=0))
        now = torch.where(runs, step, 0).max()
        return _Moment(runs, known, now, (1 / (self.batches[now] + 1)).clamp(min=RATE))

    def _check(self, step: Int[Tensor, " batch"], runs: Bool[Tensor, " batch"]) -> None:
        if len(step) < 2:
            raise ValueError(
                "RecurrentBatchNormalisation needs two sequences at least in training, where a batch is measured, got one: "
                "give more, or call eval()."
            )
        ours = step[runs]
        if len(ours) and ours.min() != ours.max():
            raise ValueError(
                "RecurrentBatchNormalisation in training needs sequences that began together, as it measures a step of all, "
                f"got some at step {int(ours.min())} and some at {int(ours.max())}: leave resets and states of other lengths, or call eval()."
            )

    def initial_state(self, x: Float[Tensor, "batch input"]) -> State:
        return (*self.cell.initial_state(x), x.new_zeros(len(x), 1))


@dataclass(frozen=True)
class RecurrentBatchNormalisation(Build):
    """Normalise W x and U h separately, in training by the statistics of the batch at each step, each with a gain.

    The count of steps is a part of the state, "clock", without gradient: so the state of a `Recurrent` becomes a tuple.
    The layer runs as a plain loop. Steps that belong to no sequence do not count; where less than two sequences run on,
    the kept statistics serve. In training `probes.retention` shows what training gets; what takes steps again (Jacobians,
    shares) refuses. In evaluation, where statistics are fixed, all measures work; before any training they are mean 0
    and variance 1. Left out is the paper's normalisation of the LSTM's c on its way to the output. Where all sequences
    of a batch are alike, as at pixels that are always black, their variance is 0 and gradients grow by up to 30 a step.

    Attributes:
        gain: What gains start at.
        steps: Steps that have statistics of their own; all later ones share those of the last.

    Raises:
        ValueError: For a gain of 0, and steps below 1.
    """

    paper = Paper(
        "Cooijmans, Ballas, Laurent, Gülçehre & Courville",
        2017,
        "Recurrent Batch Normalization",
        "https://arxiv.org/abs/1603.09025",
    )
    checked = (
        "authors' code, cooijmanstim/recurrent-batch-normalization penntreebank.py @ 01ca3cfff6 and sequential_mnist.py @ 0eccb31888: "
        "biased variance, 1e-5 under the root, gains of 0.25 there and 0.1 in the paper, averages that a batch moves by 0.05; here "
        "the first 20 batches count alike, so that what they start from does not. Their plain network normalises the sum"
    )
    needs = "a cell that names its linear layers, and whose output is a part of its state"
    invariant = "In training each product has mean 0 over the sequences of a step, and its gain as spread."
    gain: float = 0.1
    steps: int = 200

    def __post_init__(self) -> None:
        if self.gain == 0:
            raise ValueError("RecurrentBatchNormalisation needs a gain other than 0, which would leave nothing.")
        if self.steps < 1:
            raise ValueError(f"RecurrentBatchNormalisation needs steps >= 1, got {self.steps}.")

    def build(self, layer: Recurrent) -> Recurrent:
        """Wrap each cell, and normalise the layers that it names; of one that names none, `from_x` and `from_h`.

        Raises:
            ValueError: For a cell without them, with constrained ones (normalise first), or with an output of its own; for
                a layer that is told to run compiled.
        """
        for cell in (innermost(cast(Cell, each)) for each in layer.cells):  # where one does not suit, none is changed
            if has_output(cell):
                raise ValueError(
                    "RecurrentBatchNormalisation needs a cell whose output is a part of its state, got "
                    f"{type(cell).__name__}, which has one of its own."
                )
            list(plain_layers(cell, type(self).__name__))
        run_as_plain_loop(layer, type(self).__name__)
        return wrap(layer, lambda cell: _BatchNormalised(cell, self.gain, self.steps).train(cell.training))
