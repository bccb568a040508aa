"""The operations between a model's recurrent layers and its loss, one by one, with the gradient that came back through each.

A mode of torch functions looks at what the model calls: an operation counts from the first on that reads what a recurrent
layer returned. So what stops a gradient has a name and a line of somebody's file, whether it has a derivative (a ReLU that
gives zeros) or none (`argmax`, `detach()`).
"""

import sys
import sysconfig
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from rnnvanish.backward.each_loop import resolve_call
from rnnvanish.backward.loss import Loss, evaluate_loss
from rnnvanish.compat.pytree import tree_leaves
from rnnvanish.diagnosis.rerun.history import function_name
from rnnvanish.live import Cells, plain_name, recurrent_modules, step_modules
from rnnvanish.observe.call import Call, map_tensors
from rnnvanish.observe.restore.borrow import borrow

#: What a replaced operation is called with: its own function, arguments and keywords.
Replacement = Callable[[Callable[..., Any], tuple[Any, ...], dict[str, Any]], Any]
#: Where code stands that is nobody's model.
LIBRARIES = (
    str(Path(torch.__file__).parent),
    str(Path(__file__).parents[2]),
    *(path for name, path in sysconfig.get_paths().items() if name in ("stdlib", "platstdlib", "purelib", "platlib")),
)
#: Operations that make numbers of Python or of numpy, which no gradient follows.
LEAVING = ("item", "tolist", "numpy", "__array__", "__float__", "__int__", "__bool__")


@dataclass(eq=False)
class Value:
    """A tensor behind a recurrent layer.

    Attributes:
        tensor: The tensor.
        made_by: What gave it; None for what a recurrent layer returned from inputs of its own.
        differentiable: Whether it had a graph.
        norm: Norm of the gradient that came back to it; 0 where none did.
    """

    tensor: Tensor
    made_by: "Operation | None"
    differentiable: bool = field(init=False)
    norm: float = 0.0

    def __post_init__(self) -> None:
        recorded = (
            self.made_by is None or self.made_by.with_gradients
        )  # a view that is made without a graph may say it has one
        self.differentiable = self.tensor.requires_grad and recorded
        if self.differentiable:
            self.tensor.register_hook(self._add)

    def _add(self, gradient: Tensor) -> None:
        wide = gradient.detach().to(
            torch.promote_types(gradient.dtype, torch.float64)
        )  # squares of small numbers vanish
        self.norm = float(torch.linalg.vector_norm(wide))


@dataclass(eq=False)
class Operation:
    """One operation.

    Attributes:
        name: That of its function: "linear", "sigmoid", "argmax", "data"; "" for a recurrent layer.
        index: How many came before.
        args: Its arguments.
        kwargs: Its keyword arguments.
        inputs: What of them is behind a recurrent layer.
        outputs: What it gave; none where these are no tensors.
        module: The innermost module that called it, by name.
        place: The line of somebody's file.
        with_gradients: Whether gradients were switched on.
    """

    name: str
    index: int
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    inputs: list[Value]
    module: str
    place: str
    with_gradients: bool
    outputs: list[Value] = field(default_factory=list)


class OperationRecord(TorchFunctionMode):
    """Records the operations behind recurrent layers while it is on.

    Attributes:
        operations: All of them, in order.
        returned: What each recurrent layer returned, by its name.
    """

    def __init__(self, model: nn.Module, cells: Cells, replaced: Mapping[int, Replacement]) -> None:
        super().__init__()
        self.operations: list[Operation] = []
        self.returned: dict[str, list[Value]] = {}
        self._values: dict[int, Value] = {}
        self._kept: list[Tensor] = []  # so that ids stay theirs
        self._inside = 0
        self._names = {id(module): plain_name(name, model) for name, module in model.named_modules()}
        self._replaced = replaced
        self._modules = {**recurrent_modules(model), **step_modules(model, cells)}

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        inputs = [] if self._inside else self.values_of((args, kwargs))
        if not inputs:
            return func(*args, **kwargs)
        index = len(self.operations)
        replaced = self._replaced.get(index)
        output = func(*args, **kwargs) if replaced is None else replaced(func, args, kwargs)
        made = [leaf for leaf in tree_leaves(output) if isinstance(leaf, Tensor)]
        name = function_name(func)
        if made or name in LEAVING:
            module, place = self._where()
            operation = Operation(name, index, args, kwargs, inputs, module, place, torch.is_grad_enabled())
            self._record(operation, made)
        return output

    def values_of(self, tree: Any) -> list[Value]:
        """What of these tensors is behind a recurrent layer."""
        leaves = [leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor)]
        return [self._values[id(leaf)] for leaf in leaves if id(leaf) in self._values]

    @contextmanager
    def on(self) -> Iterator[None]:
        """Record what is called meanwhile."""
        handles = []
        for name, module in self._modules.items():
            handles.append(module.register_forward_pre_hook(self._enter, prepend=True))
            handles.append(module.register_forward_hook(self._leave(name), with_kwargs=True))
        try:
            with self:
                yield
        finally:
            for handle in handles:
                handle.remove()

    def _enter(self, module: nn.Module, args: Any) -> None:
        self._inside += 1

    def _leave(self, name: str) -> Callable[..., Any]:
        def leave(module: nn.Module, args: Any, kwargs: Any, output: Any) -> Any:
            self._inside -= 1
            if self._inside:
                return None
            output = map_tensors(output, _as_leaf)  # with every weight frozen there would be no graph
            operation = Operation(
                "", len(self.operations), args, kwargs, self.values_of((args, kwargs)), name, "", True
            )
            self._record(operation, [leaf for leaf in tree_leaves(output) if isinstance(leaf, Tensor)])
            self.returned.setdefault(name, []).extend(operation.outputs)
            return output

        return leave

    def _record(self, operation: Operation, made: Sequence[Tensor]) -> None:
        self.operations.append(operation)
        for tensor in made:
            self._kept.append(tensor)
            self._values[id(tensor)] = value = Value(tensor, operation)
            operation.outputs.append(value)

    def _where(self) -> tuple[str, str]:
        """The innermost module that is running, and the line of somebody's file."""
        frame, module, place = sys._getframe(2), "", ""
        while frame is not None and not (module and place):
            path = frame.f_code.co_filename
            if not module and id(frame.f_locals.get("self")) in self._names:
                module = self._names[id(frame.f_locals["self"])]
            if not place and not path.startswith((*LIBRARIES, "<")):
                place = f"{Path(path).name}, line {frame.f_lineno}"
            frame = frame.f_back  # type: ignore[assignment]
        return module, place


def _as_leaf(value: Tensor) -> Tensor:
    frozen = value.is_floating_point() and not value.requires_grad
    return value.requires_grad_() if frozen and torch.is_grad_enabled() else value


@dataclass(frozen=True, eq=False)
class RecordedStep:
    """A forward and a backward of a model, with the operations behind its recurrent layers.

    Attributes:
        record: The operations.
        ends: What of them the gradient started from; what the model returned, where there was none to start from.
        value: The loss; None where it has no gradient.
    """

    record: OperationRecord
    ends: list[Value]
    value: Tensor | None

    def reaching(self, module: str) -> float:
        """Norm of the gradient that came back to what a recurrent layer returned, the largest of all."""
        return max((value.norm for value in self.record.returned.get(module, [])), default=0.0)


def record_step(
    model: nn.Module, call: Call, loss: Loss, cells: Cells = (), replaced: Mapping[int, Replacement] | None = None
) -> RecordedStep:
    """Run a model and differentiate its loss; without one, what it returns, weighted so that no sum is constant.

    Args:
        model: The model; it is left as it was.
        call: How it is called.
        loss: Its loss.
        cells: Modules that are a step.
        replaced: By their index, operations that something else is called for.
    """
    call = resolve_call(model, call, loss)
    record = OperationRecord(model, cells, replaced or {})
    with torch.enable_grad(), borrow(model, None, *call.contents):
        with record.on():
            output = call(model)
            value = weighted_sum(output) if loss is None else evaluate_loss(model, call, output, loss)
        ends = record.values_of(output if loss is None else value)
        if value is None or not value.requires_grad:
            return RecordedStep(record, ends, None)
        weights = [weight for weight in model.parameters() if weight.requires_grad]
        inside = [each.tensor for found in record.returned.values() for each in found if each.differentiable]
        with suppress(RuntimeError):  # an operation that has no derivative
            torch.autograd.grad(value, [*weights, *inside], allow_unused=True)
    return RecordedStep(record, ends, value.detach())


def weighted_sum(output: Any) -> Tensor | None:
    """A number that depends on all of an output, also where its rows have a constant sum."""
    generator = torch.Generator().manual_seed(0)
    found = [leaf for leaf in tree_leaves(output) if isinstance(leaf, Tensor) and leaf.requires_grad]
    parts = [
        (torch.randn(leaf.shape, generator=generator).to(leaf.device, leaf.real.dtype) * leaf.real).sum()
        for leaf in found
    ]
    return torch.stack(parts).sum() if parts else None
