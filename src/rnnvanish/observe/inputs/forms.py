"""The forms in which a batch may be given to a function: its parts one by one, by their names, or whole."""

import inspect
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from itertools import islice, permutations
from math import inf
from typing import Any, NamedTuple

from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from rnnvanish.observe.inputs.lightning import STEPS

#: An annotation that asks for a container, and one that asks for a tensor.
CONTAINER = re.compile(r"\b(\w+\.)*(tuple|list|dict|mapping|sequence|iterable)\b", re.IGNORECASE)
TENSOR = re.compile(r"Tensor\b")
#: How a batch is called where a form is written down.
WHOLE = "batch"
#: Names of the index of a batch.
INDEX = re.compile(r"(?i)(idx|index)$|^(batch_)?(nb|number|step|i|n|_+)$")
#: Orders in which the values of a mapping are tried whose keys no parameter has.
MAX_ORDERS = 24


class Given(NamedTuple):
    """What of a batch a function is given.

    Attributes:
        args: Its arguments.
        kwargs: Its keyword arguments.
        beside: What else the batch holds, such as targets.
    """

    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    beside: tuple[Any, ...]


@dataclass(frozen=True)
class Form:
    """One form: the arguments as one would write them, and what makes them of a batch."""

    words: str
    give: Callable[[Any], Given]


@dataclass(frozen=True)
class Parameters:
    """What a function takes.

    Attributes:
        needed: The names of what it needs.
        names: Those that may be given by name; None for any.
        most: How many may be given by position.
        first: The first of them, None where there is none.
    """

    needed: tuple[str, ...]
    names: frozenset[str] | None
    most: float
    first: inspect.Parameter | None

    @classmethod
    def of(cls, function: Callable[..., Any]) -> "Parameters":
        """Read them from the signature; of a function that has none, one argument."""
        try:
            every = inspect.signature(function).parameters.values()
        except (ValueError, TypeError):  # written in another language
            return cls(("input",), frozenset(), 1, None)
        kinds = {each.kind for each in every}
        placed = [each for each in every if each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)]
        single = [each for each in every if each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD)]
        return cls(
            tuple(each.name for each in single if each.default is each.empty),
            None
            if inspect.Parameter.VAR_KEYWORD in kinds
            else frozenset(each.name for each in single if each.kind is not each.POSITIONAL_ONLY),
            inf if inspect.Parameter.VAR_POSITIONAL in kinds else len(placed),
            placed[0] if placed else None,
        )

    def known(self, named: Mapping[Any, Any]) -> list[Any]:
        """The names among those of a mapping that the function takes."""
        return [name for name in named if self.names is None or name in self.names]

    @property
    def takes_one(self) -> bool:
        """Whether one argument is enough."""
        return len(self.needed) <= 1 <= self.most

    def prefers(self, batch: Any) -> str:
        """Whether the first is said to be a "container", a "tensor", or "batch" by its name alone; else nothing."""
        if self.first is None or self.first.annotation is self.first.empty:
            return "batch" if self.first is not None and self.first.name == "batch" else ""
        said = inspect.formatannotation(self.first.annotation).strip("'\"")
        if said.rpartition(".")[2] == type(batch).__name__ or (CONTAINER.match(said) and "|" not in said):
            return "container"
        return "tensor" if TENSOR.search(said) and not CONTAINER.search(said) else ""


#: The batch as the only argument.
ALL = Form(WHOLE, lambda batch: Given((batch,), {}, parts(batch)[1:]))


def rival_forms(function: Callable[..., Any], batch: Any, loaded: bool) -> list[list[Form]]:
    """The forms in which a batch may be given to `function`.

    Args:
        function: What is called.
        batch: What a user, or a loader, gives.
        loaded: Whether it is as a loader gives it: what is last in it counts as targets unless it is needed.

    Returns:
        Rivals: of each list the first form that runs counts, and if those of several lists run, nobody knows.
    """
    takes = Parameters.of(function)
    named = named_parts(batch)
    if named and (names := takes.known(named)) and set(takes.needed) <= set(names):
        every = names if isinstance(batch, Mapping) or takes.names is not None else [*takes.needed]
        return [[_by_name(every)]]
    if isinstance(batch, Mapping):
        found = _of_mapping(function, takes, batch)
    elif is_sequence(batch) and len(batch):
        found = _of_sequence(function, takes, batch, loaded)
    else:
        found = [[ALL]]
    return [forms for forms in found if forms] or [[_first(len(batch)) if is_sequence(batch) else ALL]]


def _of_mapping(function: Callable[..., Any], takes: Parameters, batch: Mapping[Any, Any]) -> list[list[Form]]:
    nested = [
        [_within(key, form) for form in forms if form is not ALL]
        for key in batch
        if is_container(batch[key])
        for forms in rival_forms(function, batch[key], loaded=False)
    ]
    return [[ALL] * takes.takes_one, *([form] for form in _in_any_order(takes, batch)), *nested]


def _of_sequence(function: Callable[..., Any], takes: Parameters, batch: Any, loaded: bool) -> list[list[Form]]:
    needed, most = len(takes.needed), int(min(takes.most, len(batch)))
    alone = len(batch) == 1 and type(batch) is tuple and not loaded  # the arguments, as the user writes them
    start = max(needed, min(most, len(batch) - 1)) if loaded else most
    counts = [*range(start, max(needed, 1) - 1, -1), *range(start + 1, most + 1)]
    nested = is_container(batch[0]) and not alone
    spread = [_first(count) for count in counts if count <= most and not (nested and count == 1)]
    inner: list[list[Form]] = []
    if nested:
        inside = rival_forms(function, batch[0], loaded=False)
        inner = [[_within(0, form) for form in forms] for forms in inside]
    preferred = takes.prefers(batch)
    if alone or not takes.takes_one or preferred == "tensor":
        return [spread, *inner]
    if preferred == "container":
        return [[ALL], *inner]
    if preferred == "batch" or len({_shape(part) for part in parts(batch)}) > 1:  # these are no steps of one sequence
        return [[ALL, *spread, *(form for forms in inner for form in forms)]]
    if not loaded and type(batch) is tuple and 1 < len(batch) <= most:  # these fit, as arguments
        return [[*spread, ALL], *inner]
    return [[ALL], spread, *inner]


def is_sequence(value: Any) -> bool:
    """Whether it is a tuple or a list, but no packed sequence."""
    return isinstance(value, tuple | list) and not isinstance(value, PackedSequence)


def is_container(value: Any) -> bool:
    """Whether it holds parts."""
    return is_sequence(value) or named_parts(value) is not None


def named_parts(value: Any) -> Mapping[Any, Any] | None:
    """What a mapping, a named tuple or a dataclass holds, by name; None of anything else."""
    if isinstance(value, Mapping):
        return value
    if is_sequence(value) and hasattr(value, "_fields"):
        return dict(zip(value._fields, value, strict=True))
    if is_dataclass(value) and not isinstance(value, type):
        return {each.name: getattr(value, each.name) for each in fields(value)}
    return None


def parts(value: Any) -> tuple[Any, ...]:
    """What it holds, in order; nothing of a tensor."""
    named = named_parts(value)
    return tuple(value) if is_sequence(value) else () if named is None else tuple(named.values())


def _shape(value: Any) -> Any:
    return value.shape if isinstance(value, Tensor) else type(value)


def _by_name(names: list[Any]) -> Form:
    def give(batch: Any) -> Given:
        named = named_parts(batch) or {}
        taken = {name: named[name] for name in names if name in named}
        return Given((), taken, _others(named.items(), taken))

    return Form(", ".join(f"{name}=batch[{name!r}]" for name in names), give)


def _first(count: int) -> Form:
    words = ", ".join(f"batch[{place}]" for place in range(count))
    return Form(words, lambda batch: Given(tuple(batch[:count]), {}, tuple(batch[count:])))


def _within(key: Any, form: Form) -> Form:
    """The same for a part of a batch."""

    def give(batch: Any) -> Given:
        args, kwargs, beside = form.give(batch[key])
        whole = len(args) == 1 and args[0] is batch[key]
        others = enumerate(batch) if is_sequence(batch) else batch.items()
        return Given(args, kwargs, (*(() if whole else beside), *_others(others, [key])))

    return Form(re.sub(rf"\b{WHOLE}\b", f"{WHOLE}[{key!r}]", form.words), give)


def _in_any_order(takes: Parameters, batch: Mapping[Any, Any]) -> Iterable[Form]:
    """What is missing by name, taken from the other values of a mapping in every order."""
    names = takes.known(batch) if takes.names is not None else []
    missing = [name for name in takes.needed if name not in names]
    others = [key for key in batch if key not in names]
    orders = permutations(others, len(missing)) if missing else ()
    return [_assigned(dict(zip(missing, order, strict=True)), names) for order in islice(orders, MAX_ORDERS)]


def _assigned(keys: dict[str, Any], names: list[Any]) -> Form:
    every = keys | {name: name for name in names}

    def give(batch: Any) -> Given:
        return Given((), {name: batch[key] for name, key in every.items()}, _others(batch.items(), set(every.values())))

    return Form(", ".join(f"{name}=batch[{key!r}]" for name, key in every.items()), give)


def _others(items: Iterable[tuple[Any, Any]], taken: Iterable[Any]) -> tuple[Any, ...]:
    taken = set(taken)
    return tuple(value for key, value in items if key not in taken)


def method_form(function: Callable[..., Any], batch: Any) -> Given:
    """What a method that is a loss is given: the batch, and 0 for its index; or, of several, the batch's parts.

    Raises:
        ValueError: Where it needs more than that.
    """
    takes, held = Parameters.of(function), named_parts(batch)
    needed = takes.needed
    if held and needed and set(needed) <= set(held):
        return _by_name(takes.known(held) if takes.names is not None else [*needed]).give(batch)
    if len(needed) < 2:
        return Given((batch,), {}, ())
    alone = len(needed) == 2 and (needed[0] == "batch" or function.__name__ in STEPS)
    if alone or all(map(INDEX.search, needed[1:])):
        return Given((batch, *[0] * (len(needed) - 1)), {}, ())
    if is_sequence(batch) and len(batch) >= len(needed):
        return Given(tuple(batch[: len(needed)]), {}, tuple(batch[len(needed) :]))
    raise ValueError(
        f"{function.__name__}({', '.join(needed)}) cannot be the loss: it is given the batch, and 0 for its index, or the "
        f"parts of the batch, which has {len(parts(batch))}. Give the others a default."
    )
