"""A trial of a cure: the model as it would be with it, on a copy; and what came out."""

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import nn

from rnnvanish import mitigations
from rnnvanish.mitigation import Build, Draw, Rule
from rnnvanish.observe.model_copy import copy_model
from rnnvanish.probes.curve import Advice, CurveVerdict

Cure = Draw | Build | Rule


@dataclass(frozen=True)
class Training:
    """What a few steps of training did.

    Attributes:
        steps: Steps of Adam.
        before: The loss on the batches, before them.
        after: The same after them; nan where training left the numbers.
        half_lives: Half-life of each layer and direction after them, in steps; empty where it left the numbers.
        untreated: The loss after the same steps without the cure; nan where there was none.
    """

    steps: int
    before: float
    after: float
    half_lives: Mapping[str, float]
    untreated: float = math.nan

    def __str__(self) -> str:
        beside = "" if math.isnan(self.untreated) else f" ({self.untreated:.3g} without it)"
        return f"{self.steps} steps of training: loss {self.before:.3g} → {self.after:.3g}{beside}"


@dataclass(frozen=True)
class Trial(Advice):
    """A cure that was tried, and what it gave for one layer and direction.

    Attributes:
        moment: When the cure acts: "when weights are drawn", "when a network is built" or "on the gradient".
        verdict: What becomes of the gradient with it.
        exploded: Of an exploding gradient, how large it was at `lag` without the cure; else None.
        helps: Of a vanishing gradient whether clearly more of it arrives at `lag` with it, without exploding anywhere; of
            an exploding one whether it does not explode any more. Where training was tried: that it kept to numbers, too.
        seed: The random numbers of the draw that is promised; None where it draws none.
        apply: What to type, a whole line; it gives what was measured.
        training: What the training did with the cure; None where none was asked for.
        note: What else was measured, in words.
    """

    moment: str = ""
    verdict: CurveVerdict | None = None
    exploded: float | None = None
    helps: bool = False
    seed: int | None = None
    apply: str = ""
    training: Training | None = None
    note: str = ""

    def __str__(self) -> str:
        if self.note:
            said = f"{self.cure}: {self.note}"
        elif self.exploded is not None:
            said = f"{self.cure}: gradient at lag {self.lag} × {self.exploded:.2g} → × {self.gain:.2g}"
        else:
            said = super().__str__()
        return said if self.training is None else f"{said}; {self.training}"


def named(cure: Cure) -> str:
    """The cure as Python, such as "mitigations.OpenGate(bias=3.0)"."""
    return f"mitigations.{cure!r}" if type(cure).__module__.startswith(mitigations.__name__) else repr(cure)


def line(cure: Cure, seed: int | None = None) -> str:
    """What a user types to apply it, with the random numbers of a seed."""
    known = named(cure).startswith("mitigations.")
    home = "rnnvanish import mitigations" if known else f"{type(cure).__module__} import {type(cure).__name__}"
    applied = cure.usage.format(named(cure))
    if seed is None:
        return f"from {home}; {applied}"
    return f"import torch; from {home}; torch.manual_seed({seed}); {applied}"


@contextmanager
def treated(model: nn.Module, cure: Cure, seed: int, copy: nn.Module | None = None) -> Iterator[nn.Module]:
    """A copy of `model` with the cure, drawn from a seed; in the end the caller's random numbers are put back.

    Until then they go on behind the draw, as they do for a user who seeds and applies it.

    Args:
        model: The model.
        cure: The cure.
        seed: Of the random numbers.
        copy: A copy of it to be treated, where there is one.
    """
    candidate = copy_model(model) if copy is None else copy
    with torch.random.fork_rng(devices=devices(model)):
        seeding = (
            torch.manual_seed if devices(model) else torch.default_generator.manual_seed
        )  # else it asks every kind
        seeding(seed)
        yield candidate if isinstance(cure, Rule) else cure(candidate)


def devices(model: nn.Module) -> list[torch.device]:
    """The GPUs whose random numbers a model may draw."""
    return list({parameter.device for parameter in model.parameters() if parameter.device.type == "cuda"})
