"""The report as data: what JSON holds of it, described by report.schema.json, and read again."""

import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rnnvanish.probes.curve import Curve

if TYPE_CHECKING:
    from rnnvanish.diagnosis.diagnosis import Diagnosis

#: Version of the JSON report; it changes when a reader of the older one would misread the newer.
SCHEMA = 1
UNITS = {"half_life": "steps", "rate": "nats per step", "reach": "steps", "lag": "steps", "gain": "ratio"}


def to_dict(diagnosis: "Diagnosis") -> dict[str, Any]:
    """Everything that was measured, as what JSON can hold: nan is null, infinity is the word."""
    return {
        "schema": SCHEMA,
        "model": diagnosis.model,
        "units": UNITS,
        "findings": [
            asdict(finding) | {"before": number(finding.before), "after": number(finding.after)}
            for finding in diagnosis.findings
        ],
        "layers": {name: _layer(curve) for name, curve in diagnosis.curves.items()},
        "provenance": diagnosis.provenance,
    }


def _layer(curve: Curve) -> dict[str, Any]:
    return {
        "verdict": curve.verdict,
        "half_life": number(curve.half_life),
        "rate": number(curve.rate),
        "reach": curve.reach,
        "joined": curve.joined,
        "cause": curve.cause,
        "advice": [
            {"cure": a.cure, "before": number(a.before), "after": number(a.after), "gain": number(a.gain)}
            for a in curve.advice
        ],
        "lag": curve.lag.tolist(),
        "gain": [number(gain) for gain in curve.gain.tolist()],
        "parts": {part: [number(gain) for gain in gains.tolist()] for part, gains in curve.parts.items()},
    }


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
