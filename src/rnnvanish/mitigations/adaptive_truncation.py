r"""Adaptively truncated backpropagation: the gradient is cut as early as what is lost stays small.

    φ_k = ‖dL/ds_{T−k}‖        measured now and then; beyond half of the lags it is taken to fall like β^k
    lost(K) = Σ_{k ≥ K} φ_k        kept ≥ max over K of Σ_{k < K} φ_k − lost(K)

The window is the least K with lost(K) / kept ≤ bias. It follows the training: as memory grows, so does the window.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from rnnvanish.cell import Cell, Paper, State
from rnnvanish.mitigation import Build, Regime, Wrapper, wrap
from rnnvanish.mitigations.truncated_backpropagation import detach_where
from rnnvanish.probes.retention import retention
from rnnvanish.recurrent import Recurrent

#: A gradient that is smaller, beside the one at the end, is zero: e⁻⁵⁰, as authors' code has it.
LEAST = 2e-22


class _Windowed(Wrapper):
    """Its state carries steps since the last cut, and the window: a compiled step may read nothing else that changes."""

    window: Tensor

    def __init__(self, cell: Cell, window: int) -> None:
        super().__init__(cell, ("clock", "window"), helpers=("clock", "window"))
        self.register_buffer("window", torch.tensor(float(window)))

    def forward(self, x: Float[Tensor, "batch input"], state: State, **wanted: Tensor | None) -> State:
        *own, clock, window = state
        due = clock.detach() >= window.detach()
        own = [detach_where(due, part) for part in own]
        return (*self.cell(x, tuple(own), **wanted), torch.where(due, 1.0, clock.detach() + 1.0), window.detach())

    def initial_state(self, x: Float[Tensor, "batch input"]) -> State:
        clock = x.new_zeros(len(x), 1)
        return (*self.cell.initial_state(x), clock, clock + self.window)


class _Window(Build):
    """Puts it around each cell."""

    def build(self, layer: Recurrent) -> Recurrent:
        return wrap(layer, partial(_Windowed, window=2**30))  # nothing is cut before anything is measured


@final
@dataclass(frozen=True)
class AdaptiveTruncation(Regime):
    """Detach the state every K steps, and choose K anew now and then by how the gradient falls.

    All layers have the same K, the largest that one of them needs. As every cut, it is counted from the beginning of each
    sequence: a loss just behind a cut gets less than K steps. K is kept with the model, in `state_dict`. In a loop of your
    own, call `observe` before each step.

    Args:
        bias: Largest part of the gradient that may be lost.
        every: Steps of training from one measurement to the next.

    Raises:
        ValueError: For a bias outside (0, 1), and fewer than one step.
    """

    bias: float = 0.1
    every: int = 100

    paper = Paper(
        "Aicher, Foti & Fox",
        2020,
        "Adaptively Truncating Backpropagation Through Time to Control Gradient Bias",
        "https://arxiv.org/abs/1905.07473",
    )
    checked = (
        "authors' code, aicherc/adaptive_tbptt adaptive_truncation.py @ 1bab866, with its bias of 0.1: as its options have it, φ is "
        "averaged as logarithms and `kept` sums norms; there β is fitted over all lags, here over those behind the half, "
        "and one lag is counted twice in what is lost"
    )
    needs = "a loss that is read off the model's output"
    usage = "cure = {}\nmodel = cure(model)\n# before each step: cure.observe(model, step, inputs, loss)"
    invariant = (
        "Values are those of the plain layer, and what lies beyond the window is at most `bias` of the gradient."
    )

    def __post_init__(self) -> None:
        if not 0 < self.bias < 1 or self.every < 1:
            raise ValueError(f"AdaptiveTruncation needs 0 < bias < 1 and every >= 1, got {self.bias} and {self.every}.")

    def __call__(self, model: nn.Module) -> nn.Module:
        """Wrap the cells of every recurrent layer of `model`; returns it, or what takes the place of a layer."""
        return _Window()(model)

    def observe(self, model: nn.Module, step: int, inputs: Any, loss: Callable[[Any], Tensor]) -> None:
        """Measure the whole gradient of `loss(model(*inputs))` where it is time to, and set the window."""
        if step % self.every == 0:
            windows = [each.window for each in model.modules() if isinstance(each, _Windowed)]
            for window in windows:
                window.fill_(2**30)
            with torch.enable_grad():
                curves = retention(model, inputs, loss).values()
            found = max(shortest_window(curve.gain.nan_to_num(), self.bias) for curve in curves)
            for window in windows:
                window.fill_(found)


def shortest_window(gain: Float[Tensor, " lags"], bias: float) -> int:
    """The least window beyond which at most `bias` of the gradient lies; all lags where no window is known to be enough.

    Args:
        gain: The gradient at each lag, over that at lag 0.
        bias: See `AdaptiveTruncation`.
    """
    lags, half = len(gain), len(gain) // 2
    lag = torch.arange(half, lags, dtype=gain.dtype, device=gain.device)
    there = gain[half:] > LEAST
    decay = 0.0
    if there.sum() > 1:
        logs, lag = gain[half:][there].log(), lag[there]
        lag = lag - lag.mean()
        decay = float(((logs * lag).sum() / lag.square().sum()).exp())
    if decay >= 1:
        return lags
    tail = gain[half] / (1 - decay) * torch.tensor(decay, dtype=gain.dtype) ** torch.arange(lags - half + 1)
    lost = torch.cat([gain[:half].flip(0).cumsum(0).flip(0) + tail[0], tail])  # beyond 0, 1, ... steps
    kept = (torch.cat([gain.new_zeros(1), gain.cumsum(0)]) - lost).amax()
    enough = lost[1:] <= bias * kept
    return int(enough.int().argmax()) + 1 if bool(enough.any()) else lags
