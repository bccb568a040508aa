"""A regime: a mitigation that acts from step to step of a training."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, cast

from torch import Tensor, nn

from rnnvanish.mitigation.mitigation import Mitigation


@dataclass(frozen=True)
class Regime(Mitigation):
    """Acts while a network trains: on what a step reads, on the state it begins with, on how far it moves each weight.

    A subclass writes what it changes; all else stays as it is. Everything is a function of the number of the step, so that
    a training that was interrupted goes on as it would have.

    Attributes:
        period: Steps after which it begins anew; an epoch has to be a multiple of it.
    """

    moment = "while it trains"

    @property
    def period(self) -> int:
        """Steps after which it begins anew."""
        return 1

    def __call__(self, model: nn.Module) -> nn.Module:
        """Give `model` what the training needs of it; returns it, or what takes its place."""
        return model

    def batch(self, task: Any, step: int, draw: Callable[[Any, int], Any]) -> Any:
        """Return what a step reads.

        Args:
            task: A `Task`.
            step: Number of the step, from 0.
            draw: Draws a batch of a task: a function of the task, and of the number of a step.
        """
        return draw(task, step)

    def begin(self, model: nn.Module, step: int) -> None:
        """Say that the step of this number begins, on a model that this has been called with."""

    def observe(self, model: nn.Module, step: int, inputs: Any, loss: Callable[[Any], Tensor]) -> None:
        """Look at what the step reads: `inputs` as the model takes them, and the `loss` of what it returns."""

    def rates(self, model: nn.Module) -> dict[Tensor, float]:
        """By what the learning rate of a parameter is multiplied; one that is not named keeps its own."""
        return {}

    def parameter_groups(self, model: nn.Module, lr: float) -> list[dict[str, Any]]:
        """The parameters of `model` as `torch.optim` takes them: all that have one learning rate in a group."""
        return parameter_groups(model, lr, [self])


def parameter_groups(model: nn.Module, lr: float, regimes: Iterable[Regime]) -> list[dict[str, Any]]:
    """The parameters of `model` as `torch.optim` takes them, each with `lr` times what all regimes say of it."""
    factors = dict.fromkeys(model.parameters(), 1.0)
    for regime in regimes:
        for parameter, factor in regime.rates(model).items():
            factors[cast(nn.Parameter, parameter)] *= factor
    return [
        {"params": [each for each, own in factors.items() if own == factor], "lr": lr * factor}
        for factor in dict.fromkeys(factors.values())
    ]
