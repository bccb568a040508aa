"""HTML and XML from templates, by jinja2: whatever is put into them is escaped, but what is markup already."""

from pathlib import Path

from markupsafe import Markup

from rnnvanish.templates import renderer

render = renderer(Path(__file__).parent / "templates")


def paragraph(words: str, *values: object) -> Markup:
    """A paragraph; `values` stand where `words` has {}."""
    return Markup("<p>") + Markup(words).format(*values) + Markup("</p>")


def join(parts: list[Markup], otherwise: str) -> Markup:
    """The parts of a page one after the other, or a paragraph where there are none."""
    return Markup().join(parts) or paragraph(otherwise)
