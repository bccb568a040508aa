"""What each live figure of the pages does: by keyboard, by link, in Python, on paper; and what is read in its place."""

import re
from pathlib import Path
from typing import NamedTuple

import pytest
from figure_page import PLACES, PRINTED, SAYS, settle

DOCS = Path(__file__).resolve().parents[3] / "docs"


class Figure(NamedTuple):
    """How a figure is tried."""

    control: str
    key: str  # moves the control
    #: What the same in Python is run for besides the first picture; and its numbers, where they are not those of the sentence.
    settings: list[dict] | None = None
    numbers: str = ""
    attributes: str = ""
    still: str = ""  # what stays as it is until the figure is started


FIGURES = {
    "note": Figure("at", "ArrowRight", [{"what": "nothing", "at": 3}, {"what": "word", "at": 7}]),
    "hill": Figure("rate", "ArrowRight", [{"rate": 1.6}]),
    "film": Figure("at", "ArrowLeft", [{"at": 14, "cut": 6}, {"at": 3, "cut": 6}]),
    "pot": Figure("keeps", "ArrowLeft", [{"keeps": 1.1}]),
    "copier": Figure("copies", "ArrowRight", [{"gain": 1.5, "copies": 50, "kind": "tanh"}]),
    "strip": Figure("units", "ArrowLeft", [{"units": 8, "length": 25, "cell": "GRU", "start": "keras"}]),
    "ways": Figure("bias", "ArrowRight", [{"way": way} for way in ("start", "shortcut", "back")]),
    "twins": Figure(
        "weights",
        "ArrowRight",
        [{"weights": 4, "nudge": 0.01}, {"weights": 2, "nudge": 0.5}],
        "[it.result.left, it.result.gradient]",
    ),
    "witnesses": Figure("rate", "ArrowRight", still="words, picture"),
    "tower": Figure(
        "floors",
        "ArrowRight",
        [{"kind": "sigmoid"}, {"kind": "centred", "size": 4, "floors": 9}],
        "[Math.round(100 * it.each), it.left[0]]",
    ),
    "leash": Figure(
        "length", "ArrowLeft", [{"kind": "value", "way": 200}, {"length": 0.3}], "[it.state.length, it.kept, it.turned]"
    ),
    "parts": Figure(
        "features",
        "ArrowLeft",
        [{"part": "relu", "start": "identity"}, {"part": "prelu", "start": "he"}],
        "[100, it.result.gain[100]]",
    ),
    "shortcut": Figure("leap", "ArrowRight", [{"lifts": "yes"}, {"leap": 10, "part": 0.5}], "[100, it.left[0][100]]"),
    "howl": Figure("gain", "ArrowLeft"),
    "gate": Figure(
        "gate",
        "ArrowRight",
        [{"gate": 0.7}],
        "it.results.flatMap(({ halfLife, gain }) => [halfLife, gain.at(-1)])",
        'cells="GRU"',
    ),
    "volume": Figure("scale", "ArrowRight", [{"scale": 1.2}], "[it.gain.at(-1)]", still="words, picture"),
    "switch": Figure("hold", "ArrowLeft", [{"hold": 1.5, "set": "down"}], "[it.kept, 10, -it.lost.at(-1)]"),
    "beam": Figure(
        "page",
        "ArrowRight",
        [{"page": 5, "length": 20}],
        "[it.state.length - it.page].flatMap((lag) => [it.row[lag], it.wall[lag]])",
    ),
    "plateau": Figure("stride", "ArrowLeft", [], "[it.walk.losses.length - 1]", 'rule="same"', still="words, picture"),
    "push": Figure("lag", "ArrowLeft", [{"lag": 10}], "it.runs.flatMap(({ first }) => [first.size, first.degrees])"),
    "race": Figure("lag", "ArrowLeft", [{"lag": 10}], "it.runs.map(({ reach }) => reach)", 'kind="start"', "picture"),
}

#: Where they stand: page, name, id, attributes.
PLACED = [
    (path.relative_to(DOCS).as_posix(), *found)
    for path in sorted(DOCS.rglob("*"))
    if path.suffix in {".md", ".py"}
    for found in re.findall(
        r"<rv-(?!table|slider)([a-z]+) id=\"(\w+)\" ?(.*?)(?: ?markdown)?>", path.read_text(encoding="utf-8")
    )
]
#: Figures that draw what a page has stored, or open a report: they have tests of their own, as has the playground.
ELSEWHERE = {"fading", "real", "beyond", "field", "report", "playground"}
#: Words of the picture that run over its side, or into each other.
OVER = """() => [...it.querySelectorAll("svg")].flatMap(drawing => {
  const all = drawing.getBoundingClientRect();
  const texts = [...drawing.querySelectorAll("text")].map(text => [text.textContent, text.getBoundingClientRect()]);
  const wide = texts.filter(([, own]) => own.right > all.right + 1 || own.left < all.left - 1).map(([words]) => words);
  const across = (a, b) => Math.min(a.right, b.right) - Math.max(a.left, b.left) > 2 && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 4;
  return wide.concat(texts.flatMap(([words, own], k) => texts.slice(k + 1).filter(([, other]) => across(own, other)).map(([others]) => `${words} | ${others}`)));
})"""
PICTURE = "it.querySelector('.rv-picture').innerHTML"


def test_each_figure_is_tried_here_or_elsewhere():
    assert FIGURES.keys() | ELSEWHERE == {name for _, name, _, _ in PLACED}


@pytest.mark.parametrize("name", FIGURES)
def test_by_keyboard_alone_on_a_phone_and_a_desk_nothing_moves_and_paper_has_no_controls(figure, name):
    asked = FIGURES[name]
    seen = figure(name, asked.attributes, viewport={"width": 390, "height": 844}, reduced_motion="reduce")
    page = seen.page

    def tab_to(reached):
        for _ in range(20):
            page.keyboard.press("Tab")
            if page.evaluate(reached):
                return
        pytest.fail(f"no Tab leads there: {reached}")

    if page.query_selector(".rv-cover"):
        tab_to("document.activeElement.textContent === 'Just show me'")
        page.keyboard.press("Enter")
    for width in (390, 1280):
        page.set_viewport_size({"width": width, "height": 844})
        tab_to(f"document.activeElement.id === 'it-{asked.control}'")
        before, said, picture = page.evaluate(PLACES), page.evaluate(SAYS), page.evaluate(PICTURE)
        for _ in range(3):
            page.keyboard.press(asked.key)
            settle(page, name)
            assert page.evaluate(PLACES) == before
        assert "words" in asked.still or page.evaluate(SAYS) != said
        assert "picture" in asked.still or page.evaluate(PICTURE) != picture
        page.evaluate("it.reset()")
        settle(page, name)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert not page.evaluate(OVER)
    page.set_viewport_size({"width": 320, "height": 844})
    settle(page, name)
    assert not page.evaluate(OVER)
    page.emulate_media(media="print")
    page.evaluate(PRINTED)
    assert not page.locator("#it input:visible").count()
    assert page.locator("#it .rv-picture").is_visible()
    assert not seen.complaints


@pytest.mark.parametrize("name", [name for name, tried in FIGURES.items() if tried.settings is not None])
def test_the_same_in_python_prints_the_numbers_of_the_figure(figure, printed, name):
    page, tried = figure(name, FIGURES[name].attributes).page, FIGURES[name]
    for setting in [{}, *tried.settings]:
        page.evaluate("setting => it.set(setting)", setting)
        settle(page, name)
        if name == "race":
            page.evaluate("it.start()")
            page.wait_for_function("it.over", timeout=60_000)
        said = printed(page.evaluate("it.python()"))
        if tried.numbers:
            found = re.findall(r"-?\d+(?:\.\d+)?(?:e[+-]?\d+)?", said)
            shown = page.evaluate(tried.numbers)
            assert found == [alike(digits, number) for digits, number in zip(found, shown, strict=True)], setting
        else:
            assert numbers(said)
            assert numbers(said) <= numbers(page.evaluate(SAYS)), setting


def alike(digits, number):
    """A number, written with as many digits as this."""
    decimals = len(re.sub(r"e.*", "", digits).partition(".")[2])
    return f"{number:.{decimals}e}" if "e" in digits else f"{number:.{decimals}f}"


def numbers(text):
    """The sizes of those numbers of a sentence that are not whole; and whether nothing arrives."""
    found = {abs(float(each)) for each in re.findall(r"\d+\.\d+(?:e[+-]?\d+)?", text)}
    return found | ({0.0} if text.strip() == "0" or "nothing arrives" in text else set())


@pytest.mark.parametrize(("where", "name", "own", "attributes"), [each for each in PLACED if each[1] not in ELSEWHERE])
def test_links_of_the_page_set_the_figure(figure, where, name, own, attributes):
    text = re.sub(r"\n# ?", " ", (DOCS / where).read_text(encoding="utf-8"))
    links = re.findall(rf"\(#({own}\.[^)]*)\)", text)
    assert links
    page = figure(name, attributes).page
    for link in links:
        page.evaluate("link => { location.hash = link }", link.replace(f"{own}.", "it."))
        settle(page, name)
        state = page.evaluate("it.state")
        for each in link.split("&"):
            key, _, value = each.removeprefix(f"{own}.").partition("=")
            assert state[key] == (float(value) if re.match(r"\d", value) else value), link


@pytest.mark.parametrize(("where", "name", "own"), [each[:3] for each in PLACED if each[1] in ELSEWHERE - {"report"}])
def test_links_of_the_page_set_what_the_page_has_stored(visit, site, where, name, own):
    page = visit(site, str(Path(where).with_suffix(".html")), reduced_motion="reduce").page
    links = page.locator(f"a[href^='#{own}.']")
    assert links.count()
    for link in links.all():
        page.evaluate("own => { window.it = document.getElementById(own) }", own)
        link.click()
        settle(page, name)
        state = page.evaluate("it.state")
        for key, value in re.findall(rf"{own}\.(\w+)=([^&]+)", link.get_attribute("href")):
            assert str(state[key]) == value


@pytest.mark.parametrize(("where", "name", "own", "attributes"), PLACED)
def test_what_is_read_without_a_script(site, where, name, own, attributes):
    page = (site / where).with_suffix(".html").read_text(encoding="utf-8")
    inside = re.search(rf"<rv-{name} [^>]*id=\"{own}\".*?>(.*?)</rv-{name}>", page, re.DOTALL)[1]
    words = re.sub(r"<(svg|template|script)\b.*?</\1>|<[^>]*>", "", inside, flags=re.DOTALL).strip()
    assert len(words) > 60  # a sentence
    assert name not in {"hill", "film"} or "<svg" in inside
