"""Turn an executed notebook into a Markdown page. Neither MkDocs nor Jupyter is needed here.

What a cell's header can say, `# %% alt="..." caption="..." tags=["hide-input"]`:

- `alt`: what a figure shows, in words; a figure without it fails the build; one figure a cell;
- `caption`: stands below a figure, above a table;
- tags: `hide-input` folds the code, `remove-input`, `remove-output`, `remove-cell` leave out what they name.
"""

from __future__ import annotations

import html
import re
from typing import Any

import yaml

from rnnvanish.diagnosis.progress import IN_NOTEBOOK
from rnnvanish.templates.words import words

#: What the colours of `matplotlibrc` become: the ink of the page, its grid, its series.
COLOURS = {"#010203": "currentColor", "#040506": "var(--rv-grid)"} | {f"#c0ffe{i}": f"var(--rv-c{i})" for i in range(5)}
CODE = words()["code"]
NUMBERS = "application/vnd.rnnvanish.numbers"  # what a figure draws, as CSV: kernel/figure_numbers.py
LARGEST = 400_000  # characters of one output
FIGURE = 'a figure needs words for those who cannot see it: start its cell with `# %% alt="Line chart: ..."`'


class PageError(ValueError):
    """A page that must not be published; the message says why."""


def to_markdown(notebook: dict[str, Any], folded: bool = False) -> tuple[str, list[str]]:
    """Return the page's Markdown, front matter first, and the HTML of its outputs; `folded` folds all code.

    Outputs stand in the Markdown as empty elements, because Markdown would mangle some of them; `put_outputs`
    replaces them once the page is rendered.
    """
    front, chunks, outputs = "", [], []
    cells = notebook["cells"]
    if not any(cell["cell_type"] == "code" and cell.get("execution_count") for cell in cells):
        raise PageError("no cell was executed: a .py page needs a code cell, which starts with a line `# %%`")
    for number, cell in enumerate(cells, 1):
        source, meta = _text(cell["source"]), cell.get("metadata", {})
        tags = set(meta.get("tags", ()))
        if cell["cell_type"] == "raw" and number == 1:
            front = _front_matter(source) + "\n\n"
        elif cell["cell_type"] == "markdown":
            chunks.append(source)
        elif cell["cell_type"] == "code" and "remove-cell" not in tags:
            if source.strip() and "remove-input" not in tags:
                code = fence(source, "python")
                chunks.append(fold(CODE, code, "rv-code") if folded or "hide-input" in tags else code)
            if "remove-output" not in tags:
                try:
                    found = _outputs(cell.get("outputs", []), meta, f"c{number}", outputs)
                    chunks += [fold(CODE, each, "rv-code") if folded and _is_code(each) else each for each in found]
                except PageError as error:
                    raise PageError(
                        f"cell {number}, which starts {source.strip().splitlines()[0]!r}: {error}"
                    ) from error
    if measured := notebook["metadata"].get("measured"):
        chunks.append(colophon(measured))
    return front + "\n\n".join(chunks) + "\n", outputs


def _is_code(chunk: str) -> bool:
    """Whether a cell put out Python, as `plots.source` does."""
    return chunk.startswith("```python")


def _front_matter(source: str) -> str:
    """Return the front matter; MkDocs would take one that is no YAML for text, and publish it."""
    try:
        yaml.safe_load(source.strip().strip("-"))
    except yaml.YAMLError as error:
        raise PageError(f"its front matter is no YAML, perhaps a colon without quotes: {error}") from error
    return source.strip()


def put_outputs(page: str, outputs: list[str]) -> str:
    """Put the outputs where `to_markdown` left their places."""
    return re.sub(r'<div data-rv-output="(\d+)"></div>', lambda place: outputs[int(place[1])], page)


def colophon(measured: dict[str, Any]) -> str:
    """Say when, from which commit and on what machine the numbers of the page were measured."""
    words = {key: html.escape(str(value)) for key, value in measured.items()}
    return (
        '<p class="rv-measured" data-search-exclude>Measured when this page was built: '
        f"{words['date']}, commit {words['commit']}, {words['processor']}, one thread, "
        f"torch {words['torch']}, Python {words['python']}; the page took {measured['seconds']:.0f} s.</p>"
    )


def fence(source: str, *classes: str) -> str:
    """Return a fenced block that survives back-ticks in its text."""
    ticks = "`" * max(3, *(len(run) + 1 for run in re.findall(r"`{3,}", source)), 3)
    return f"{ticks} {{ .{' .'.join(classes)} }}\n{source.rstrip()}\n{ticks}"


def fold(title: str, text: str, kind: str) -> str:
    """Return a closed fold of pymdownx.details."""
    return f'??? {kind} "{title}"\n\n' + "\n".join(f"    {line}" if line else "" for line in text.splitlines())


def svg(source: str, alt: str, prefix: str) -> str:
    """Inline a matplotlib SVG: named, with ids of its own, in colours that follow light and dark."""
    drawing = re.sub(r"<metadata>.*?</metadata>", "", source[source.index("<svg") :], flags=re.DOTALL)
    for sentinel, colour in COLOURS.items():
        drawing = drawing.replace(sentinel, colour)
    for name in sorted(set(re.findall(r'\bid="([^"]+)"', drawing)), key=len, reverse=True):
        if f"#{name}" in drawing:
            drawing = re.sub(rf'(\bid="|#){re.escape(name)}(?=["\')])', rf"\g<1>{prefix}-{name}", drawing)
        else:
            drawing = drawing.replace(f' id="{name}"', "")
    box = re.search(r'viewBox="([^"]+)"', drawing)
    if not box:
        raise PageError("a figure came as SVG without a viewBox; draw it with matplotlib, or give it one")
    width = float(box[1].split()[2])
    start = f'<svg role="img" aria-label="{html.escape(alt)}" viewBox="{box[1]}" style="width:{width:.0f}pt">'
    return re.sub(r"\s*\n\s*", "\n", re.sub(r"<svg[^>]*>", lambda _: start, drawing, count=1))


def table(source: str, caption: str) -> str:
    """Return a pandas table that the theme styles and that a screen reader can follow."""
    body = source[source.index("<table") : source.index("</table>") + len("</table>")]
    body = re.sub(r"<table[^>]*>", "<table>" + (f"<caption>{html.escape(caption)}</caption>" if caption else ""), body)
    body = re.sub(r"<th>\s*</th>", "<td></td>", re.sub(r"<tr [^>]*>", "<tr>", body))
    head, _, rest = body.partition("<tbody>")
    return head.replace("<th>", '<th scope="col">') + "<tbody>" + rest.replace("<th>", '<th scope="row">')


def _outputs(found: list[dict[str, Any]], meta: dict[str, Any], prefix: str, outputs: list[str]) -> list[str]:
    """Return the Markdown chunks of one cell's outputs; what is HTML goes to `outputs`."""
    chunks, figures = [], 0
    for number, output in enumerate(_merge_streams(found)):
        if output["output_type"] == "stream":
            if output["name"] == "stdout":  # progress bars and warnings go to stderr: not for readers
                chunks.append(fence(_text(output["text"]), "text", "rv-out"))
            continue
        if output.get("metadata") == IN_NOTEBOOK:
            continue
        data = {kind: _text(value) for kind, value in output["data"].items() if isinstance(value, str | list)}
        if kind := next((kind for kind in ("image/svg+xml", "image/png") if kind in data), None):
            figures += 1
            if not meta.get("alt"):
                raise PageError(FIGURE)
            if figures > 1:
                raise PageError("two figures share one alt text: draw each in a cell of its own")
            numbers = output["data"].get(NUMBERS, "")
            text = _figure(kind, data[kind], meta["alt"], f"{prefix}-{number}", meta.get("caption", ""), numbers)
        elif "text/html" in data:
            text = data["text/html"]
            if 'class="dataframe"' in text:
                text = table(text, meta.get("caption", ""))
            if re.search(r"<img(?![^>]*\balt=)|<svg(?![^>]*\baria-(?:label|labelledby|hidden)=)", text):
                raise PageError(f"HTML with an <img> or <svg> without alt, aria-label or aria-hidden: {FIGURE}")
            text = f'<div class="rv-out">{text}</div>'
        elif "text/markdown" in data:
            chunks.append(data["text/markdown"])
            continue
        elif "text/plain" in data:
            if re.search(r"<\S+ .*\bat 0x[0-9a-f]+>", data["text/plain"]):
                raise PageError(
                    f"an object without words: {data['text/plain']}; a figure's cell ends with `plt.show()`"
                )
            chunks.append(fence(data["text/plain"], "text", "rv-out"))
            continue
        else:
            raise PageError(f"no way to show {', '.join(output['data'])}; display a figure, HTML, Markdown or text")
        if len(text) > LARGEST:
            raise PageError(f"an output of {len(text):,} characters; at most {LARGEST:,} keep the page light")
        chunks.append(f'<div data-rv-output="{len(outputs)}"></div>')
        outputs.append(text)
    return chunks


def _figure(kind: str, data: str, alt: str, prefix: str, caption: str, numbers: str) -> str:
    if kind == "image/png":
        picture = f'<img alt="{html.escape(alt)}" src="data:image/png;base64,{"".join(data.split())}">'
    else:
        picture = svg(data, alt, prefix)
    words = f"<figcaption>{html.escape(caption)}</figcaption>" if caption else ""
    if numbers:  # for save-figure.js
        words += f'<template class="rv-numbers" data-search-exclude>{html.escape(numbers)}</template>'
    return f'<figure class="rv-out" data-search-exclude>{picture}{words}</figure>'


def _merge_streams(outputs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    merged: list[dict[str, Any]] = []
    for output in outputs:
        if output["output_type"] == "stream" and merged and merged[-1].get("name") == output["name"]:
            merged[-1] = {**output, "text": _text(merged[-1]["text"]) + _text(output["text"])}
        else:
            merged.append(output)
    return merged


def _text(value: str | list[str]) -> str:
    return value if isinstance(value, str) else "".join(value)
