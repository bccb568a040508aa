"""The report as data: what JSON holds of it, described by report.schema.json, and read again."""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from rnnvanish import probes

#: Version of the JSON report; it changes when a reader of the older one would misread the newer.
SCHEMA = 3
#: Versions that are read. In the first two a loss that reads several steps is measured as a whole, and "unmeasured" stands for
#: what is not read now; the first has no units of measures.
READ = (1, 2, 3)
#: Bytes of the largest report that is read.
LARGEST = 2**28
HUGE = 2**63  # for a whole number; as a float it is still one
NEEDED = "A report is needed, as `rnnvanish diagnose TARGET --json > earlier.json` writes it"
UNITS = {"half_life": "steps", "rate": "nats per step", "reach": "steps", "lag": "steps", "gain": "ratio"}


def units() -> dict[str, str]:
    """The unit of each quantity; of a measure's numbers by its name and that of the field."""
    return UNITS | {f"{each.name}.{field}": unit for each in probes.ALL for field, unit in each.units.items()}


def plain(value: Any) -> Any:
    """Put what was measured into what JSON can hold: of an object what its class says, or all fields."""
    if is_dataclass(value):
        return {name: plain(getattr(value, name)) for name in names_in_json(type(value))}
    if isinstance(value, Tensor):
        return plain(value.tolist())
    if isinstance(value, Mapping):
        return {str(name): plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    return number(value) if isinstance(value, float) else value


def names_in_json(kind: Any) -> tuple[str, ...]:
    """The attributes of a dataclass that JSON has."""
    return getattr(kind, "in_json", None) or tuple(each.name for each in fields(kind))


def number(value: float) -> float | str | None:
    """Put a float into JSON, which knows neither nan nor infinity."""
    if math.isnan(value):
        return None
    if math.isinf(value):
        return "infinity" if value > 0 else "-infinity"
    return value


def read(path: str | Path) -> dict[str, Any]:
    """Read a report that `Diagnosis.to_json` wrote.

    Raises:
        ValueError: Where there is no such file, or it holds something else: says which.
    """
    try:
        with Path(path).open("rb") as file:
            content = file.read(LARGEST + 1)
        if len(content) > LARGEST:
            raise ValueError(f"{NEEDED}; {path} has more than {LARGEST >> 20} MiB.")
        report = json.loads(content.decode(), object_pairs_hook=_once, parse_constant=_no_number)
    except OSError as error:
        raise ValueError(f"{NEEDED}; {path}: {error.strerror}.") from error
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"{NEEDED}; {path} is no JSON: {error}.") from error
    except ValueError as error:  # what JSON can hold, and a report does not
        raise ValueError(str(error) if str(error).startswith(NEEDED) else f"{NEEDED}; {path}: {error}") from error
    what = str(path)
    if not isinstance(report, dict) or "schema" not in report or not isinstance(report.get("layers"), dict):
        raise ValueError(f"{NEEDED}; {what} holds other JSON.")
    if type(report["schema"]) is not int or report["schema"] not in READ:
        raise ValueError(
            f"{what} is a report of schema {_short(report['schema'])}, and this rnnvanish reads "
            f"{READ[0]} to {READ[-1]}: make it again."
        )
    check_layers(report["layers"], what)
    return report


def check_layers(layers: Mapping[str, Any], what: str = "the report") -> None:
    """Make sure of whatever a comparison reads of each layer.

    Raises:
        ValueError: Says what is not as it should be, and where.
    """
    for name, layer in layers.items():
        if not isinstance(layer, dict):
            raise ValueError(f"{NEEDED}; in {what}, {name!r} is no layer.")
        for key, (fits, needed) in FIELDS.items():
            if key not in layer:
                raise ValueError(f"{NEEDED}; in {what}, the layer {name!r} lacks {key!r}.")
            if not fits(layer[key]):
                came = _short(layer[key])
                raise ValueError(f"{NEEDED}; in {what}, {key!r} of the layer {name!r} has to be {needed}, got {came}.")


def value_of(number: float | str | None) -> float:
    """A number as `number` has put it into JSON."""
    return math.nan if number is None else float(number)


def _is_number(value: Any) -> bool:
    """Whether it is a number of at least zero, as a report holds it: infinity is the word, and nan null."""
    if value is None or value == "infinity":
        return True
    return type(value) in (int, float) and 0 <= value < (math.inf if type(value) is float else HUGE)


#: Of each layer what a comparison reads: whether a value fits, and what is needed.
FIELDS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "verdict": (lambda value: isinstance(value, str), "a word"),
    "half_life": (_is_number, 'a number of steps, null or "infinity"'),
    "reach": (lambda value: type(value) is int and 0 <= value < HUGE, "a whole number of steps"),
    "joined": (lambda value: isinstance(value, bool), "true or false"),
    "gain": (lambda value: isinstance(value, list) and all(map(_is_number, value)), "a list of numbers"),
}


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = [name for name, _ in pairs]
    if len(set(names)) < len(names):
        raise ValueError(f"it has {max(names, key=names.count)!r} twice.")
    return dict(pairs)


def _no_number(word: str) -> float:
    raise ValueError(f"{word} is no number of JSON.")


def _short(value: Any) -> str:
    try:
        text = repr(value)
    except (RecursionError, ValueError):  # nested too deep, or a number of too many digits
        return f"a {type(value).__name__}"
    return text if len(text) < 60 else f"{text[:57]}..."
