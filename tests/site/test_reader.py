"""What a reader does: from the disk, by keyboard, without JavaScript, without motion."""

import pytest

pytestmark = pytest.mark.timeout(1800)


@pytest.mark.parametrize("file", [False, True], ids=["served", "file"])
def test_search_finds_a_word(visit, sample, file):
    seen = visit(sample, "index.html", file=file)
    assert file or not [name for name in seen.asked if "search" in name.removeprefix("assets/late-search.js")]
    seen.page.keyboard.press("/")
    seen.page.keyboard.type("whisper", delay=20)
    seen.page.wait_for_selector(".md-search-result__item a:has-text('gradient')")
    assert not seen.complaints


def test_the_real_site_works_from_the_disk(visit, site):
    seen = visit(site, "index.html", file=True)
    links = seen.page.eval_on_selector_all("nav.md-nav a[href]", "links => links.map(link => link.href)")
    assert links
    for link in {link.partition("#")[0] for link in links}:
        seen.page.goto(link)
        assert seen.page.locator("h1").count() == 1, link
    assert not seen.complaints
    assert not seen.elsewhere


@pytest.mark.parametrize("file", [False, True], ids=["served", "file"])
def test_a_slider_moves_by_keyboard_and_keeps_its_place(visit, sample, file):
    page = visit(sample, "page.html", file=file).page
    page.focus("#radius input")
    before = page.eval_on_selector_all("#radius .rv-curve", "curves => curves.map(curve => curve.getAttribute('d'))")
    page.keyboard.press("ArrowRight")
    assert page.text_content("#radius output") == "0.9"
    assert page.text_content("#radius [aria-live=polite]") == "At 0.9 a third is left."
    after = page.eval_on_selector_all("#radius .rv-curve", "curves => curves.map(curve => curve.getAttribute('d'))")
    assert [old == new for old, new in zip(before, after, strict=True)] == [True, True, False, True]  # legend, chart
    assert page.url.endswith("#radius=0.9")
    page.reload()
    assert page.text_content("#radius output") == "0.9"


def test_without_javascript_everything_can_be_read(visit, sample):
    page = visit(sample, "page.html", java_script_enabled=False).page
    assert page.is_visible("text=At 0.9 a third is left after ten steps")
    assert page.is_visible("math")
    assert page.is_visible("figure svg")


def test_light_and_dark_by_keyboard(visit, sample):
    page = visit(sample, "index.html", color_scheme="light").page
    scheme = "document.body.dataset.mdColorScheme"
    assert page.evaluate(scheme) == "default"
    for _ in range(12):  # the switch comes within a few stops of the top of the page
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.name") == "__palette":
            break
    for _ in range(3):
        page.keyboard.press("ArrowRight")
        if page.evaluate(scheme) == "slate":
            break
    assert page.evaluate(scheme) == "slate"
    page.reload()
    assert page.evaluate(scheme) == "slate"


def test_nothing_moves_for_those_who_ask_for_it(visit, sample):
    page = visit(sample, "page.html", reduced_motion="reduce").page
    moving = "[...document.querySelectorAll('*')].filter(e => parseFloat(getComputedStyle(e).transitionDuration) > 0)"
    assert page.evaluate(f"{moving}.length") == 0
