"""The published schema is the one that the classes give; a measure that is new is in every form of a report."""

import importlib.resources
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import ClassVar, Literal, get_args

import jsonschema
import pytest
import torch
from jaxtyping import Bool, Float, Int
from rich.console import Console
from torch import Tensor, nn
from torch.utils.data import DataLoader

from rnnvanish import diagnose, probes
from rnnvanish.diagnosis.report.json_schema import NUMBER, Definitions
from rnnvanish.diagnosis.schema import report_schema
from rnnvanish.measure import Measure


def test_the_published_schema_is_that_of_the_classes():
    published = importlib.resources.files("rnnvanish.diagnosis") / "report.schema.json"
    made = json.dumps(report_schema(), indent=1, ensure_ascii=False) + "\n"
    again = "python -m rnnvanish.diagnosis.schema > src/rnnvanish/diagnosis/report.schema.json"
    assert published.read_text(encoding="utf-8") == made, f"{again} makes it again."


@dataclass
class Inner:
    """What is inside.

    And more of it.

    Attributes:
        count: How many.
    """

    count: int


@dataclass
class Whole:
    """All of it.

    Attributes:
        table: Numbers, in rows; nan where there are none,
            else finite.
        places: Where.
        there: Whether.
        inner: By name; None where nothing is inside.
        hidden: Not for JSON.
    """

    table: Float[Tensor, "rows columns"]
    places: Int[Tensor, " rows"]
    there: Bool[Tensor, " rows"]
    inner: Mapping[str, Inner] | None
    hidden: object = None

    in_json: ClassVar = ("table", "places", "there", "inner", "kind", "sizes")

    @property
    def kind(self) -> Literal["a", "b"]:
        """One of two."""
        return "a"

    @property
    def sizes(self) -> tuple[float, ...]:
        """Several."""
        return ()


def test_a_class_becomes_a_schema():
    known = Definitions()
    assert known.of(Whole) == {"$ref": "#/$defs/whole"}
    number = {"$ref": "#/$defs/number"}
    assert known.schemas == {
        "number": NUMBER,
        "inner": {
            "type": "object",
            "description": "What is inside.",
            "required": ["count"],
            "additionalProperties": False,
            "properties": {"count": {"type": "integer", "description": "How many."}},
        },
        "whole": {
            "type": "object",
            "description": "All of it.",
            "required": list(Whole.in_json),
            "additionalProperties": False,
            "properties": {
                "table": {
                    "type": "array",
                    "items": {"type": "array", "items": number},
                    "description": "Numbers, in rows; null where there are none, else finite.",
                },
                "places": {"type": "array", "items": {"type": "integer"}, "description": "Where."},
                "there": {"type": "array", "items": {"type": "boolean"}, "description": "Whether."},
                "inner": {
                    "anyOf": [
                        {"type": "object", "additionalProperties": {"$ref": "#/$defs/inner"}},
                        {"type": "null"},
                    ],
                    "description": "By name; null where nothing is inside.",
                },
                "kind": {"enum": ["a", "b"], "description": "One of two."},
                "sizes": {"type": "array", "items": number, "description": "Several."},
            },
        },
    }


def test_what_cannot_be_described_is_refused():
    @dataclass
    class Unsaid:
        """Says nothing of its field."""

        size: float

    class Inner:
        """No dataclass."""

    known = Definitions()
    with pytest.raises(TypeError, match="Unsaid: its docstring has to describe size under Attributes"):
        known.of(Unsaid)
    with pytest.raises(TypeError, match="that JSON has a form for is needed, got"):
        known.of(Inner)
    other = dataclass(type("Whole", (), {"__doc__": "Another."}))
    known.of(Whole)
    with pytest.raises(TypeError, match="Another name than 'whole' is needed"):
        known.of(other)


def test_every_number_of_a_measure_has_a_unit():
    for measure in probes.ALL:
        result = get_args(measure.result)[-1] if get_args(measure.result) else measure.result
        numbers = {each.name for each in fields(result) if not (each.type is str or "Bool" in str(each.type))}
        assert measure.units.keys() == numbers, measure.name


@dataclass(frozen=True, eq=False)
class Toy:
    """How large the states of one loop are.

    Attributes:
        size: Mean norm of the state, lag by lag.
    """

    size: Float[Tensor, " lags"]


def toy_of(run, gradients):
    whole = torch.cat(tuple(map(torch.stack, zip(*run.states, strict=True))), dim=-1)
    return Toy(whole.norm(dim=-1).mean(1).flip(0).detach().double())


TOY = Measure(
    name="toy",
    about="Toy: how large the states are.",
    result=Toy,
    units={"size": "units of the state"},
    of_loop=toy_of,
    main_rows=lambda found: [("<size>", f"{found.size[0]:.3g} at the end")],
    rest_rows=lambda found: [("<size>", f"{found.size[-1]:.3g} at the beginning")],
)


def test_a_new_measure_is_in_every_form_of_a_report(monkeypatch, tmp_path):
    monkeypatch.setattr(probes, "ALL", (*probes.ALL, TOY))
    torch.manual_seed(0)
    x = torch.randn(9, 4, 2)
    layer = nn.GRU(2, 5, batch_first=True)

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.memory = layer

        def forward(self, x):
            return self.memory(x)[0][:, -1]

    report, name = diagnose(Model(), DataLoader(x, batch_size=3)), "memory/layer0/forward"
    states = layer(x)[0].detach().norm(dim=-1)
    expected = torch.stack([part.mean(0).flip(0) for part in states.split(3)]).double()
    measured = report.measures[name].toy
    torch.testing.assert_close(measured.size, expected.mean(0), atol=1e-6, rtol=1e-6)
    half = 4.302653 * expected.std(0) / 3**0.5  # Student's quantile for three batches
    torch.testing.assert_close(report.intervals[name]["low"]["toy"]["size"], expected.mean(0) - half, atol=1e-5, rtol=0)
    with pytest.raises(AttributeError, match=r"There is no measure 'toi'\. Did you mean toy"):
        _ = report.measures[name].toi

    document = json.loads(report.to_json(tmp_path / "report.json").read_text())
    jsonschema.Draft202012Validator(report_schema()).validate(document)
    assert document["layers"][name]["measures"]["toy"]["size"] == measured.size.tolist()
    assert document["units"]["toy.size"] == "units of the state"
    document["layers"][name]["measures"]["toy"]["more"] = 1
    with pytest.raises(jsonschema.ValidationError, match="more"):
        jsonschema.Draft202012Validator(report_schema()).validate(document)

    terminal = io.StringIO()
    Console(file=terminal, width=100).print(report)
    page = report.to_html(tmp_path / "report.html").read_text()
    end, beginning = (f"{measured.size[at]:.3g} at the {where}" for at, where in ((0, "end"), (-1, "beginning")))
    for told in (str(report), terminal.getvalue(), page):
        assert end in told
    assert beginning in page
    assert beginning not in str(report)
    assert '<th scope="row">&lt;size&gt;</th>' in page
