"""diagnose: what a model's recurrent layers do to the gradient, why, and what helps."""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from rnnvanish.diagnosis.advice import advise
from rnnvanish.diagnosis.cause import cause
from rnnvanish.diagnosis.document import to_dict
from rnnvanish.diagnosis.faults import Finding, find
from rnnvanish.files import write_whole
from rnnvanish.probes.curve import Curve
from rnnvanish.probes.retention import retention
from rnnvanish.provenance import provenance

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from rich.console import RenderableType


@dataclass(frozen=True)
class Diagnosis:
    """What `diagnose` found.

    Attributes:
        model: The class of the model.
        curves: Retention of each layer and direction, with cause and advice.
        provenance: Date, commit, processor and versions.
        findings: Faults that have a name, where they are, and what to do.
    """

    model: str
    curves: dict[str, Curve]
    provenance: dict[str, str]
    findings: tuple[Finding, ...] = ()

    @property
    def healthy(self) -> bool:
        """Whether no layer's gradient vanishes or explodes, and no fault was found."""
        return not self.findings and not any(
            curve.verdict in ("vanishing", "exploding") for curve in self.curves.values()
        )

    def __str__(self) -> str:
        from rnnvanish.diagnosis.text import to_text

        return to_text(self)

    def __rich__(self) -> "RenderableType":
        from rnnvanish.diagnosis.terminal import to_terminal

        return to_terminal(self)

    def to_dict(self) -> dict[str, Any]:
        """Everything, as what JSON can hold: nan is null, infinity is the word; report.schema.json describes it."""
        return to_dict(self)

    def to_json(self, path: str | Path) -> Path:
        """Write the report as JSON."""
        return write_whole(path, json.dumps(self.to_dict(), indent=1, ensure_ascii=False, allow_nan=False) + "\n")

    def to_html(self, path: str | Path) -> Path:
        """Write the report as one page that needs nothing else."""
        from rnnvanish.diagnosis.page import to_html

        return write_whole(path, to_html(self))

    def plot(self) -> "Axes":
        """Draw the curves with matplotlib."""
        from rnnvanish.plots import retention

        return retention(self.curves)


def diagnose(model: nn.Module, inputs: Any, loss: Callable[[Any], Tensor] | None = None) -> Diagnosis:
    """Measure how far back the gradient reaches in each recurrent layer of `model`, why it stops, and what helps.

    Arguments and errors are those of `probes.retention`; `model` is left as it was.

    Examples:
        >>> import torch
        >>> _ = torch.manual_seed(0)
        >>> diagnosis = diagnose(nn.LSTM(1, 32), torch.randn(60, 8, 1))
        >>> curve = diagnosis.curves["LSTM/layer0/forward"]
        >>> curve.verdict
        'vanishing'
        >>> curve.cause
        'The forget gates keep 0.48 of the cell at each step: ...'
    """
    curves = retention(model, inputs, loss, explain=cause)
    advice = advise(model, inputs, loss, curves)
    advised = {name: replace(curve, advice=advice[name]) for name, curve in curves.items()}
    return Diagnosis(type(model).__name__, advised, provenance(), find(model, inputs, loss))
