"""Figures to save: as they look, and the numbers that they draw; and a page on paper."""

import re
import runpy
from pathlib import Path
from xml.etree import ElementTree

import pytest

pytestmark = pytest.mark.timeout(1800)
ROOT = Path(__file__).resolve().parents[2]
FIGURES = {"figure.rv-out:has(> svg)": "as it was measured", "rv-slider#radius": "to drag"}


def saved(page, figure, words):
    page.wait_for_selector(f"{figure} .rv-save")
    page.eval_on_selector(f"{figure} .rv-save", "fold => (fold.open = true)")
    with page.expect_download() as begun:
        page.click(f"{figure} .rv-save button:has-text('{words}')")
    return begun.value.suggested_filename, Path(begun.value.path()).read_bytes()


@pytest.mark.parametrize("figure", FIGURES, ids=FIGURES.values())
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_figure_is_saved_as_it_looks_and_needs_nothing_of_the_page(visit, sample, figure, scheme):
    seen = visit(sample, "page.html", color_scheme=scheme)
    name, svg = saved(seen.page, figure, "SVG")
    root = ElementTree.fromstring(svg)
    assert re.fullmatch(r"page-\d\.svg", name)
    assert not re.search(rb"var\(|currentcolor|class=", svg, re.IGNORECASE)
    ground = root.find("{http://www.w3.org/2000/svg}rect").get("fill")
    assert ground == {"light": "rgb(255, 255, 255)", "dark": "rgb(20, 27, 35)"}[scheme]
    name, png = saved(seen.page, figure, "PNG")
    assert name.endswith(".png")
    assert png.startswith(b"\x89PNG")
    assert len(png) > 5000
    assert not seen.complaints


def test_the_numbers_of_a_figure_are_those_that_it_draws(visit, sample):
    page = visit(sample, "page.html").page
    _, text = saved(page, "figure.rv-out:has(> svg)", "numbers")
    rows = text.decode().splitlines()
    assert rows[:3] == ["series,x,y", "left,0,1", "left,1,0.9"]
    assert len(rows) == 12
    _, text = saved(page, "rv-slider#radius", "numbers")
    rows = text.decode().splitlines()
    assert rows[:3] == ["Radius,series,steps * back,what_is_left", "0.8,here,0,1", "0.8,here,5,0.3"]
    assert len(rows) == 1 + 2 * 2 * 3


def test_lines_marks_and_bars_have_numbers():
    from matplotlib.figure import Figure

    numbers = runpy.run_path(str(ROOT / "tools/site/kernel/figure_numbers.py"))["numbers"]
    figure = Figure()
    axes = figure.subplots()
    axes.set(xlabel="steps", ylabel="left, in all")
    axes.plot([0, 1], [2, 3], label="a")
    axes.scatter([4], [5], label="dots")
    axes.hlines([6], 7, 8)
    axes.bar(["one", "two"], [9, 10], label="bars")
    axes.barh([0.5], [11], label="across")
    assert numbers(figure).splitlines() == [
        'series,steps,"left, in all"',
        *("a,0,2", "a,1,3", "dots,4,5", "marks 2,7,6", "marks 2,8,6", "bars,0,9", "bars,1,10", "across,11,0.5"),
    ]


def test_what_is_printed_from_a_dark_page_is_dark_on_white(visit, sample):
    page = visit(sample, "page.html", color_scheme="dark").page
    assert page.evaluate("document.body.dataset.mdColorScheme") == "slate"
    page.emulate_media(media="print", color_scheme="dark")
    page.wait_for_timeout(300)
    looks = """selector => { const style = getComputedStyle(document.querySelector(selector)); return style.color; }"""
    for selector in (".md-typeset p", ".rv-holds .rv-word", "h1", ".md-typeset table"):
        red, green, blue = map(int, re.findall(r"\d+", page.evaluate(looks, selector))[:3])
        assert red + green + blue < 330, f"{selector} is too pale for paper"
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") in {
        "rgb(255, 255, 255)",
        "rgba(0, 0, 0, 0)",
    }


def test_a_touch_explains_a_word_and_leaves_the_page_only_then(visit, site):
    page = visit(
        site, "problem/structure.html", viewport={"width": 390, "height": 844}, is_mobile=True, has_touch=True
    ).page
    word = page.locator("a.rv-term").first
    word.scroll_into_view_if_needed()
    word.tap()
    note = page.locator(".rv-explained")
    assert note.inner_text().strip().startswith(word.get_attribute("data-said")[:20])
    assert page.url.endswith("structure.html")
    note.locator("a").tap()
    page.wait_for_url("**/glossary.html#*")


@pytest.mark.parametrize("name", ["pack_padded_sequence", "IRNN", "OpenGate"])
def test_search_finds_a_name_wherever_it_stands(visit, site, name):
    page = visit(site, "index.html").page
    page.keyboard.press("/")
    page.keyboard.type(name, delay=5)
    page.wait_for_selector(".md-search-result__item mark")
    assert page.locator(f".md-search-result__item:has-text('{name.split('_')[0]}')").count()


@pytest.mark.parametrize("address", ["benchmarks/speed.html", "benchmarks/trends.html", "diagnose.html"])
def test_tables_fit_a_screen_of_1280_pixels(visit, site, address):
    page = visit(site, address, viewport={"width": 1280, "height": 900}).page
    page.evaluate("document.querySelectorAll('details').forEach(fold => fold.open = true)")
    wide = page.evaluate(
        """[...document.querySelectorAll('article .md-typeset__scrollwrap')].filter(box => box.scrollWidth > box.clientWidth + 1)
        .map(box => box.textContent.trim().slice(0, 60))"""
    )
    assert not wide
