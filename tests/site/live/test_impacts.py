"""The figures of sections 10, 11, 12, 14, 15 and 16 and of exploding gradients: by keyboard, by hand, by link, in Python."""

import re
from pathlib import Path

import pytest
from figure_page import FRAMES, PLACES, SAYS

DOCS = Path(__file__).resolve().parents[3] / "docs"
PAGES = {
    "twins": "impacts/instability.py",
    "witnesses": "impacts/recent.py",
    "tower": "impacts/depth.py",
    "leash": "techniques/clipping.py",
    "parts": "techniques/activations.py",
    "shortcut": "techniques/skips.py",
    "howl": "beyond/exploding.py",
}
#: A control of each figure that a key moves, and the key.
KEYS = {
    "twins": ("weights", "ArrowRight"),
    "witnesses": ("rate", "ArrowRight"),
    "tower": ("floors", "ArrowRight"),
    "leash": ("length", "ArrowLeft"),
    "parts": ("features", "ArrowLeft"),
    "shortcut": ("leap", "ArrowRight"),
    "howl": ("gain", "ArrowLeft"),
}
#: What the same in Python is run for, besides the first picture; and what its numbers are in the figure.
SAME = {
    "twins": ([{"weights": 4, "nudge": 0.01}, {"weights": 2, "nudge": 0.5}], "[it.result.left, it.result.gradient]"),
    "tower": (
        [{"kind": "sigmoid"}, {"kind": "centred", "size": 4, "floors": 9}],
        "[Math.round(100 * it.each), it.left[0]]",
    ),
    "leash": ([{"kind": "value", "way": 200}, {"length": 0.3}], "[it.state.length, it.kept, it.turned]"),
    "parts": ([{"part": "relu", "start": "identity"}, {"part": "prelu", "start": "he"}], "[100, it.result.gain[100]]"),
    "shortcut": ([{"lifts": "yes"}, {"leap": 10, "part": 0.5}], "[100, it.left[0][100]]"),
}


@pytest.fixture
def figure(page_with):
    """Open a page with one of the figures."""

    def start(name, **context):
        seen = page_with(f'<rv-{name} id="{name}"></rv-{name}>', [f"figures/{name}"], **context)
        seen.page.evaluate(FRAMES)
        return seen

    return start


def set_to(page, name, setting):
    page.evaluate("([name, setting]) => document.querySelector(`rv-${name}`).set(setting)", [name, setting])
    page.evaluate(FRAMES)


@pytest.mark.parametrize("name", PAGES)
def test_by_keyboard_alone_on_a_phone_and_a_desk_nothing_moves(figure, name):
    seen = figure(name, viewport={"width": 390, "height": 844}, reduced_motion="reduce")
    page, (control, key) = seen.page, KEYS[name]
    for width in (390, 1280):
        page.set_viewport_size({"width": width, "height": 844})
        for _ in range(20):
            page.keyboard.press("Tab")
            if page.evaluate("document.activeElement.id") == f"{name}-{control}":
                break
        else:
            pytest.fail(f"no Tab leads to {control}")
        before, said, picture = page.evaluate(PLACES, name), page.evaluate(SAYS, name), drawn(page, name)
        for _ in range(3):
            page.keyboard.press(key)
            page.evaluate(FRAMES)
            assert page.evaluate(PLACES, name) == before
        # before it is trained, the judge says nothing of how it will be
        assert name == "witnesses" or page.evaluate(SAYS, name) != said
        assert name == "witnesses" or drawn(page, name) != picture
        page.evaluate("name => document.querySelector(`rv-${name}`).reset()", name)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.emulate_media(media="print")
    assert not page.locator(f"rv-{name} input:visible").count()
    assert page.locator(f"rv-{name} .rv-picture").is_visible()
    assert not seen.complaints


def drawn(page, name):
    return page.evaluate("name => document.querySelector(`rv-${name} svg`).innerHTML", name)


@pytest.mark.parametrize("name", SAME)
def test_the_same_in_python_prints_the_numbers_of_the_figure(figure, printed, name):
    page, (settings, numbers) = figure(name).page, SAME[name]
    for setting in [{}, *settings]:
        set_to(page, name, setting)
        same = printed(page.evaluate("name => document.querySelector(`rv-${name}`).python()", name))
        shown = page.evaluate(f"(it => {numbers})(document.querySelector('rv-{name}'))")
        found = re.findall(r"\d+(?:\.\d+)?(?:e[+-]?\d+)?", same)
        assert len(found) == len(shown)
        for digits, number in zip(found, shown, strict=True):
            decimals = len(re.sub(r"e.*", "", digits).partition(".")[2])
            assert digits == (f"{number:.{decimals}e}" if "e" in digits else f"{number:.{decimals}f}"), setting


def train(page, name):
    page.locator(f"rv-{name} .md-button--primary").press("Enter")
    page.wait_for_function(f"document.querySelector('rv-{name}').over", timeout=60_000)
    page.evaluate(FRAMES)


def test_at_a_larger_rate_the_judge_changes_his_mind(figure, printed):
    page = figure("witnesses").page
    set_to(page, "witnesses", {"width": 16, "rate": 0.03})
    assert "learnt nothing" in page.evaluate(SAYS, "witnesses")
    train(page, "witnesses")
    assert "changed his mind" in page.evaluate(SAYS, "witnesses")
    same = printed(page.evaluate("document.querySelector('rv-witnesses').python()"))
    parts = page.evaluate("document.querySelector('rv-witnesses').training.swayed.at(-1).parts")
    assert same == "\n".join(f"{part:.0%} change" for part in parts)
    judged = "document.querySelector('rv-witnesses').training.judge([{}, {}])"
    assert [page.evaluate(judged.format(first, last)) for first in ("true", "false") for last in ("true", "false")] == [
        True,
        True,
        False,
        False,
    ]


def test_a_witness_may_say_something_else_while_the_judge_learns(figure):
    page = figure("witnesses").page
    page.locator("rv-witnesses .md-button--primary").click()
    page.wait_for_function("document.querySelector('rv-witnesses').training.steps > 3")
    frame = "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
    last, more = page.evaluate(f"""async () => {{
        const it = document.querySelector("rv-witnesses"), {{ training }} = it, before = training.steps;
        it.querySelector("[data-witness=last]").dispatchEvent(new MouseEvent("click", {{ bubbles: true }}));
        for (let k = 0; k < 60 && training.steps === before; k++) await {frame};
        return [it.state.last, it.training === training && training.steps > before];
    }}""")
    assert (last, more) == ("yes", True)


def test_the_loss_becomes_no_number_and_clipped_it_goes_on(figure, printed):
    page = figure("howl").page
    train(page, "howl")
    said = page.evaluate(SAYS, "howl")
    free, clipped = (
        re.search(pattern, said)[1]
        for pattern in (r"any more at step (\d+)", r"after 100 steps its loss is ([\d.]+)\.")
    )
    same = printed(page.evaluate("document.querySelector('rv-howl').python()"))
    assert same == f"not clipped: loss nan at step {free}\nclipped: loss {clipped} at step 100"


def test_what_is_drawn_can_be_dragged(figure):
    drags = {
        "twins": ("[12, it.y(it.result.steps[0].answers[1])]", "[12, it.y(0.9)]", "it.state.nudge > 1.2"),
        "tower": ("[9, it.ground - 180]", "[9, it.ground - 90]", "it.state.floors === 10"),
        "leash": (
            "[it.middle[0] + 5, it.middle[1]]",
            "[it.middle[0], it.middle[1] - it.scale]",
            "it.state.way === 90 && it.state.length === 1",
        ),
        "shortcut": ("[it.width - 10, 136]", "[it.width - 10 - 7 * it.gap, 130]", "it.state.leap === 7"),
    }
    for name, (start, end, reached) in drags.items():
        page = figure(name).page
        left, top, *_ = page.locator(f"rv-{name} svg").bounding_box().values()
        places = [page.evaluate(f"(it => {place})(document.querySelector('rv-{name}'))") for place in (start, end)]
        for (x, y), press in zip(places, (page.mouse.down, page.mouse.up), strict=True):
            page.mouse.move(left + x, top + y, steps=3)
            press()
        page.evaluate(FRAMES)
        assert page.evaluate(f"(it => {reached})(document.querySelector('rv-{name}'))"), name
    page.mouse.move(left + places[0][0], top + 136)
    page.mouse.down()
    page.mouse.move(left + places[0][0], top + 40, steps=3)
    page.mouse.up()
    assert page.evaluate("document.querySelector('rv-shortcut').state.lifts") == "yes"


@pytest.mark.parametrize("name", PAGES)
def test_links_of_the_page_set_the_figure(figure, name):
    source = re.sub(r"\n# ?", " ", (DOCS / PAGES[name]).read_text(encoding="utf-8"))
    links = re.findall(rf"\(#({name}\.[^)]*)\)", source)
    assert links
    page = figure(name).page
    for link in links:
        page.evaluate("link => { location.hash = link }", link)
        page.evaluate(FRAMES)
        state = page.evaluate("name => document.querySelector(`rv-${name}`).state", name)
        for each in link.split("&"):
            key, _, value = each.removeprefix(f"{name}.").partition("=")
            assert state[key] == (float(value) if re.match(r"\d", value) else value), link


@pytest.mark.parametrize("name", PAGES)
def test_what_is_read_without_a_script(site, name):
    page = (site / PAGES[name]).with_suffix(".html").read_text(encoding="utf-8")
    inside = re.search(rf"<rv-{name} .*?>(.*?)</rv-{name}>", page, re.DOTALL)[1]
    inside = re.sub(r"<(svg|template|script)\b.*?</\1>|<[^>]*>", "", inside, flags=re.DOTALL)
    assert len(inside.strip()) > 60  # a sentence
