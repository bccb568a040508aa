"""HTML and XML from templates, by jinja2: whatever is put into them is escaped, but what is markup already."""

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
TEMPLATES.policies["json.dumps_kwargs"] = {"separators": (",", ":"), "ensure_ascii": False}


def render(template: str, **values: Any) -> Markup:
    """Fill a template."""
    return Markup(TEMPLATES.get_template(template).render(values))


def paragraph(words: str, *values: object) -> Markup:
    """A paragraph; `values` stand where `words` has {}."""
    return Markup("<p>") + Markup(words).format(*values) + Markup("</p>")


def join(parts: list[Markup], otherwise: str) -> Markup:
    """The parts of a page one after the other, or a paragraph where there are none."""
    return Markup().join(parts) or paragraph(otherwise)
