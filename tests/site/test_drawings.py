"""The drawings of the pages: for eyes and for screen readers, light and dark, alone and on a page."""

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tools.site import drawings

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "docs/assets/drawings"
DRAWINGS = sorted(FOLDER.glob("*.svg"))
SHOWN = [
    found
    for page in sorted((ROOT / "docs").rglob("*"))
    if page.suffix in {".md", ".py"}
    for found in re.findall(r"!\[([^\]]*)\]\([^)]*assets/drawings/([\w-]+)\.svg\)", page.read_text(encoding="utf-8"))
]
SVG = "{http://www.w3.org/2000/svg}"
COLOUR = re.compile(r"none|currentColor|var\(--[\w-]+, #[0-9a-f]{3,6}\)")


@pytest.mark.parametrize("path", DRAWINGS, ids=lambda path: path.stem)
def test_a_drawing_is_small_and_in_the_colours_of_the_page(path):
    drawing = ElementTree.parse(path).getroot()
    assert path.stat().st_size < 12_000
    assert drawing.get("viewBox").startswith("0 0 400 ")  # all of one scale: letters of 13 px are 12 px on a phone
    used = [
        value
        for each in drawing.iter()
        for value in (
            *(each.get(name) for name in ("fill", "stroke") if each.get(name)),
            *re.findall(r"(?:fill|stroke): ([^;]+)", each.get("style", "")),
        )
    ]
    assert [value for value in used if not COLOUR.fullmatch(value)] == []
    assert [each.get("font-size") for each in drawing.iter(f"{SVG}text") if int(each.get("font-size", 14)) < 13] == []


@pytest.mark.parametrize("path", DRAWINGS, ids=lambda path: path.stem)
def test_a_drawing_is_shown_under_its_own_title(path):
    title = ElementTree.parse(path).getroot().findtext(f"{SVG}title")
    assert {alt for alt, name in SHOWN if name == path.stem} == {title}


def test_a_drawing_stands_in_the_page_with_its_words():
    image = '<p><img alt="A row" src="../assets/drawings/row.svg" /></p>'
    page = drawings.put(f"<p>Before.</p>{image}", FOLDER)
    assert page.startswith('<p>Before.</p><figure class="rv-out rv-drawing"')
    assert 'aria-label="A row of people who pass on a note. Six people' in page
    assert "<title>" not in page
    assert 'id="rv-row-person"' in page
    assert 'href="#rv-row-person"' in page
    assert 'href="#person"' not in page


def test_other_images_stay_as_they_are():
    image = '<p><img alt="A logo" src="assets/logo.svg" /></p>'
    assert drawings.put(image, FOLDER) == image


def test_a_drawing_without_words_is_refused(tmp_path):
    (tmp_path / "mute.svg").write_text('<svg viewBox="0 0 1 1"><title>Mute</title></svg>')
    with pytest.raises(drawings.DrawingError, match=r"mute\.svg needs a <title>.*<desc>"):
        drawings.figure(tmp_path / "mute.svg")
