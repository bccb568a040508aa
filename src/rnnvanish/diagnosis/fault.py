"""A fault that has a name: its symptom in a loop, and the finding that is reported."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from rnnvanish.diagnosis.report.contents import Section
from rnnvanish.diagnosis.report.text import finding_paragraph
from rnnvanish.names import printable
from rnnvanish.observe.record import Series
from rnnvanish.observe.watch import Run
from rnnvanish.plots import one_in


@dataclass(frozen=True, eq=False)
class Symptom:
    """A fault as it shows in one loop.

    Attributes:
        fault: Its name.
        module: The module that has it, by its name in the model.
        says: What was seen, in words.
        remedy: What to do, in words.
        measure: What `value` is, in words.
        before: The value of this run.
        value: Takes a loop and its total gradients, gives the value again.
        mend: Changes the module of a copy as the remedy says.
    """

    fault: str
    module: str
    says: str
    remedy: str
    measure: str
    before: float
    value: Callable[[Run, Series], float]
    mend: Callable[[nn.Module], object]


@dataclass(frozen=True)
class Finding:
    """A fault that has a name, where it is, and what to do.

    Attributes:
        fault: Its name.
        layer: The loop that has it: "encoder.lstm/layer0/forward".
        seen: What was seen, in words.
        remedy: What to do.
        measure: What was measured to see whether that helps.
        before: The measure, as the model is.
        after: The measure, on a copy that was mended; nan where it could not be.
    """

    fault: str
    layer: str
    seen: str
    remedy: str
    measure: str
    before: float
    after: float

    @property
    def tried(self) -> str:
        """What the remedy gave on a copy, in words."""
        return f"{self.measure}: {one_in(self.before)} → {one_in(self.after)}"

    @property
    def section(self) -> Section:
        """What a report says of it."""
        said = ("seen", self.seen), ("to do", self.remedy), ("tried", self.tried)
        return Section(f"{self.fault} in {printable(self.layer)}", [(label, printable(text)) for label, text in said])

    def __str__(self) -> str:
        return finding_paragraph(self.section)


#: What `arriving` is, in words.
ARRIVING = "of the gradient at the end, what arrives at the first step"


def arriving(run: Run, total: Series) -> float:
    """Gradient at each sequence's first step over that at its own end: geometric mean over the sequences."""
    norms = torch.cat(total, dim=-1).double().norm(dim=-1)
    ends = norms.gather(0, run.ends[None])[0]
    read = ends > 0
    return float((norms[0][read] / ends[read]).log().mean().exp()) if read.any() else 0.0


def module_of(run: Run) -> str:
    """The name of a loop's module in the model."""
    return run.name.partition("/")[0].partition(" (call")[0]


def valid(run: Run) -> Tensor:
    """Which steps belong to a sequence, (time, batch)."""
    return torch.arange(len(run.x), device=run.x.device)[:, None] <= run.ends
