"""Two reports of one model, an earlier and a later: did retention fall?"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

from rnnvanish.diagnosis.report.document import check_layers, plain, read, value_of
from rnnvanish.diagnosis.result import Diagnosis
from rnnvanish.names import printable
from rnnvanish.numerals import decay_in_words, in_words

Report = Diagnosis | Mapping[str, Any] | str | Path


@dataclass(frozen=True)
class Change:
    """What became of one layer.

    Attributes:
        layer: Its name.
        before: Half-life in steps in the earlier report; reach in steps where there is no half-life.
        after: The same in the later one.
        measure: "half-life" or "reach".
        verdicts: The earlier verdict and the later.
        fell: Whether retention fell by more than the tolerance.
        arrives: Gradient left at the longest lag of the later report.
    """

    layer: str
    before: float
    after: float
    measure: Literal["half-life", "reach"]
    verdicts: tuple[str, str]
    fell: bool
    arrives: float

    def __str__(self) -> str:
        kept = "FELL" if self.fell else "kept"
        turned = "" if self.verdicts[0] == self.verdicts[1] else f", {printable(self.verdicts[0])} → {self.verdicts[1]}"
        before = (
            "without end"
            if math.isinf(self.before)
            else "unmeasured"
            if math.isnan(self.before)
            else in_words(self.before)
        )
        after = f"{self.after:g} steps" if self.measure == "reach" else decay_in_words(self.after, self.arrives)
        return f"{kept}  {printable(self.layer)}: {self.measure} {before} → {after}{turned}"


@dataclass(frozen=True)
class Comparison:
    """Two reports, layer by layer.

    Attributes:
        changes: Each layer that both have.
        appeared: Layers of the later report alone.
        disappeared: Layers of the earlier report alone.
        tolerance: Share of a half-life that may be lost.
    """

    changes: tuple[Change, ...]
    appeared: tuple[str, ...]
    disappeared: tuple[str, ...]
    tolerance: float

    #: What JSON has of it.
    in_json: ClassVar = ("changes", "appeared", "disappeared", "tolerance", "fell")

    @property
    def fell(self) -> bool:
        """Whether retention fell in any layer by more than the tolerance."""
        return any(change.fell for change in self.changes)

    def to_dict(self) -> dict[str, Any]:
        """The same as what JSON can hold."""
        found: dict[str, Any] = plain(self)
        return found

    def __str__(self) -> str:
        lines = [str(change) for change in self.changes]
        lines += [f"new   {printable(name)}: not in the earlier report" for name in self.appeared]
        lines += [f"gone  {printable(name)}: only in the earlier report" for name in self.disappeared]
        count = sum(change.fell for change in self.changes)
        result = f"Retention fell by more than {100 * self.tolerance:.0f} % in {count} of {len(self.changes)} layers."
        return "\n".join([*lines, result])


def compare(earlier: Report, later: Report, tolerance: float = 0.2) -> Comparison:
    """Say in which layers retention fell.

    It fell where the half-life is shorter by more than the share `tolerance`: with 0.2, from 10 steps to fewer than 8.
    Half-lives of more than ten times the sequence count as that long: the sequence cannot tell them apart. Where the
    loss reads a layer at several ends there is no half-life, and the reach is compared in the same way. A layer that
    has come to explode, or cannot be measured any more, has fallen too.

    Args:
        earlier: A report: a `Diagnosis`, its `to_dict()`, or the path of its JSON.
        later: The one that is compared with it.
        tolerance: In [0, 1).

    Raises:
        ValueError: For a tolerance that is no share, what is no report, or reports without a layer in common.
    """
    if not 0 <= tolerance < 1:
        raise ValueError(f"compare needs a tolerance in [0, 1), a share of the half-life, got {tolerance}.")
    before, after = _layers(earlier), _layers(later)
    both = [name for name in after if name in before]
    if not both:
        raise ValueError(
            f"The reports have no layer in common: the earlier has {', '.join(before)}, the later {', '.join(after)}."
        )
    return Comparison(
        tuple(_change(name, before[name], after[name], tolerance) for name in both),
        tuple(name for name in after if name not in before),
        tuple(name for name in before if name not in after),
        tolerance,
    )


def _layers(report: Report) -> Mapping[str, Any]:
    if isinstance(report, str | Path):
        report = read(report)
    layers: Mapping[str, Any] = (report.to_dict() if isinstance(report, Diagnosis) else report)["layers"]
    check_layers(layers)
    return layers


def _change(name: str, before: Mapping[str, Any], after: Mapping[str, Any], tolerance: float) -> Change:
    verdicts = (before["verdict"], after["verdict"])
    joined = before["joined"] or after["joined"]
    measure: Literal["half-life", "reach"] = "reach" if joined else "half-life"
    was, now = (float(layer["reach"]) if joined else value_of(layer["half_life"]) for layer in (before, after))
    most = 10 * max(len(before["gain"]), len(after["gain"]))
    shorter = min(now, most) < (1 - tolerance) * min(was, most)
    worse = verdicts[0] != verdicts[1] and verdicts[1] in ("exploding", "not read", "nothing to carry")
    return Change(name, was, now, measure, verdicts, shorter or worse, value_of((after["gain"] or [None])[-1]))
