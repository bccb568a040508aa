"""A trial of a cure: the model as it would be with it, on a copy; and what came out."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import nn

from rnnvanish.mitigation import Build, Draw, Rule
from rnnvanish.observe.recorded_calls import copy_model
from rnnvanish.probes.curve import Advice

Cure = Draw | Build | Rule


@dataclass(frozen=True)
class Training:
    """What a few steps of training did.

    Attributes:
        steps: Steps of Adam.
        before: The loss on the batches, before them.
        after: The same after them; nan where training left the numbers.
        half_lives: Half-life of each layer and direction after them, in steps; empty where it left the numbers.
    """

    steps: int
    before: float
    after: float
    half_lives: Mapping[str, float]

    def __str__(self) -> str:
        return f"{self.steps} steps of training: loss {self.before:.3g} → {self.after:.3g}"


@dataclass(frozen=True)
class Trial(Advice):
    """A cure that was tried, and what it gave for one layer and direction.

    Attributes:
        moment: When the cure acts: "when weights are drawn", "when a network is built" or "on the gradient".
        exploded: Of an exploding gradient, how large it was at the longest lag without the cure; else None.
        helps: Whether the gradient reaches further with it, without exploding; of an exploding gradient whether it
            does not explode any more. Where training was tried: whether the loss is lower than without the cure, too.
        apply: What to type, a whole line.
        training: What the training did with the cure; None where none was asked for.
        note: What else was measured, in words.
    """

    moment: str = ""
    exploded: float | None = None
    helps: bool = False
    apply: str = ""
    training: Training | None = None
    note: str = ""

    def __str__(self) -> str:
        if self.note:
            said = f"{self.cure}: {self.note}"
        elif self.exploded is not None:
            said = f"{self.cure}: gradient at the longest lag × {self.exploded:.2g} → × {self.gain:.2g}"
        else:
            said = super().__str__()
        return said if self.training is None else f"{said}; {self.training}"


def named(cure: Cure) -> str:
    """The cure as Python, such as "mitigations.OpenGate(bias=3.0)"."""
    return repr(cure) if type(cure).__name__ == "Swap" else f"mitigations.{cure!r}"


def line(cure: Cure) -> str:
    """What a user types to apply it."""
    if isinstance(cure, Rule):
        return f"from rnnvanish import mitigations; {named(cure)}.apply(model.parameters())  # before optimizer.step()"
    home = (
        "rnnvanish.diagnosis.advice.replace_cell import Swap"
        if type(cure).__name__ == "Swap"
        else "rnnvanish import mitigations"
    )
    return f"from {home}; model = {named(cure)}(model)"


def treated(model: nn.Module, cure: Cure, copy: nn.Module | None = None) -> nn.Module:
    """A copy of `model` with the cure, drawn from a fixed seed; the caller's random numbers stay.

    Args:
        model: The model.
        cure: The cure.
        copy: A copy of it to be treated, where there is one.
    """
    candidate = copy_model(model) if copy is None else copy
    if isinstance(cure, Rule):
        return candidate
    with torch.random.fork_rng(devices=devices(model)):
        seeding = (
            torch.manual_seed if devices(model) else torch.default_generator.manual_seed
        )  # else it asks every kind
        seeding(0)
        return cure(candidate)


def devices(model: nn.Module) -> list[torch.device]:
    """The GPUs whose random numbers a model may draw."""
    return list({parameter.device for parameter in model.parameters() if parameter.device.type == "cuda"})
