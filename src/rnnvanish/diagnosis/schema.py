"""The schema of the report as JSON, made of the classes that the report is written from.

`python -m rnnvanish.diagnosis.schema` prints what report.schema.json has to hold.
"""

import json
from collections.abc import Mapping
from typing import Any

from jaxtyping import Float
from torch import Tensor

from rnnvanish import probes
from rnnvanish.diagnosis.advice.trial import Trial
from rnnvanish.diagnosis.comparison import Comparison
from rnnvanish.diagnosis.report.document import SCHEMA
from rnnvanish.diagnosis.report.json_schema import Definitions, descriptions, of_object
from rnnvanish.diagnosis.result import Diagnosis
from rnnvanish.probes.curve import Curve

DRAFT = "https://json-schema.org/draft/2020-12/schema"


def report_schema() -> dict[str, Any]:
    """What every report of this version is, as JSON Schema."""
    known = Definitions()
    names = [each.name for each in probes.ALL]
    taken = {each.name: known.of(each.result | None) | {"description": each.about} for each in probes.ALL}
    told = descriptions(Diagnosis)
    layer = known.of_class(Curve, advice=tuple[Trial, ...])
    for name in ("total", "alone"):
        _add(layer, name, known.of(Float[Tensor, " lags"] | None), descriptions(Curve)[name])
    _add(layer, "measures", known.define("measures", of_object(told["measures"], taken, names)), told["measures"])
    _add(layer, "intervals", _of_intervals(names), told["intervals"])
    layers = {"type": "object", "minProperties": 1, "additionalProperties": known.define("layer", layer)}
    root = known.of_class(Diagnosis)
    _add(root, "schema", {"const": SCHEMA}, "Version of this format.")
    _add(root, "units", known.of(Mapping[str, str]), "The unit of each quantity.")
    _add(root, "layers", layers, told["curves"])
    compared = known.of(Comparison) | {"description": "With --against: what became of each layer."}
    root["properties"]["comparison"] = compared
    return {"$schema": DRAFT, "title": "A report of rnnvanish diagnose", **root, "$defs": known.schemas}


def _add(schema: dict[str, Any], name: str, field: dict[str, Any], description: str) -> None:
    schema["properties"][name] = field | {"description": description}
    schema["required"].append(name)


def _of_intervals(names: list[str]) -> dict[str, Any]:
    """In the form of the measures, but null for whatever is no number."""
    ends = {"type": "object", "propertyNames": {"enum": names}}
    low, high = ends | {"description": "Lower ends."}, ends | {"description": "Upper ends."}
    return {"anyOf": [{"type": "null"}, of_object("The ends of every interval.", {"low": low, "high": high})]}


if __name__ == "__main__":
    print(json.dumps(report_schema(), indent=1, ensure_ascii=False))
