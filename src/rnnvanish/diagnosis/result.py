"""What `diagnose` found, and the forms in which it is shown and kept."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, overload

from rnnvanish.diagnosis.fault import Finding
from rnnvanish.diagnosis.outlook.outlook import Outlook
from rnnvanish.diagnosis.report.alike import grouped
from rnnvanish.diagnosis.report.answer import answer
from rnnvanish.diagnosis.report.brief import brief
from rnnvanish.diagnosis.report.contents import Contents, Layer, Section
from rnnvanish.diagnosis.report.document import SCHEMA, plain, units
from rnnvanish.diagnosis.report.rows import main_rows, more_rows
from rnnvanish.diagnosis.report.text import to_text
from rnnvanish.measure import Measures
from rnnvanish.names import is_named, module_name, printable
from rnnvanish.probes.curve import Curve
from rnnvanish.records.files import write_whole

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from rich.console import RenderableType

    from rnnvanish.monitor.history import History


@dataclass(frozen=True, repr=False)
class Diagnosis:
    """What `diagnose` found.

    Attributes:
        model: The class of the model.
        curves: Retention of each layer and direction, with cause and advice.
        provenance: Date, commit, processor and versions.
        findings: Faults that have a name, where they are, and what to do.
        measures: What else was measured of each layer, under the name of each measure; None where it could not be taken.
        outlook: Whether it can learn across the lag that was asked for; None where none was.
        unfit: Cures that could not be tried on this model, and why.
        layers: Names of the modules or loops that are judged; all if empty.
        intervals: Of several batches the ends of the 95 % interval of every number of `measures`, "low" and "high", by
            the names of its fields.
        untried: For each layer that is ill and whose cause is known the cures that suit it and were not tried, by name.
    """

    model: str
    curves: dict[str, Curve]
    provenance: dict[str, str]
    findings: tuple[Finding, ...] = ()
    measures: Mapping[str, Measures] = field(default_factory=dict)
    outlook: Outlook | None = None
    unfit: Mapping[str, str] = field(default_factory=dict)
    intervals: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    layers: tuple[str, ...] = ()
    untried: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    #: What JSON has of it, besides of every layer its curve, measures and intervals.
    in_json: ClassVar = (
        "model",
        "answer",
        "healthy",
        "unread",
        "findings",
        "outlook",
        "unfit",
        "untried",
        "provenance",
    )

    @property
    def healthy(self) -> bool:
        """Whether each loop that the loss reads is healthy, of those that are judged, and no fault was found in these.

        A question is no fault.
        """
        names = self.judged
        found = [each for each in self.findings if not each.question and _is_of(each.layer, names, self.curves)]
        return not found and all(self.curves[name].verdict == "healthy" for name in names if self.curves[name].is_read)

    @property
    def unread(self) -> tuple[str, ...]:
        """Modules of which the loss reads no part at all, of those that are judged."""
        read = {module_name(name) for name, curve in self.curves.items() if curve.is_read}
        return tuple(dict.fromkeys(module for name in self.judged if (module := module_name(name)) not in read))

    @property
    def judged(self) -> tuple[str, ...]:
        """The loops that are judged: those that were asked for by their names or those of their modules, else all."""
        if not self.layers:
            return tuple(self.curves)
        return tuple(name for name in self.curves if any(is_named(name, layer) for layer in self.layers))

    def contents(self, full: bool = False) -> Contents:
        """What a report says: all of it, or what one screen holds."""
        whole = self._whole
        return whole if full else brief(whole)

    @property
    def answer(self) -> str:
        """In one sentence: what is wrong, where, and what to do first."""
        return self._whole.answer

    @cached_property
    def _whole(self) -> Contents:
        layers = [self._told(name, curve) for name, curve in self.curves.items()]
        findings = sorted(self.findings, key=lambda finding: finding.question)
        read = {name for name in self.judged if self.curves[name].is_read or module_name(name) in self.unread}
        judged = grouped([layer for layer in layers if layer.name in read])
        first = [each.section for each in findings if _is_of(each.layer, self.judged, self.curves)]
        return Contents(
            title=f"{printable(self.model)}: how much of the gradient reaches back in time",
            answer=printable(f"{self.model}: {answer(first, judged, self.unfit)}"),
            findings=[finding.section for finding in findings],
            layers=layers,
            outlook=None if self.outlook is None else Section(self.outlook.title, [("", str(self.outlook))]),
            unfit=self.unfit,
            origin=self._said(*self.provenance),
            made=self._said("rnnvanish", "commit"),
        )

    def _said(self, *names: str) -> str:
        known = self.provenance
        return printable(", ".join(f"{name} {known[name]}" for name in names if name in known))

    def _told(self, name: str, curve: Curve) -> Layer:
        measured = self.measures.get(name, Measures())
        untried = ", ".join(self.untried.get(name, ()))
        named = [("not tried", f"{untried}: they show their worth in training")] if untried else []
        return Layer(name, curve, main_rows(curve, measured, self.unfit), [*more_rows(curve, measured), *named])

    def __str__(self) -> str:
        return to_text(self.contents())

    def __rich__(self) -> "RenderableType":
        from rnnvanish.diagnosis.report.terminal import to_terminal

        return to_terminal(self.contents())

    def to_dict(self) -> dict[str, Any]:
        """Everything, as what JSON can hold: nan is null, infinity is the word; report.schema.json describes it."""
        layers = {name: self._layer(name, curve) for name, curve in self.curves.items()}
        return {"schema": SCHEMA, "units": units(), **plain(self), "layers": layers}

    def _layer(self, name: str, curve: Curve) -> dict[str, Any]:
        beside = {
            "total": curve.total and curve.total.gain,
            "alone": curve.alone and curve.alone.gain,
            "measures": self.measures.get(name, {}),
            "intervals": self.intervals.get(name),
        }
        return {**plain(curve), **plain(beside)}

    def __repr__(self) -> str:
        return f"<Diagnosis of {self.answer}>"

    def _repr_html_(self) -> str:
        """The report in a notebook: a page in a frame, whose style is nobody else's."""
        from rnnvanish.diagnosis.report.page import framed

        return framed(self.contents(full=True))

    @overload
    def to_json(self) -> str: ...

    @overload
    def to_json(self, path: str | Path) -> Path: ...

    def to_json(self, path: str | Path | None = None) -> str | Path:
        """The report as JSON: its text, or, if `path` is given, the file that it is written to, whole or not at all."""
        text = json.dumps(self.to_dict(), indent=1, allow_nan=False)
        return text if path is None else write_whole(path, text + "\n")

    def to_html(self, path: str | Path, history: "History | None" = None) -> Path:
        """Write the report as one page that needs nothing else.

        Args:
            path: The file.
            history: A training of the model, as `watch` or `RetentionMonitor` keeps it: its picture stands in the report.
        """
        from rnnvanish.diagnosis.report.page import to_html

        training = "" if history is None else history._repr_html_()
        return write_whole(path, to_html(self.contents(full=True), training))

    def plot(self) -> "Axes":
        """Draw the curves with matplotlib."""
        from rnnvanish.plots import retention

        return retention(self.curves)


def _is_of(layer: str, judged: tuple[str, ...], curves: Mapping[str, Curve]) -> bool:
    """Whether a finding is of a loop that is judged, or of no loop in particular."""
    those = [name for name in curves if is_named(name, layer)]
    return not those or any(name in judged for name in those)
