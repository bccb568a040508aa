"""What a step takes and returns, leaf by leaf: tensors in tuples, lists, mappings and dataclasses, by where they stand."""

import copy
from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass
from typing import Any

from torch.nn.utils.rnn import PackedSequence

#: Leaves of arguments or results by where they stand: "['state'][0]".
Leaves = dict[str, Any]


def leaves(value: Any) -> Leaves:
    """Every leaf by where it stands."""
    return dict(_walk(value, ""))


def map_leaves(value: Any, change: Callable[[str, Any], Any], place: str = "") -> Any:
    """The same structure with other leaves, each made of where it stands and of what stands there."""
    inside = _inside(value, place)
    if inside is None:
        return change(place, value)
    new = {key: map_leaves(each, change, where) for key, where, each in inside}
    if isinstance(value, dict):
        mapping = copy.copy(value)
        mapping.update(new)
        return mapping
    if is_dataclass(value):
        other = copy.copy(value)
        for key, each in new.items():
            object.__setattr__(other, key, each)  # some are frozen
        return other
    return type(value)(*new.values()) if hasattr(value, "_fields") else type(value)(new.values())


def _walk(value: Any, place: str) -> Iterator[tuple[str, Any]]:
    inside = _inside(value, place)
    if inside is None:
        yield place, value
        return
    for _, where, each in inside:
        yield from _walk(each, where)


def _inside(value: Any, place: str) -> list[tuple[Any, str, Any]] | None:
    """What a container holds: key, place and value of each; None of a leaf."""
    if isinstance(value, PackedSequence | type):
        return None
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return [(name, f"{place}.{name}", each) for name, each in zip(value._fields, value, strict=True)]
    if type(value) in (tuple, list):
        return [(index, f"{place}[{index}]", each) for index, each in enumerate(value)]
    if isinstance(value, dict):
        return [(key, f"{place}[{key!r}]", each) for key, each in value.items()]
    if is_dataclass(value):
        return [(each.name, f"{place}.{each.name}", getattr(value, each.name)) for each in fields(value)]
    return None
