"""HTML from the templates beside this file; whatever is put into them is escaped, but what is markup already."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jinja2 import FileSystemLoader
from markupsafe import Markup

from rnnvanish.templates import environment

TEMPLATES = environment(FileSystemLoader(Path(__file__).parent / "templates"))


def render(template: str, **values: Any) -> Markup:
    """Fill a template."""
    return Markup(TEMPLATES.get_template(template).render(values))
