"""A fault that has a name: what it is looked for in, its symptom, and the finding that is reported."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence
from torch.utils.data import DataLoader, SequentialSampler

from rnnvanish.backward.each_loop import LoopGradients
from rnnvanish.backward.loss import Loss
from rnnvanish.diagnosis.report.contents import Section
from rnnvanish.diagnosis.report.text import finding_paragraph
from rnnvanish.live import RECURRENT, unwrapped
from rnnvanish.names import module_name, printable
from rnnvanish.numerals import in_words, one_in
from rnnvanish.observe.call import Call
from rnnvanish.observe.record import Series
from rnnvanish.observe.watch import Cells, Run
from rnnvanish.probes.curve import Curve


@dataclass(frozen=True, eq=False)
class WatchedModel:
    """A watched run of a whole model, while its graph is there: what faults of a run are looked for in.

    Attributes:
        model: The model.
        call: How it was called.
        output: What it returned, or what the method that is its loss did.
        loops: Its loops with their total gradients, in the order in which they began.
        value: The number that these gradients started from; its graph may be used again.
        lag: The distance in steps that was asked for; None where none was.
    """

    model: nn.Module
    call: Call
    output: Any
    loops: Sequence[LoopGradients]
    value: Tensor
    lag: int | None = None

    @property
    def first_layers(self) -> dict[str, list[LoopGradients]]:
        """The forward loops of each module's first layer, in the order in which they began."""
        found: dict[str, list[LoopGradients]] = {}
        for each in self.loops:
            if each.run.name.partition("/")[2] in ("", "layer0/forward"):
                found.setdefault(module_of(each.run), []).append(each)
        return found


@dataclass(frozen=True, eq=False)
class Subject:
    """What is diagnosed: what faults are looked for in that need runs of their own.

    Attributes:
        model: The model. It may be run, or changed, and is put back.
        calls: The batches.
        loss: As for `diagnose`.
        cells: As for `diagnose`.
        batch_size: Sequences in a batch, as a DataLoader says; None where none does.
        shuffled: Whether a DataLoader shuffles.
        optimizer: The one that it is trained with; None where that is not known.
        curves: The retention of each loop.
        lag: The distance in steps that was asked for; None where none was.
        full: Whether more time may be taken.
    """

    model: nn.Module
    calls: Sequence[Call]
    loss: Loss = None
    cells: Cells = ()
    batch_size: int | None = None
    shuffled: bool = False
    optimizer: torch.optim.Optimizer | None = None
    curves: Mapping[str, Curve] = field(default_factory=dict)
    lag: int | None = None
    full: bool = False

    @property
    def is_bare(self) -> bool:
        """Whether it is a recurrent layer by itself: nothing before it, and nothing behind it but a loss."""
        return isinstance(unwrapped(self.model), RECURRENT)

    @classmethod
    def of(
        cls, model: nn.Module, inputs: Any, calls: Sequence[Call], loss: Loss = None, cells: Cells = (), **known: Any
    ) -> "Subject":
        """What is diagnosed, with what `inputs` says of its batches where it is a DataLoader."""
        if isinstance(inputs, DataLoader):
            batches = inputs.batch_sampler if inputs.batch_size is None and inputs.batch_sampler is not None else inputs
            sampler = getattr(batches, "sampler", None)
            known |= {
                "batch_size": getattr(batches, "batch_size", None),
                "shuffled": isinstance(sampler, torch.utils.data.Sampler)
                and not isinstance(sampler, SequentialSampler),
            }
        return cls(model, calls, loss, cells, **known)


@dataclass(frozen=True, eq=False)
class Symptom:
    """A fault as it shows.

    Attributes:
        fault: Its name.
        module: The module that has it, by its name in the model; "" is the model.
        says: What was seen, in words.
        remedy: What to do, in words.
        measure: What `before` is, in words; "" where nothing is measured.
        before: The value of this model: a share, or a number of `unit`.
        value: Gives the value again, of what the fault was looked for in: a loop and its total gradients, a WatchedModel
            or a Subject.
        mend: Changes the module of a copy as the remedy says; None where that cannot be done from outside.
        layer: The name to report; of a fault of one loop that loop's.
        unit: What `before` counts; "" for a share.
        question: Whether it may be right as it is.
        exact: Whether a value of zero is no rounding.
        helps: Of the value before and after it was mended: whether that helped. A remedy that did not is not given.
        everywhere: Whether it is none where a batch does not have it: a loss may leave out what it reads of another.
    """

    fault: str
    module: str
    says: str
    remedy: str
    measure: str = ""
    before: float = math.nan
    value: Callable[..., float] = lambda *_: math.nan
    mend: Callable[[nn.Module], object] | None = None
    layer: str = ""
    unit: str = ""
    question: bool = False
    exact: bool = False
    helps: Callable[[float, float], bool] = lambda before, after: True
    everywhere: bool = False


@dataclass(frozen=True)
class Finding:
    """A fault that has a name, where it is, and what to do.

    Attributes:
        fault: Its name.
        layer: The loop or the module that has it: "encoder.lstm/layer0/forward"; "" for the whole model.
        seen: What was seen, in words.
        remedy: What to do.
        measure: What was measured to see whether that helps; "" where nothing was.
        before: The measure, as the model is.
        after: The measure, on a copy that was mended; nan where it could not be.
        unit: What the measure counts; "" for a share.
        question: Whether it may be right as it is; such a model is healthy.
    """

    fault: str
    layer: str
    seen: str
    remedy: str
    measure: str
    before: float
    after: float
    unit: str = ""
    question: bool = False

    @property
    def tried(self) -> str:
        """What the remedy gave on a copy, in words."""
        if math.isnan(self.after):
            return f"{self.measure}: {self._shown(self.before)}; the remedy could not be tried on a copy"
        return f"{self.measure}: {self._shown(self.before)} → {self._shown(self.after)}"

    def _shown(self, value: float) -> str:
        unit = self.unit.removesuffix("s") if value == 1 else self.unit
        return f"{in_words(value)} {unit}" if self.unit else one_in(value)

    @property
    def section(self) -> Section:
        """What a report says of it."""
        said = [("seen", self.seen), ("to do", self.remedy), *([("tried", self.tried)] if self.measure else [])]
        title = f"{self.fault} in {printable(self.layer)}" if self.layer else self.fault
        return Section(title, [(label, printable(text)) for label, text in said], self.question)

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
    return module_name(run.name)


def change_input(module: nn.Module, change: Callable[[Tensor], Tensor]) -> None:
    """Have `module` read its first argument as `change` makes it: (..., features) to the same shape, packed rows too."""

    def hook(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        x = args[0] if args else kwargs["input"]
        changed = PackedSequence(change(x.data), *x[1:]) if isinstance(x, PackedSequence) else change(x)
        return ((changed, *args[1:]), kwargs) if args else (args, {**kwargs, "input": changed})

    module.register_forward_pre_hook(hook, with_kwargs=True)
