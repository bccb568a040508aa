"""One training step recorded: what its recurrent modules read; then each is measured on that, apart from the training."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

from torch import nn

from rnnvanish.live import plain_name, recurrent_modules, step_modules
from rnnvanish.names import is_named
from rnnvanish.observe.call import Call, call_with_batch, map_tensors
from rnnvanish.observe.recorded_calls import (
    KNOWN_LAYERS,
    copy_call,
    copy_first_sequences,
    copy_model,
    detached_copy,
    hook_forward,
    modules_holding,
    to_precision_of,
)
from rnnvanish.observe.restore.borrow import preserve
from rnnvanish.probes.curve import Curve
from rnnvanish.probes.retention import retention

#: Takes the name of what is not measured, and why.
ReportProblem = Callable[[str, str], None]


@contextmanager
def report_failure(name: str, report: ReportProblem) -> Iterator[None]:
    """Report whatever fails in here, and let it go no further."""
    try:
        yield
    except Exception as error:  # noqa: BLE001  # a training must not end by being watched
        report(name, f"{type(error).__name__}: {error}")


class StepRecording:
    """Records what is called between `begin` and `end`, and measures it apart from the training.

    Attributes:
        unseen: The layers that were not called, or went past their hooks.

    Args:
        model: What is trained.
        batch: What it is trained on.
        steps: Modules that are one step of a loop which the model itself writes, by name.
        sequences: How many sequences of what a layer reads are kept.
        past_hooks: The layers whose `forward` is called directly.
        report: Is told of what cannot be measured.
        wanted: Names of the modules that are measured, or of those that hold them; all if empty.
    """

    def __init__(
        self,
        model: nn.Module,
        batch: Any,
        steps: dict[str, nn.Module],
        sequences: int,
        past_hooks: set[str],
        report: ReportProblem,
        wanted: Sequence[str] = (),
    ) -> None:
        def is_wanted(name: str) -> bool:
            return not wanted or any(is_named(name, each) for each in wanted)

        self.model, self.sequences, self.report = model, sequences, report
        self.steps = {name: module for name, module in steps.items() if is_wanted(name)}
        self.layers = {name: module for name, module in recurrent_modules(model).items() if is_wanted(name)}
        self._called: set[str] = set()
        self._layer_calls: dict[str, tuple[nn.Module, Call]] = {}
        self._holder_calls: dict[str, tuple[nn.Module, Call]] = {}
        self._undo: list[Callable[[], Any]] = []
        self._batch = batch
        self._past_hooks = past_hooks

    def begin(self) -> None:
        """Hook in."""
        for name, module in self.layers.items():
            record = partial(self._record_layer, name)
            hooked = name not in self._past_hooks
            end = (
                module.register_forward_pre_hook(record, with_kwargs=True).remove
                if hooked
                else hook_forward(module, record)
            )
            self._undo.append(end)
        for name, module in modules_holding(self.model, self.steps.values()).items():
            hook = module.register_forward_pre_hook(partial(self._record_holder, name), with_kwargs=True)
            self._undo.append(hook.remove)
        self._batch = map_tensors(self._batch, detached_copy) if self.steps else None

    def end(self) -> None:
        """Leave no hook behind."""
        while self._undo:
            self._undo.pop()()

    @property
    def unseen(self) -> set[str]:
        """The layers of which no call was seen."""
        return self.layers.keys() - self._called

    def curves(self) -> dict[str, Curve]:
        """Measure what was called; what cannot be measured is left out."""
        with preserve(self.model):
            return self._curves()

    def _curves(self) -> dict[str, Curve]:
        curves: dict[str, Curve] = {}
        for name, (module, call) in self._layer_calls.items():
            with report_failure(name, self.report):
                alone = module if type(module) in KNOWN_LAYERS else copy_model(module)
                for loop, curve in retention(alone, call.map(to_precision_of(module.parameters()))).items():
                    curves[f"{name}/{loop.partition('/')[2]}"] = curve
        left = dict(self.steps)
        for module, call in self._outermost():
            own = {name: left.pop(name) for name in [*left] if left[name] in [*module.modules()]}
            with report_failure(", ".join(own), self.report):
                curves |= self._through(module, call.map(to_precision_of(module.parameters())), own)
        return curves | self._through_model(left) if left else curves

    def _through(self, module: nn.Module, call: Call, own: dict[str, nn.Module]) -> dict[str, Curve]:
        """Measure steps in a copy of a module that holds them; they are named as in the whole model."""
        inner = {id(step): name for name, step in step_modules(module, [*own.values()]).items()}
        found = retention(copy_model(module), call, cells=[*inner.values()])
        curves: dict[str, Curve] = {}
        for name, step in own.items():
            there = inner[id(step)]
            loops = {loop: curve for loop, curve in found.items() if loop.partition(" (call ")[0] == there}
            curves |= {name + loop.removeprefix(there): curve for loop, curve in loops.items()}
            if not loops:
                self.report(name, "it was not called.")
        return curves

    def _through_model(self, own: dict[str, nn.Module]) -> dict[str, Curve]:
        """Measure steps that no module was called around by the model's forward, given the batch."""
        try:
            return self._through(self.model, call_with_batch(copy_model(self.model), self._batch), own)
        except Exception as error:  # noqa: BLE001  # a training must not end by being watched
            kind = type(self.model).__name__
            why = (
                "its loop runs outside of every module's forward, as one inside of training_step does, and the forward of "
                f"{kind} cannot be measured in its place, given the batch ({type(error).__name__}: {error}). Put the loop "
                "into a module of its own that training_step calls, or into a forward that takes the batch."
            )
            self.report(", ".join(own), why)
            return {}

    def _outermost(self) -> list[tuple[nn.Module, Call]]:
        """Of the modules that hold steps and were called, those that no other one holds."""
        return [
            call
            for name, call in self._holder_calls.items()
            if not any(name != other and name.startswith(other and f"{other}.") for other in self._holder_calls)
        ]

    def _record_layer(self, name: str, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if name not in self._called:
            self._called.add(name)
            with report_failure(name, self.report):
                self._layer_calls[name] = module, copy_first_sequences(module, args, kwargs, self.sequences)

    def _record_holder(self, name: str, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        redirected = module is self.model and "forward" in vars(module)  # to training_step, as strategies do it
        if name not in self._holder_calls and not redirected:
            with report_failure(plain_name(name, module), self.report):
                self._holder_calls[name] = module, copy_call(args, kwargs)
