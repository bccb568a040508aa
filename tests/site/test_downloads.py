"""What is downloaded: a notebook hides its answers, has no front matter, and leads nowhere that is not there."""

import ast
import base64
import json
import re
import shlex
import sys
import tomllib
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest
from IPython.core.inputtransformer2 import TransformerManager

from tools.site import downloads

ROOT = Path(__file__).resolve().parents[2]
ADDRESS = "https://github.com/someone/rnn"
PAGE = """# 1. A title

![People](drawing.svg)

[Next](../impacts/slow.py), [a place](../glossary.md#cell), [a paper](https://example.org/a.py).

??? question "Show the answer"
    The second.

    - A list.

## More
"""
EXECUTED = {
    "cells": [
        {"cell_type": "raw", "source": ["---\\ndescription: d\\n---"]},
        {"cell_type": "markdown", "source": PAGE.splitlines(keepends=True)},
        {
            "cell_type": "code",
            "source": 'Markdown("[Next](../impacts/slow.py)")',
            "outputs": [{"data": {"text/markdown": ["[Next](../impacts/", "slow.py)"]}}],
        },
        {"cell_type": "code", "source": "1", "outputs": [{"data": {"text/plain": "1", downloads.OURS + "claim": {}}}]},
    ]
}


def made(folder, site_url="", address=""):
    (folder / "drawing.svg").write_text("<svg/>")
    return downloads.notebook(EXECUTED, folder, "problem/structure.py", site_url, address)


def test_an_answer_is_hidden_until_it_is_opened(tmp_path):
    text = made(tmp_path)["cells"][0]["source"]
    assert "<details><summary>Show the answer</summary>\n\nThe second.\n\n- A list.\n\n</details>\n\n## More" in text
    assert "???" not in text


def test_there_is_no_front_matter_and_nothing_of_ours_alone(tmp_path):
    cells = made(tmp_path)["cells"]
    assert [cell["cell_type"] for cell in cells] == ["markdown", "markdown", "code", "code", "code"]
    assert cells[-1]["outputs"][0]["data"] == {"text/plain": "1"}
    assert len(EXECUTED["cells"]) == 4, "what the page itself is made of is left as it was"


@pytest.mark.parametrize(("address", "present"), [("", False), ("", True), (ADDRESS, False), (ADDRESS, True)])
def test_the_first_code_installs_the_package(tmp_path, monkeypatch, address, present):
    """As IPython reads it: from the clone unless it is there, so that an editable one is left alone; else from an index."""
    cells = made(tmp_path, address=address)["cells"]
    assert "clone" not in cells[1]["source"] if address else "clone" in cells[1]["source"]
    nbformat.validate({"metadata": {}, "nbformat": 4, "nbformat_minor": 5, "cells": [cells[2]]})
    asked = []
    monkeypatch.setattr("importlib.util.find_spec", lambda name: present or None)
    shell = SimpleNamespace(run_line_magic=lambda magic, line: asked.append((magic, shlex.split(line))))
    exec(TransformerManager().transform_cell(cells[2]["source"]), {"get_ipython": lambda: shell})  # noqa: S102
    wanted = ["install", "--quiet", f"rnnvanish[{downloads.EXTRAS}]" if address else f".[{downloads.EXTRAS}]"]
    assert asked == ([("pip", wanted)] if address or not present else [])


def test_the_extras_are_all_that_pages_import():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    needed = [*project["dependencies"]]
    for extra in downloads.EXTRAS.split(","):
        needed += project["optional-dependencies"][extra]
    named = {re.match(r"[\w-]+", each)[0].replace("-", "_") for each in needed}
    provided = {"rnnvanish", "IPython"} | {{"scikit_learn": "sklearn"}.get(each, each) for each in named}
    for page in (ROOT / "docs").rglob("*.py"):
        for node in ast.walk(ast.parse(page.read_text(encoding="utf-8"))):
            names = (
                [node.module]
                if isinstance(node, ast.ImportFrom)
                else [each.name for each in getattr(node, "names", ())]
            )
            tops = (
                {each.partition(".")[0] for each in names} if isinstance(node, ast.Import | ast.ImportFrom) else set()
            )
            assert tops - sys.stdlib_module_names <= provided, page


def test_a_page_is_offered_in_colab_where_the_site_in_versions_has_its_notebook():
    plain = downloads.offer("problem/structure.py", "", "0.2")
    assert plain == downloads.offer("problem/structure.py", ADDRESS, "")
    assert "colab" not in plain
    assert re.findall(r'href="([^"]+)"', plain) == ["structure.ipynb", "structure.py"]
    offered = downloads.offer("problem/structure.py", ADDRESS, "0.2")
    place = "https://colab.research.google.com/github/someone/rnn/blob/gh-pages/0.2/problem/structure.ipynb"
    assert f'<a href="{place}">in Colab</a>' in offered
    assert len(re.findall("<a ", offered)) == 3


def test_links_lead_to_the_published_site_or_nowhere(tmp_path):
    assert "\nNext, a place, [a paper](https://example.org/a.py).\n" in made(tmp_path)["cells"][0]["source"]
    published = made(tmp_path, "https://example.org/rnn/")["cells"][0]["source"]
    assert "[Next](https://example.org/rnn/impacts/slow.html), " in published
    assert "[a place](https://example.org/rnn/glossary.html#cell), " in published
    printing = made(tmp_path)["cells"][3]
    assert printing["source"] == 'Markdown("Next")'
    assert printing["outputs"][0]["data"]["text/markdown"] == "Next"


def test_a_drawing_stands_in_the_text(tmp_path):
    drawn = re.search(r"!\[People\]\(data:image/svg\+xml;base64,(\S+)\)", made(tmp_path)["cells"][0]["source"])
    assert base64.b64decode(drawn[1]) == b"<svg/>"


def test_no_notebook_of_the_site_has_an_open_answer_or_a_link_to_a_source(site):
    found = sorted(site.rglob("*.ipynb"))
    assert len(found) > 20
    for path in found:
        text = "\n".join("".join(cell["source"]) for cell in json.loads(path.read_text(encoding="utf-8"))["cells"])
        assert not re.search(r"^\?\?\? |^---$|\]\([^)]*\.(py|md)\b(?![^)]*://)", text, re.MULTILINE), path.name
