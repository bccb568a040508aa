"""HTML from the templates that lie here; whatever is put into them is escaped."""

import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rnnvanish.names import printable
from rnnvanish.templates.words import words

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup


#: The scripts that draw a report's figures, each after those that it needs: on its own page, and on the site.
REPORT_FIGURES = [f"report/{name}.js" for name in ("numbers", "curves", "causes", "cures", "layers", "overview")]


def renderer(folder: Path) -> "Callable[..., Markup]":
    """What fills the templates of a folder, called with the name of one and its values.

    What it gives may stand in another template as it is.
    """

    def render(template: str, **values: Any) -> "Markup":
        from markupsafe import Markup

        return Markup(_environment(folder).get_template(template).render(values))

    return render


render = renderer(Path(__file__).parent)


@cache
def _environment(folder: Path) -> "Environment":
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    found = Environment(
        loader=FileSystemLoader(folder),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters |= {"printable": printable, "code": _code}
    found.globals["words"] = words()
    found.policies["json.dumps_kwargs"] = {"separators": (",", ":"), "allow_nan": False}
    return found


def _code(text: str) -> "Markup":
    """What stands in back-ticks as code."""
    from markupsafe import Markup, escape

    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))
