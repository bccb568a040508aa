"""The report as data: what JSON holds of it, described by report.schema.json, and read again."""

import json
import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from rnnvanish.probes.curve import Curve

if TYPE_CHECKING:
    from rnnvanish.diagnosis.diagnosis import Diagnosis
    from rnnvanish.diagnosis.lag import Outlook

#: Version of the JSON report; it changes when a reader of the older one would misread the newer.
SCHEMA = 1
UNITS = {"half_life": "steps", "rate": "nats per step", "reach": "steps", "lag": "steps", "gain": "ratio"}


def to_dict(diagnosis: "Diagnosis") -> dict[str, Any]:
    """Everything that was measured, as what JSON can hold: nan is null, infinity is the word."""
    return {
        "schema": SCHEMA,
        "model": diagnosis.model,
        "units": UNITS,
        "findings": [_plain(finding) for finding in diagnosis.findings],
        "layers": {
            name: _layer(curve)
            | {
                "measures": _plain(diagnosis.measures.get(name, {})),
                "intervals": _plain(diagnosis.intervals.get(name)),
            }
            for name, curve in diagnosis.curves.items()
        },
        "outlook": None if diagnosis.outlook is None else _outlook(diagnosis.outlook),
        "unfit": dict(diagnosis.unfit),
        "provenance": diagnosis.provenance,
    }


def _layer(curve: Curve) -> dict[str, Any]:
    return {
        "verdict": curve.verdict,
        "half_life": number(curve.half_life),
        "rate": number(curve.rate),
        "rates": _plain(curve.rates),
        "reach": curve.reach,
        "joined": curve.joined,
        "cause": curve.cause,
        "notes": list(curve.notes),
        "advice": [_plain(advice) for advice in curve.advice],
        "lag": curve.lag.tolist(),
        "gain": _plain(curve.gain),
        "low": _plain(curve.low),
        "high": _plain(curve.high),
        "parts": _plain(curve.parts),
        "injected": _plain(curve.injected),
        "journey": None if curve.journey is None else _plain(curve.journey.gain),
    }


def _outlook(outlook: "Outlook") -> dict[str, Any]:
    parts = {name: getattr(outlook, name) for name in ("lag", "half_life", "chance", "needed", "decades", "verdict")}
    return _plain(parts | {"says": str(outlook)})  # type: ignore[no-any-return]


def _plain(value: Any) -> Any:
    """Put what was measured into what JSON can hold, field by field."""
    if is_dataclass(value):
        return {each.name: _plain(getattr(value, each.name)) for each in fields(value)}
    if isinstance(value, Tensor):
        return _plain(value.tolist())
    if isinstance(value, Mapping):
        return {str(name): _plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return number(value) if isinstance(value, float) else value


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
    needed = "A report is needed, as `rnnvanish diagnose TARGET --json > earlier.json` writes it"
    try:
        report = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"{needed}; {path}: {error.strerror}.") from error
    except ValueError as error:  # broken JSON, or no text at all
        raise ValueError(f"{needed}; {path} is no JSON: {error}.") from error
    if not isinstance(report, dict) or "schema" not in report or not isinstance(report.get("layers"), dict):
        raise ValueError(f"{needed}; {path} holds other JSON.")
    if report["schema"] != SCHEMA:
        raise ValueError(
            f"{path} is a report of schema {report['schema']!r}, and this rnnvanish reads {SCHEMA}: make it again."
        )
    for name, layer in report["layers"].items():
        if not isinstance(layer, dict):
            raise ValueError(f"{needed}; in {path}, {name!r} is no layer.")
        if missing := {"verdict", "half_life", "reach", "joined", "gain"} - layer.keys():
            raise ValueError(f"{needed}; in {path}, the layer {name!r} lacks {max(missing)!r}.")
    return report
