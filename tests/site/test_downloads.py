"""What is downloaded: a notebook hides its answers, has no front matter, and leads nowhere that is not there."""

import base64
import json
import re

from tools.site import downloads

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
        {"cell_type": "code", "source": "1", "outputs": [{"data": {"text/plain": "1", downloads.OURS + "claim": {}}}]},
    ]
}


def made(folder, site_url=""):
    (folder / "drawing.svg").write_text("<svg/>")
    return downloads.notebook(EXECUTED, folder, "problem/structure.py", site_url)


def test_an_answer_is_hidden_until_it_is_opened(tmp_path):
    text = made(tmp_path)["cells"][0]["source"]
    assert "<details><summary>Show the answer</summary>\n\nThe second.\n\n- A list.\n\n</details>\n\n## More" in text
    assert "???" not in text


def test_there_is_no_front_matter_and_nothing_of_ours_alone(tmp_path):
    cells = made(tmp_path)["cells"]
    assert [cell["cell_type"] for cell in cells] == ["markdown", "markdown", "code"]
    assert "pip install" in cells[1]["source"]
    assert cells[2]["outputs"][0]["data"] == {"text/plain": "1"}
    assert len(EXECUTED["cells"]) == 3, "what the page itself is made of is left as it was"


def test_links_lead_to_the_published_site_or_nowhere(tmp_path):
    assert "\nNext, a place, [a paper](https://example.org/a.py).\n" in made(tmp_path)["cells"][0]["source"]
    published = made(tmp_path, "https://example.org/rnn/")["cells"][0]["source"]
    assert "[Next](https://example.org/rnn/impacts/slow.html), " in published
    assert "[a place](https://example.org/rnn/glossary.html#cell), " in published


def test_a_drawing_stands_in_the_text(tmp_path):
    drawn = re.search(r"!\[People\]\(data:image/svg\+xml;base64,(\S+)\)", made(tmp_path)["cells"][0]["source"])
    assert base64.b64decode(drawn[1]) == b"<svg/>"


def test_no_notebook_of_the_site_has_an_open_answer_or_a_link_to_a_source(site):
    found = sorted(site.rglob("*.ipynb"))
    assert len(found) > 20
    for path in found:
        text = "\n".join("".join(cell["source"]) for cell in json.loads(path.read_text(encoding="utf-8"))["cells"])
        assert not re.search(r"^\?\?\? |^---$|\]\([^)]*\.(py|md)\b(?![^)]*://)", text, re.MULTILINE), path.name
