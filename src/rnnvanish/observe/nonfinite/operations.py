"""The operations of a run as they are called: which of them turns finite numbers into a nan or an infinity."""

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from torch import Tensor, nn
from torch.autograd.function import BackwardCFunction
from torch.overrides import TorchFunctionMode

from rnnvanish.compat.pytree import tree_leaves
from rnnvanish.compat.tensors import version
from rnnvanish.live import plain_name
from rnnvanish.numerics.real_view import is_number
from rnnvanish.observe.autograd_graph import gradient_nodes
from rnnvanish.observe.nonfinite.reason import FULL_ROW, reason
from rnnvanish.observe.nonfinite.source_line import SourceLine, running_line


@dataclass(frozen=True, eq=False)
class Operation:
    """One call of an operation of torch, or something that was given to the model.

    Attributes:
        name: Its name.
        result: The tensors that it returned.
        line: Where it was called; None of what was given.
        run: How many operations of this name that line had called before, in this module.
        from_nan: What made those tensors with a nan that it was given; None of one that nobody is known to have made.
        from_inf: The same of those with an infinity and no nan.
        finite: Whether all that it returned was finite, before anything wrote to it.
        makes_nan: Whether a nan is in what it returned.
        bad: Where in the first such tensor what it returned was not finite: an index for each number, and that tensor's shape.
        fills: Whether it was given an infinity to write, as a mask is.
        why: Why what it returned is not finite, in words; "" where that does not show, or it is.
    """

    name: str
    result: Sequence[Tensor]
    line: SourceLine | None = None
    run: int = 0
    from_nan: Sequence["Operation | None"] = ()
    from_inf: Sequence["Operation | None"] = ()
    finite: bool = False
    makes_nan: bool = False
    bad: tuple[Sequence[Sequence[int]], tuple[int, ...]] = ((), ())
    fills: bool = False
    why: str = ""

    def origin(self) -> "Operation | None":
        """The operation where what is not finite begins; None where that is an infinity which was written on purpose."""
        at = self
        while at.why != FULL_ROW:
            passed_on = at.from_nan or (() if at.makes_nan else at.from_inf)
            if not passed_on:
                break
            known = [each for each in passed_on if each is not None and not each.finite]
            if not known:
                break  # it is the first that is seen
            at = known[0]
        if at.why == FULL_ROW or at.from_nan or not at.from_inf:
            return None if at.fills and not at.makes_nan else at
        # A nan of infinities: where these are a fault of their own it lies there.
        return next((found for each in at.from_inf if each and (found := each.origin()) is not None), at)


@dataclass(eq=False)
class OperationRecord(TorchFunctionMode):
    """Records every operation while it is entered; what they returned is held until it goes.

    Attributes:
        model: Whose modules are named.
        given: What is given to it that is not finite, by name.
        makers: Of each tensor, by identity, the operation that made it, or wrote to it last.
        by_node: Of each node of autograd's graph the operation whose derivative it is.
        writers: Of each memory the last operation that wrote something there that is not finite.
    """

    model: nn.Module
    given: Sequence[tuple[str, Tensor]] = ()
    makers: dict[int, Operation] = field(default_factory=dict)
    by_node: dict[Any, Operation] = field(default_factory=dict)
    writers: dict[int, Operation] = field(default_factory=dict)
    _counts: Counter[tuple[SourceLine, str]] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        super().__init__()
        self._names = {id(module): plain_name(name, self.model) for name, module in self.model.named_modules()}
        for name, value in self.given:
            self.makers[id(value)] = Operation(name, [value], makes_nan=has_nan(value), bad=bad_places(value))

    def __torch_function__(
        self, function: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        every = tree_leaves((args, kwargs))
        given = [each for each in every if _is_numeric(each)]
        versions = {id(each): version(each) for each in given}
        with_nan = [self.maker(each) for each in given if has_nan(each)]
        with_inf = [self.maker(each) for each in given if not is_finite(each) and not has_nan(each)]
        result = function(*args, **kwargs)
        written = [each for each in given if versions[id(each)] != version(each)]
        # What is returned as it was given was not made here.
        made = [each for each in tree_leaves(result) if _is_numeric(each) and id(each) not in versions] + written
        if not made or function.__name__ == "__get__":
            return result
        name, line = function.__name__.strip("_"), running_line(self._names)
        place = line, name
        finite = all(map(is_finite, made))
        operation = Operation(
            name,
            made,
            line,
            self._counts[place],
            with_nan,
            with_inf,
            finite,
            any(map(has_nan, made)),
            ((), ()) if finite else bad_places(next(each for each in made if not is_finite(each))),
            any(isinstance(each, float) and math.isinf(each) for each in every),
            "" if finite else reason(name, args, kwargs, made),
        )
        self._counts[place] += 1
        self.makers.update({id(each): operation for each in made})
        if not finite:
            self.writers.update({_memory(each): operation for each in written})
        for node in self._new_nodes(made):
            own = isinstance(node, BackwardCFunction)  # a torch.autograd.Function is called past this record
            self.by_node[node] = replace(operation, name=node.name().removesuffix("Backward")) if own else operation
        return result

    def maker(self, value: Tensor) -> Operation | None:
        """What made a tensor that is not finite; where that made it finite, what wrote to its memory later."""
        operation = self.makers.get(id(value))
        return self.writers.get(_memory(value), operation) if operation is None or operation.finite else operation

    def _new_nodes(self, made: list[Tensor]) -> Iterator[Any]:
        """The nodes of autograd's graph that are there since the operation before."""
        waiting, seen = gradient_nodes(made), set[Any]()
        while waiting:
            node = waiting.pop()
            if node not in self.by_node and node not in seen:
                seen.add(node)
                yield node
                waiting += [before for before, _ in node.next_functions if before is not None]


def _memory(value: Tensor) -> int:
    return value.untyped_storage().data_ptr()


def is_finite(values: Tensor) -> bool:
    """Whether all of them are finite."""
    return bool(values.detach().isfinite().all())


def has_nan(values: Tensor) -> bool:
    """Whether one of them is a nan."""
    return bool(values.detach().isnan().any())


def bad_places(values: Tensor) -> tuple[list[list[int]], tuple[int, ...]]:
    """The indices of those that are not finite, and the shape of all."""
    return (~values.detach().isfinite()).nonzero().tolist(), tuple(values.shape)


def _is_numeric(value: Any) -> bool:
    return isinstance(value, Tensor) and is_number(value) and not value.is_meta
