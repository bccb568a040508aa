"""A look at one training step: what its recurrent modules read, and how much of the gradient they keep of it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from torch import nn

from rnnvanish.live import plain_name, recurrent_modules, step_modules
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
Complain = Callable[[str, str], None]


@contextmanager
def left_out(name: str, complain: Complain) -> Iterator[None]:
    """Whatever fails in here is complained of, and goes no further."""
    try:
        yield
    except Exception as error:  # noqa: BLE001  # a training must not end by being watched
        complain(name, f"{type(error).__name__}: {error}")


class Look:
    """Notes what is called between `begin` and `end`, and measures it apart from the training.

    Attributes:
        unseen: The layers that were not called, or went past their hooks.

    Args:
        model: What is trained.
        batch: What it is trained on.
        steps: Modules that are one step of a loop which the model itself writes, by name.
        sequences: How many sequences of what a layer reads are kept.
        past_hooks: The layers whose `forward` is called directly.
        complain: Is told of what cannot be measured.
    """

    def __init__(
        self,
        model: nn.Module,
        batch: Any,
        steps: dict[str, nn.Module],
        sequences: int,
        past_hooks: set[str],
        complain: Complain,
    ) -> None:
        self.model, self.steps, self.sequences, self.complain = model, steps, sequences, complain
        self.layers = recurrent_modules(model)
        self._called: set[str] = set()
        self._seen: dict[str, tuple[nn.Module, Call]] = {}
        self._held: dict[str, tuple[nn.Module, Call]] = {}
        self._undo: list[Callable[[], Any]] = []
        self._batch = batch
        self._past_hooks = past_hooks

    def begin(self) -> None:
        """Hook in."""
        for name, module in self.layers.items():
            note = partial(self._note_layer, name)
            hooked = name not in self._past_hooks
            end = (
                module.register_forward_pre_hook(note, with_kwargs=True).remove
                if hooked
                else hook_forward(module, note)
            )
            self._undo.append(end)
        for name, module in modules_holding(self.model, self.steps.values()).items():
            hook = module.register_forward_pre_hook(partial(self._note_holder, name), with_kwargs=True)
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
        for name, (module, call) in self._seen.items():
            with left_out(name, self.complain):
                alone = module if type(module) in KNOWN_LAYERS else copy_model(module)
                for loop, curve in retention(alone, call.map(to_precision_of(module.parameters()))).items():
                    curves[f"{name}/{loop.partition('/')[2]}"] = curve
        left = dict(self.steps)
        for module, call in self._outermost():
            own = {name: left.pop(name) for name in [*left] if left[name] in [*module.modules()]}
            with left_out(", ".join(own), self.complain):
                curves |= self._through(module, call.map(to_precision_of(module.parameters())), own)
        if left:
            with left_out(", ".join(left), self.complain):
                curves |= self._through(self.model, call_with_batch(self.model, self._batch), left)
        return curves

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
                self.complain(name, "it was not called.")
        return curves

    def _outermost(self) -> list[tuple[nn.Module, Call]]:
        """Of the modules that hold steps and were called, those that no other one holds."""
        return [
            noted
            for name, noted in self._held.items()
            if not any(name != other and name.startswith(other and f"{other}.") for other in self._held)
        ]

    def _note_layer(self, name: str, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if name not in self._called:
            self._called.add(name)
            with left_out(name, self.complain):
                self._seen[name] = module, copy_first_sequences(module, args, kwargs, self.sequences)

    def _note_holder(self, name: str, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        redirected = module is self.model and "forward" in vars(module)  # to training_step, as strategies do it
        if name not in self._held and not redirected:
            with left_out(plain_name(name, module), self.complain):
                self._held[name] = module, copy_call(args, kwargs)
