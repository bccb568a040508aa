"""HTML from the templates that lie here; whatever is put into them is escaped."""

import re
from functools import cache
from typing import TYPE_CHECKING, Any

from rnnvanish.names import printable

if TYPE_CHECKING:
    from jinja2 import BaseLoader, Environment
    from markupsafe import Markup


def render(template: str, **values: Any) -> "Markup":
    """Fill a template; what it gives may stand in another one as it is."""
    from markupsafe import Markup

    return Markup(_templates().get_template(template).render(values))


def environment(loader: "BaseLoader") -> "Environment":
    """Templates of a place of their own, with the same rules."""
    from jinja2 import Environment, StrictUndefined

    found = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    found.filters |= {"printable": printable, "code": _code}
    found.policies["json.dumps_kwargs"] = {"separators": (",", ":"), "allow_nan": False}
    return found


@cache
def _templates() -> "Environment":
    from jinja2 import PackageLoader

    return environment(PackageLoader("rnnvanish"))


def _code(text: str) -> "Markup":
    """What stands in back-ticks as code."""
    from markupsafe import Markup, escape

    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))
