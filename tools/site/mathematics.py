r"""LaTeX into MathML while the site is built, so that no page needs a script to show a formula."""

from __future__ import annotations

import html
import re

from latex2mathml.converter import convert

FORMULA = re.compile(r'<(span|div) class="arithmatex">\\([(\[])(.*?)\\[)\]]</\1>', re.DOTALL)
#: What the converter lets through although it means nothing (a back-slash, a stray &) or no browser draws it.
LEFT_OVER = re.compile(r'<m[iotn][^>]*>[^<]*(?:\\|&<|[{}]<)|linebreak="newline"|mathvariant="(?!normal)[^"]*"')
ENVIRONMENTS = {"align", "align*", "array", "cases", "split", "matrix", "pmatrix", "bmatrix", "vmatrix"}


class MathError(ValueError):
    """LaTeX that cannot be shown."""


def to_mathml(page: str) -> str:
    """Replace every formula that pymdownx.arithmatex marked in a page."""
    if heading := re.search(r'<h[1-6][^>]*>(?:(?!</h).)*class="arithmatex".*?</h', page):
        raise MathError(
            f"a formula in a heading would stand as LaTeX in the contents: write it in Unicode: {heading[0]}"
        )
    return FORMULA.sub(lambda found: formula(html.unescape(found[3]).strip(), display=found[2] == "["), page)


def formula(latex: str, *, display: bool) -> str:
    """Return one formula as MathML; a displayed one scrolls in a box of its own, by keyboard too."""
    latex = latex.replace("{aligned}", "{split}")  # the converter knows it by its other name
    if unknown := set(re.findall(r"\\begin\{(.+?)\}", latex)) - ENVIRONMENTS:
        raise MathError(
            f"{_about(latex)}unknown environment {', '.join(sorted(unknown))}; use one of "
            f"{', '.join(sorted(ENVIRONMENTS | {'aligned'}))}."
        )
    try:
        math = convert(latex, display="block" if display else "inline")
    except Exception as error:
        raise MathError(f"{_about(latex)}{error!r}") from error
    if wrong := LEFT_OVER.search(math):
        raise MathError(
            f"{_about(latex)}no way to show {wrong[0]!r}. Write it in LaTeX that latex2mathml knows: lines "
            r"with \begin{aligned}, letters as \mathbf{W} or \mathcal{L}."
        )
    if not display:
        return math
    return f'<div class="rv-math" tabindex="0" role="group" aria-label="Formula">{math}</div>'


def _about(latex: str) -> str:
    return f"the formula {latex!r} does not convert: "
