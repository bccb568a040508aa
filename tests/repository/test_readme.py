"""The README as a stranger reads it: rendered by CommonMark, its links followed, its commands run, its picture measured again."""

import re
import tomllib
from pathlib import Path
from xml.etree import ElementTree

import pytest
from markdown_it import MarkdownIt

from rnnvanish.__main__ import main
from tools import readme_curve

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
TOKENS = MarkdownIt("commonmark").enable("table").parse(README)
SVG = "{http://www.w3.org/2000/svg}"


def fences(language):
    return [token.content for token in TOKENS if token.type == "fence" and token.info == language]


def links():
    inline = [child for token in TOKENS for child in token.children or []]
    html = "".join(token.content for token in [*TOKENS, *inline] if token.type in {"html_block", "html_inline"})
    return [
        *(child.attrGet("href") for child in inline if child.type == "link_open"),
        *(child.attrGet("src") for child in inline if child.type == "image"),
        *re.findall(r'(?:src|srcset|href)="([^"]*)"', html),
    ]


def test_examples_are_code_and_nothing_is_a_quotation():
    assert {token.info for token in TOKENS if token.type == "fence"} == {"sh", "python", "text", "pycon", "bibtex"}
    assert not [token for token in TOKENS if token.type == "blockquote_open"]
    assert len(fences("pycon")) == README.count("```pycon")
    assert README.count("\n>>> ") == sum(each.count(">>> ") for each in fences("pycon"))


def test_every_link_leads_somewhere():
    found = links()
    assert len(found) >= 7
    assert [link for link in found if not (ROOT / link).is_file() and not link.startswith("https://")] == []


def test_the_report_that_it_shows_is_the_one_that_its_command_prints(tmp_path, monkeypatch, capsys):
    (model,), (shown,) = fences("python"), fences("text")
    command = next(each for each in fences("sh") if "diagnose" in each).split()
    (tmp_path / "my_model.py").write_text(model, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert main([*command[1:], "--quick"]) == 1  # the verdict fails
    printed = capsys.readouterr().out
    known = shown.removesuffix("...\n").rstrip()
    assert printed.startswith(known)
    assert "to apply" in printed


def numbers(svg):
    drawing = ElementTree.fromstring(svg)
    lines = [[float(n) for n in re.split("[ ,]", line.get("points"))] for line in drawing.iter(f"{SVG}polyline")]
    return lines, [text.text for text in drawing.iter() if text.tag in {f"{SVG}text", f"{SVG}desc"}]


@pytest.fixture(scope="module")
def curves():
    return readme_curve.measure()


@pytest.mark.parametrize("scheme", readme_curve.COLOURS)
def test_the_picture_is_what_is_measured(curves, scheme):
    lines, words = numbers((readme_curve.FOLDER / f"curve-{scheme}.svg").read_text(encoding="utf-8"))
    again, says = numbers(readme_curve.drawing(*curves, scheme))
    assert [len(line) for line in lines] == [2 * readme_curve.STEPS] * 2
    for line, other in zip(lines, again, strict=True):
        assert line == pytest.approx(other, abs=0.2)
    assert words == says


def test_the_words_beside_the_picture_are_what_is_measured(curves):
    lost = [round(curve.half_life, 1) for curve in curves]
    assert (round(2 * lost[0]) / 2, round(lost[1])) == (1.5, 52)
    assert (
        "half of the gradient is lost every one and a half steps; with the biases of Chrono every fifty-two." in README
    )


def test_what_is_cited_is_this_version():
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    assert f"version = {{{version}}}" in fences("bibtex")[0]
    assert re.search(
        rf"^version: {re.escape(version)}$", (ROOT / "CITATION.cff").read_text(encoding="utf-8"), re.MULTILINE
    )
