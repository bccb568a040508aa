"""Which calls of a model are recorded: the outermost ones of modules that hold a recurrent layer or step."""

import threading
import time
import weakref
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from rnnvanish.compat.modes import in_jit_trace, in_transform
from rnnvanish.compat.modules import is_replica
from rnnvanish.live import Cells, recurrent_modules, step_modules
from rnnvanish.monitor.call_record import CallRecord, tensor_of
from rnnvanish.monitor.graph_link import keep_alive, leads_past, mark_output
from rnnvanish.monitor.hook import Hook, drop_copied_hooks
from rnnvanish.monitor.results import MeasuredInPart
from rnnvanish.observe.agreement import tensors_in
from rnnvanish.observe.inputs.lightning import is_redirected
from rnnvanish.observe.model_copy import copy_model, modules_holding
from rnnvanish.observe.pytree import leaves
from rnnvanish.observe.restore.borrow import is_measured
from rnnvanish.observe.restore.random_state import preserve_random_state

#: Is told of a gradient that came back: the call, which of its outputs, and the gradient.
OnGradient = Callable[[CallRecord, int, Tensor], None]
#: Is told that the graph before a call is about to be used up.
OnEntry = Callable[[CallRecord], None]
GOES_PAST = (
    "it is given a state with its history from before these calls, so its gradient goes further back than what is measured. Is a "
    "detach() missing where the state is handed on?"
)


class CallRecorder:
    """Records the calls of a model, from `begin` until `end`.

    Attributes:
        copy: The model as it was before the first call that is still alive; None where there is none.
        seconds: What recording has taken since it was cleared.

    Args:
        model: Any module.
        cells: As for `probes.retention`.
        on_gradient: Is told what comes back to what a call returned.
        on_entry: Is told when what lies before a call that reads what earlier ones returned is about to be used up.
        on_failure: Is told of an error in here.
    """

    def __init__(
        self,
        model: nn.Module,
        cells: Cells,
        on_gradient: OnGradient,
        on_entry: OnEntry,
        on_failure: Callable[[Exception], None],
    ) -> None:
        self.copy: nn.Module | None = None
        self.seconds = 0.0
        self._model, self._cells = weakref.ref(model), cells
        self._on_gradient, self._on_entry, self._on_failure = on_gradient, on_entry, on_failure
        self._records: list[weakref.ref[CallRecord]] = []
        self._undo: list[Callable[[], None]] = []
        self._recurrent_weights = set[int]()
        self._handles: list[Any] = []
        self._local = threading.local()  # replicas run in threads of their own

    @property
    def records(self) -> list[CallRecord]:
        """The calls whose graph is still there, in order."""
        return [record for ref in self._records if (record := ref()) is not None]

    def begin(self) -> None:
        """Hook in."""
        model = self._model()
        if model is None or self._undo:
            return
        inner = [*recurrent_modules(model).values(), *step_modules(model, self._cells).values()]
        self._recurrent_weights = {id(weight) for module in inner for weight in module.parameters()}
        holders = {id(module): module for module in (*modules_holding(model, inner).values(), *inner)}
        paths = {id(module): path for path, module in model.named_modules()}
        for key, module in holders.items():
            before, after = Hook(partial(self._enter, paths[key])), Hook(self._leave)
            hooks = (
                module.register_forward_pre_hook(before, with_kwargs=True),
                module.register_forward_hook(after, with_kwargs=True, always_call=True),
            )
            self._undo += [hook.remove for hook in hooks]

    def end(self) -> None:
        """Leave no hook on a module behind."""
        while self._undo:
            self._undo.pop()()

    def clear(self) -> None:
        """Forget what was recorded."""
        for handle in self._handles:
            handle.remove()
        self._handles.clear()
        self._records.clear()
        self.copy, self.seconds = None, 0.0

    def _enter(self, path: str, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if torch.compiler.is_compiling() or is_redirected(module) or is_measured(self._model()):
            return
        depth = self._local.depth = getattr(self._local, "depth", 0) + 1
        if depth == 1:
            began = time.perf_counter()
            self._local.record = self._recorded(path, module, args, kwargs)
            self.seconds += time.perf_counter() - began

    def _leave(self, module: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
        if torch.compiler.is_compiling() or is_measured(self._model()):
            return
        self._local.depth = max(getattr(self._local, "depth", 0) - 1, 0)
        record = getattr(self._local, "record", None)
        if record is None or output is None:  # of a call that ended with an error there is none
            return
        if self._local.depth == 0:
            began, self._local.record = time.perf_counter(), None
            self._returned(record, output)
            self.seconds += time.perf_counter() - began
        else:  # a state may outlive what the call returns, inside of the model, and lead to the next call
            for tensor in tensors_in(output):
                keep_alive(tensor, self, record)

    def _recorded(self, path: str, module: nn.Module, args: Any, kwargs: Any) -> CallRecord | None:
        if not torch.is_grad_enabled() or in_jit_trace() or in_transform():
            return None
        if is_replica(module) and not self._is_first_replica(module):
            return None
        try:
            with preserve_random_state():
                record = CallRecord.begin(path, args, kwargs, self)
                self._records = [ref for ref in self._records if ref() is not None]
                if not self._records or self.copy is None:
                    self.copy = self._copy()
        except Exception as error:  # noqa: BLE001  # a training must not end by being watched
            self._on_failure(error)
            return None
        self._hook_arguments(record, args, kwargs)
        if self._goes_past(args, kwargs):
            self._on_failure(MeasuredInPart(GOES_PAST))
        return record

    def _goes_past(self, args: Any, kwargs: Any) -> bool:
        """Whether a call reads what recurrent layers came to in calls that are not recorded, such as those before the last pass."""
        given = [tensor for leaf in leaves((args, kwargs)).values() if (tensor := tensor_of(leaf)) is not None]
        return any(leads_past(tensor, self, self.records, self._recurrent_weights) for tensor in given)

    def _copy(self) -> nn.Module:
        model = self._model()
        assert model is not None  # one of its modules is called
        copied = copy_model(model)
        drop_copied_hooks(copied)
        return copied

    def _hook_arguments(self, record: CallRecord, args: Any, kwargs: Any) -> None:
        """Be told before what lies between this call and earlier ones is used up."""
        ref = weakref.ref(record)  # which holds what lies there
        given = leaves((args, kwargs))
        for place in record.links:
            tensor = tensor_of(given[place])
            assert tensor is not None
            handle = tensor.register_hook(Hook(partial(self._entered, ref)))
            self._handles.append(handle)

    def _returned(self, record: CallRecord, output: Any) -> None:
        """Wait for what comes back; the graph owns the record."""
        seen = set[int]()  # a distribution holds its logits twice
        for index, tensor in enumerate(record.end(output)):
            if tensor.requires_grad and tensor.grad_fn is not None and id(tensor) not in seen:
                seen.add(id(tensor))
                mark_output(tensor, self, (record, index))
                self._handles.append(tensor.register_hook(Hook(partial(self._arrived, weakref.ref(record), index))))
        self._records.append(weakref.ref(record))

    def _arrived(self, ref: "weakref.ref[CallRecord]", index: int, gradient: Tensor) -> None:
        if (record := ref()) is not None:
            self._on_gradient(record, index, gradient)

    def _entered(self, ref: "weakref.ref[CallRecord]", gradient: Tensor) -> None:
        if (record := ref()) is not None:
            self._on_entry(record)

    @staticmethod
    def _is_first_replica(module: nn.Module) -> bool:
        """Whether `DataParallel` has made it for the first of its devices, where the model itself is."""
        first = next((tensor.device for tensor in module._parameters.values() if tensor is not None), None)
        return first is None or first.index in (None, 0)
