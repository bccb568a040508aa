"""HTML and XML from the templates beside this file; whatever is put into them is escaped."""

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
    """Fill a template; what it gives may stand in another one as it is."""
    return Markup(TEMPLATES.get_template(template).render(values))
