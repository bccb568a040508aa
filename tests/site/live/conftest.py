"""A page that holds nothing but scripts of `docs/assets` and what a test puts on it."""

import contextlib
import io
import json
import shutil
from pathlib import Path

import pytest
import torch
from figure_page import settle

from rnnvanish import templates
from rnnvanish.templates.words import words
from tools.site import live

ASSETS = Path(__file__).resolve().parents[3] / "docs/assets"


@pytest.fixture
def page_with(visit, tmp_path):
    """Open a page of this content in a browser; `scripts` name files of `docs/assets/live`, those that they need come along."""

    def start(content="", scripts=(), *, code="", **context):
        if not (tmp_path / "assets").exists():
            shutil.copytree(ASSETS, tmp_path / "assets")
            shutil.copytree(Path(templates.__file__).parent / "report", tmp_path / "assets/report")
        (tmp_path / "assets/words.js").write_text(f"window.rvWords = {json.dumps(words()['script'])};")
        order = dict.fromkeys(each for name in scripts for each in live.ordered(ASSETS, f"live/{name}.js"))
        tags = "".join(f'<script src="assets/{each}"></script>' for each in order)
        head = (
            '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        )
        style = '<link rel="stylesheet" href="assets/site.css"><link rel="stylesheet" href="assets/live/live.css"><title>A page</title>'
        body = f'<body data-md-color-scheme="default"><main class="md-typeset"><h1>A page</h1><article>{content}</article></main>'
        (tmp_path / "page.html").write_text(f"{head}{style}{body}{tags}<script>{code}</script></body></html>")
        return visit(tmp_path, "page.html", **context)

    return start


@pytest.fixture
def figure(page_with):
    """Open a page with one live figure, which is `it`."""

    def start(name, attributes="", **context):
        inside = f"<p>{'Read without a script. ' * 8}</p>"
        seen = page_with(f'<rv-{name} id="it" {attributes}>{inside}</rv-{name}>', [f"figures/{name}"], **context)
        if context.get("java_script_enabled", True):
            settle(seen.page, name)
        return seen

    return start


@pytest.fixture(scope="module")
def engine(browser):
    """A blank page with all of the engine, for what needs no element of a page."""
    page, complaints = browser.new_page(), []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    parts = ["attention", "single", "training", "slices", "shares"]
    for name in dict.fromkeys(each for part in parts for each in live.ordered(ASSETS, f"live/{part}.js")):
        page.add_script_tag(path=ASSETS / name)
    yield page
    page.close()
    assert not complaints


@pytest.fixture
def printed():
    """Run what a figure offers as "the same in Python"; return what it prints."""

    def run(code):
        out, dtype = io.StringIO(), torch.get_default_dtype()
        try:
            with contextlib.redirect_stdout(out), torch.random.fork_rng(devices=[]):
                exec(compile(code, "the same in Python", "exec"), {"__name__": "__main__"})  # noqa: S102
        finally:
            torch.set_default_dtype(dtype)
        return out.getvalue().strip()

    return run
