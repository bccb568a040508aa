"""The history of a training: what was measured of each layer, step by step; drawn as one picture, kept and opened again."""

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import torch
from torch import Tensor

from rnnvanish.console import to_json
from rnnvanish.monitor.measurement import Measurement
from rnnvanish.names import lookup, printable
from rnnvanish.numerals import in_words
from rnnvanish.probes.curve import Curve
from rnnvanish.records.files import write_whole
from rnnvanish.records.provenance import provenance

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: What a file of a history says of itself, and the version of it.
KIND, SCHEMA = "rnnvanish history", 1
NEEDED = "A history is needed, as History.to_json writes it"


@dataclass(eq=False)
class History:
    """All that was measured while a model was trained, in order.

    Attributes:
        model: Its class.
        unit: What a step of the training is: "backward passes" or "optimiser steps".
        measurements: What was measured.
        provenance: Date, version, commit, processor and versions, where it was begun.

    Examples:
        >>> import torch
        >>> history = History("Tagger")
        >>> history.add(0, {"lstm/layer0/forward": Curve(torch.arange(3), torch.tensor([1.0, 0.5, 0.25]))})
        >>> history
        <History of Tagger: 1 layer at 1 of the backward passes up to 0>
        >>> round(history.of("lstm/layer0/forward")[0].half_life, 6)
        1.0
        >>> History.from_json(history.to_json()).layers
        ('lstm/layer0/forward',)
    """

    model: str
    unit: str = "backward passes"
    measurements: list[Measurement] = field(default_factory=list)
    provenance: dict[str, str] = field(default_factory=provenance)

    def add(self, step: int, curves: Mapping[str, Curve]) -> None:
        """Add what was measured of some layers at one step."""
        self.measurements += [Measurement.of(step, layer, curve) for layer, curve in curves.items()]

    @property
    def layers(self) -> tuple[str, ...]:
        """Every layer and direction that was measured."""
        return tuple(dict.fromkeys(each.layer for each in self.measurements))

    @property
    def steps(self) -> tuple[int, ...]:
        """The steps at which anything was measured."""
        return tuple(dict.fromkeys(each.step for each in self.measurements))

    def of(self, layer: str) -> list[Measurement]:
        """What was measured of one layer.

        Raises:
            ValueError: Where there is none of that name: lists those there are.
        """
        lookup("layer", layer, dict.fromkeys(self.layers))
        return [each for each in self.measurements if each.layer == layer]

    def __iter__(self) -> Iterator[Measurement]:
        return iter(self.measurements)

    def __len__(self) -> int:
        return len(self.measurements)

    def __repr__(self) -> str:
        count, steps = len(self.layers), self.steps
        when = f"at {len(steps)} of the {self.unit} up to {steps[-1]}" if steps else "at none"
        return f"<History of {printable(self.model)}: {count} layer{'s' * (count != 1)} {when}>"

    def __str__(self) -> str:
        lines = [repr(self).strip("<>")]
        for layer in self.layers:
            first, last = self.of(layer)[0], self.of(layer)[-1]
            lives = f"{in_words(first.half_life)} → {in_words(last.half_life)} steps"
            lines.append(f"  {printable(layer)}: half-life {lives}, {first.verdict} → {last.verdict}")
        return "\n".join(lines)

    @overload
    def to_json(self) -> str: ...

    @overload
    def to_json(self, path: str | Path) -> Path: ...

    def to_json(self, path: str | Path | None = None) -> str | Path:
        """The history as JSON, nan as null: its text, or, if `path` is given, the file that it is written to, whole or not at all."""
        measurements = [
            {name: value.tolist() if isinstance(value, Tensor) else value for name, value in vars(each).items()}
            for each in self.measurements
        ]
        head = {"kind": KIND, "schema": SCHEMA, "model": self.model, "unit": self.unit, "provenance": self.provenance}
        text = to_json(head | {"measurements": measurements})
        return text if path is None else write_whole(path, text + "\n")

    @classmethod
    def from_json(cls, source: str | Path) -> "History":
        """Open a history again.

        Args:
            source: The path of a file, or the text that `to_json` gave.

        Raises:
            ValueError: Where it is no history: says what it is.
        """
        what = "the text" if isinstance(source, str) and source.lstrip().startswith("{") else str(source)
        try:
            text = str(source) if what == "the text" else Path(source).read_text(encoding="utf-8")
            held = json.loads(text)
        except OSError as error:
            raise ValueError(f"{NEEDED}; {what}: {error.strerror}.") from error
        except ValueError as error:
            raise ValueError(f"{NEEDED}; {what} is no JSON: {error}.") from error
        if not isinstance(held, dict) or held.get("kind") != KIND or held.get("schema") != SCHEMA:
            raise ValueError(f"{NEEDED}, of schema {SCHEMA}; {what} holds other JSON.")
        try:
            return cls(held["model"], held["unit"], list(map(_measurement, held["measurements"])), held["provenance"])
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{NEEDED}; in {what} something is not as it should be: {error!r}.") from error

    def plot(self, layer: str | None = None) -> "Figure":
        """Draw the whole training with matplotlib: of each layer, or of one, what arrives at each lag at each step.

        The same colour means the same in every figure.

        Raises:
            ValueError: Where nothing was measured yet, or there is no layer of that name.
        """
        from rnnvanish.monitor.heat_map import figure

        layers = self.layers if layer is None else (self.of(layer)[0].layer,)
        if not layers:
            raise ValueError(
                f"This history of {self.model} has no measurement yet: train some steps first. What could not be measured "
                "stands in `problems` of what watches."
            )
        return figure({name: self.of(name) for name in layers}, self.steps, self.unit)

    def to_html(self, path: str | Path) -> Path:
        """Write the same picture as one page that needs nothing else."""
        from rnnvanish.monitor.heat_map import page

        title = f"{self.model}: how far back the gradient reached in training"
        origin = ", ".join(f"{name} {value}" for name, value in self.provenance.items())
        return write_whole(path, page(title, self._repr_html_(), origin))

    def _repr_html_(self) -> str:
        from rnnvanish.monitor.heat_map import fragment

        return fragment(repr(self).strip("<>"), {name: self.of(name) for name in self.layers}, self.steps, self.unit)


def _measurement(held: Mapping[str, Any]) -> Measurement:
    return Measurement(
        int(held["step"]),
        str(held["layer"]),
        _number(held["half_life"]),
        int(held["reach"]),
        str(held["verdict"]),
        torch.tensor(list(map(_number, held["gain"])), dtype=torch.float64),
    )


def _number(held: float | str | None) -> float:
    return math.nan if held is None else float(held)
