"""JSON Schema of Python's types: of a dataclass by its fields, described by the docstring of its class."""

import inspect
import re
import types
from collections.abc import Mapping, Sequence
from dataclasses import is_dataclass
from functools import cached_property
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from jaxtyping import AbstractArray, Bool, Float, Int

from rnnvanish.diagnosis.report.document import names_in_json

#: How `document.plain` writes a float.
NUMBER = {
    "description": "A number; null where it lies below what the number format can hold, or was not measured.",
    "anyOf": [{"type": "number"}, {"type": "null"}, {"enum": ["infinity", "-infinity"]}],
}
PLAIN: dict[Any, str] = {str: "string", bool: "boolean", int: "integer", types.NoneType: "null"}
ENTRIES: dict[Any, Any] = {Float: float, Int: int, Bool: bool}


class Definitions:
    """The schemas of the classes that were met.

    Attributes:
        schemas: By the names of the classes, in small letters.
    """

    def __init__(self) -> None:
        self.schemas: dict[str, Any] = {"number": NUMBER}
        self.kinds: dict[str, type] = {}

    def define(self, name: str, schema: dict[str, Any]) -> dict[str, Any]:
        """Give a schema a name; returns what refers to it.

        Raises:
            TypeError: Where something else has this name.
        """
        if name in self.schemas:
            raise TypeError(f"Another name than {name!r} is needed: something else in the report is called so.")
        self.schemas[name] = schema
        return {"$ref": f"#/$defs/{name}"}

    def of(self, kind: Any) -> dict[str, Any]:
        """The schema of a type.

        Raises:
            TypeError: For a type that JSON has no form for here, or a field without a description.
        """
        origin, arguments = get_origin(kind), get_args(kind)
        if kind in PLAIN:
            return {"type": PLAIN[kind]}
        if kind is float:
            return {"$ref": "#/$defs/number"}
        if origin is Literal:
            return {"enum": list(arguments)}
        if origin in (Union, types.UnionType):
            return {"anyOf": [self.of(each) for each in arguments]}
        if origin in (tuple, list, Sequence):
            return {"type": "array", "items": self.of(arguments[0])}
        if origin in (Mapping, dict):
            return {"type": "object", "additionalProperties": self.of(arguments[1])}
        if isinstance(kind, type) and issubclass(kind, AbstractArray):
            nested = self.of(ENTRIES[kind.dtype])
            for _ in kind.dims:
                nested = {"type": "array", "items": nested}
            return nested
        if isinstance(kind, type) and is_dataclass(kind):
            name = kind.__name__.lower()
            if self.kinds.get(name) is not kind:
                self.define(name, self.of_class(kind))
                self.kinds[name] = kind
            return {"$ref": f"#/$defs/{name}"}
        raise TypeError(f"A type that JSON has a form for is needed, got {kind!r}.")

    def of_class(self, kind: type, **others: Any) -> dict[str, Any]:
        """The schema of a dataclass; `others` are types that some of its fields have in JSON, instead of their own."""
        known, described = _types(kind) | others, descriptions(kind)
        names = names_in_json(kind)
        if missing := [name for name in names if not described.get(name)]:
            raise TypeError(f"{kind.__name__}: its docstring has to describe {', '.join(missing)} under Attributes.")
        return of_object(
            _first_paragraph(kind), {name: self.of(known[name]) | {"description": described[name]} for name in names}
        )


def of_object(description: str, properties: dict[str, Any], optional: Sequence[str] = ()) -> dict[str, Any]:
    """The schema of an object with these fields and no others."""
    return {
        "type": "object",
        "description": description,
        "required": [name for name in properties if name not in optional],
        "additionalProperties": False,
        "properties": properties,
    }


def descriptions(kind: type) -> dict[str, str]:
    """What the docstrings of a class and its bases say of each attribute, those of its properties included."""
    found: dict[str, str] = {}
    for each in reversed(kind.__mro__):
        found |= dict(re.findall(r"^    (\w+): (.+(?:\n        .+)*)", inspect.getdoc(each) or "", re.MULTILINE))
        found |= {name: inspect.getdoc(getter) or "" for name, getter in _properties(each)}
    return {name: _as_json_has_it(text) for name, text in found.items()}


def _types(kind: type) -> dict[str, Any]:
    found = get_type_hints(kind)
    for each in reversed(kind.__mro__):
        found |= {name: get_type_hints(getter).get("return") for name, getter in _properties(each)}
    return found


def _properties(kind: type) -> list[tuple[str, Any]]:
    getters = {name: getattr(each, "fget", getattr(each, "func", None)) for name, each in vars(kind).items()
               if isinstance(each, property | cached_property)}  # fmt: skip
    return list(getters.items())


def _as_json_has_it(text: str) -> str:
    """In one line; what is None or nan in Python is null there, and infinity a word."""
    return re.sub(r"\b(None|nan)\b", "null", re.sub(r"\binf\b", "infinity", " ".join(text.split())))


def _first_paragraph(kind: type) -> str:
    return _as_json_has_it((inspect.getdoc(kind) or "").partition("\n\n")[0])
