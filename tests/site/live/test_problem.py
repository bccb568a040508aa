"""The figures of sections 1 to 6 and of the ten minutes: by keyboard, by hand, by link, in Python, and what stands in their place."""

import re
from pathlib import Path

import pytest
import torch
from figure_page import FRAMES, PLACES, SAYS

DOCS = Path(__file__).resolve().parents[3] / "docs"
PAGES = {
    "note": "problem/structure.py",
    "hill": "problem/gradients.py",
    "film": "problem/bptt.py",
    "pot": "problem/emerges.py",
    "copier": "problem/multiplication.py",
    "strip": "problem/vanishing.py",
    "ways": "ten-minutes.md",
}
#: A control of each figure that a key moves, and the key.
KEYS = {
    "note": ("at", "ArrowRight"),
    "hill": ("rate", "ArrowRight"),
    "film": ("at", "ArrowLeft"),
    "pot": ("keeps", "ArrowLeft"),
    "copier": ("copies", "ArrowRight"),
    "strip": ("units", "ArrowLeft"),
    "ways": ("bias", "ArrowRight"),
}
#: What the same in Python is run for, besides the first picture of the figure.
SETTINGS = {
    "note": [{"what": "nothing", "at": 3}, {"what": "word", "at": 7}],
    "hill": [{"rate": 1.6}],
    "film": [{"at": 14, "cut": 6}, {"at": 3, "cut": 6}],
    "pot": [{"keeps": 1.1}],
    "copier": [{"gain": 1.5, "copies": 50, "kind": "tanh"}],
    "strip": [{"units": 8, "length": 25, "cell": "GRU", "start": "keras"}],
    "ways": [{"way": way} for way in ("start", "shortcut", "back")],
}


#: Words of the picture that run over its side.
OVER = """name => [...document.querySelectorAll(`rv-${name} svg text`)].filter(text => {
  const [own, all] = [text, text.ownerSVGElement].map(each => each.getBoundingClientRect());
  return own.right > all.right + 1 || own.left < all.left - 1;
}).map(text => text.textContent)"""


@pytest.fixture
def figure(page_with):
    """Open a page with one of the figures; `strip` computes for a moment."""

    def start(name, **context):
        seen = page_with(
            f'<rv-{name} id="{name}"><p>{"Of it, this is left. " * 8}</p></rv-{name}>', [f"figures/{name}"], **context
        )
        settle(seen.page, name)
        return seen

    return start


def settle(page, name):
    """Wait until the picture is that of the controls."""
    page.evaluate(FRAMES)
    if name == "strip":
        page.wait_for_function(
            "() => { const it = document.querySelector('rv-strip'); return it.strips && Object.entries(it.shown).every(([key, value]) => it.state[key] === value) }"
        )


@pytest.mark.parametrize("name", PAGES)
def test_by_keyboard_alone_on_a_phone_and_a_desk_nothing_moves_and_paper_has_no_controls(figure, name):
    seen = figure(name, viewport={"width": 390, "height": 844})
    page, (control, key) = seen.page, KEYS[name]
    for width in (390, 1280):
        page.set_viewport_size({"width": width, "height": 844})
        for _ in range(20):
            page.keyboard.press("Tab")
            if page.evaluate("document.activeElement.id") == f"{name}-{control}":
                break
        else:
            pytest.fail(f"no Tab leads to {control}")
        before, said = page.evaluate(PLACES, name), page.evaluate(SAYS, name)
        for _ in range(3):
            page.keyboard.press(key)
            settle(page, name)
            assert page.evaluate(PLACES, name) == before
        assert page.evaluate(SAYS, name) != said
        page.evaluate("name => document.querySelector(`rv-${name}`).reset()", name)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert not page.evaluate(OVER, name)
    page.emulate_media(media="print")
    assert not page.locator(f"rv-{name} input:visible").count()
    assert page.locator(f"rv-{name} .rv-picture").is_visible()
    assert not seen.complaints


@pytest.mark.parametrize("name", PAGES)
def test_the_same_in_python_prints_the_numbers_of_the_sentence(figure, printed, name):
    page = figure(name).page
    for setting in [{}, *SETTINGS[name]]:
        page.evaluate("([name, setting]) => document.querySelector(`rv-${name}`).set(setting)", [name, setting])
        settle(page, name)
        code = page.evaluate("name => document.querySelector(`rv-${name}`).python()", name)
        found, sentence = (numbers(text) for text in (printed(code), page.evaluate(SAYS, name)))
        assert found
        assert found <= sentence, setting


def numbers(text):
    """The sizes of those numbers that are not whole; and whether nothing arrives."""
    found = re.findall(r"\d+\.\d+(?:e[+-]?\d+)?", text)
    return {abs(float(each)) for each in found} | (
        {0.0} if re.search(r"^0$|nothing arrives", text.strip()) or "nothing arrives" in text else set()
    )


@pytest.mark.parametrize("name", PAGES)
def test_links_of_the_page_set_the_figure(figure, name):
    source = re.sub(r"\n# ?", " ", (DOCS / PAGES[name]).read_text(encoding="utf-8"))
    links = re.findall(rf"\(#({name}\.[^)]*)\)", source)
    assert links
    page = figure(name).page
    for link in links:
        page.evaluate("link => { location.hash = link }", link)
        settle(page, name)
        state = page.evaluate("name => document.querySelector(`rv-${name}`).state", name)
        for each in link.split("&"):
            key, _, value = each.removeprefix(f"{name}.").partition("=")
            assert str(state[key]) == value, link


def test_the_foot_itself_is_dragged(figure):
    page = figure("hill").page
    left, top, width, _ = page.locator("rv-hill svg").bounding_box().values()
    x, y = page.evaluate("document.querySelector('rv-hill').foot")
    page.mouse.move(left + x, top + y)
    page.mouse.down()
    page.mouse.move(left + width / 2, top + y, steps=3)
    page.mouse.up()
    settle(page, "hill")
    assert page.evaluate("document.querySelector('rv-hill').state.rate") == pytest.approx(1, abs=0.05)
    page.mouse.click(left + 4, top + 30)  # far from the foot
    settle(page, "hill")
    assert page.evaluate("document.querySelector('rv-hill').state.rate") == pytest.approx(1, abs=0.05)


def test_a_tap_sends_everybody_up_to_there_home(figure):
    page = figure("note").page
    left, top, width, _ = page.locator("rv-note svg").bounding_box().values()
    page.mouse.click(left + 0.25 * width, top + 60)
    settle(page, "note")
    assert page.evaluate("document.querySelector('rv-note').state.at") == 3


def test_the_pot_is_the_sum_of_the_coins_and_is_shared_out(figure):
    page = figure("pot").page
    coins, pot, groups = page.evaluate(
        "(({coins, pot, groups}) => [coins, pot, groups])(document.querySelector('rv-pot'))"
    )
    assert coins == pytest.approx([0.9**lag for lag in range(59, -1, -1)], rel=1e-12)
    assert pot == pytest.approx(sum(coins), rel=1e-12)
    assert sum(groups) == pytest.approx(1)


def test_single_precision_is_zero_where_torch_is(figure):
    page = figure("strip").page
    page.evaluate("document.querySelector('rv-strip').set({units: 16, length: 200})")
    settle(page, "strip")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        layer, states = torch.nn.RNN(1, 16), [torch.zeros(1, 16, 16, requires_grad=True)]
        for word in torch.randn(201, 16, 1):
            states.append(layer(word[None], states[-1])[1])
        sizes = [float(share.abs().max()) for share in torch.autograd.grad(states[-1].sum(), states[1:])]
    zero = sum(size == 0 for size in sizes)
    assert zero > 10
    assert page.evaluate("document.querySelector('rv-strip').strips[0].zero") == pytest.approx(zero, abs=1)


@pytest.mark.parametrize("name", PAGES)
def test_what_is_read_without_a_script(site, name):
    page = (site / PAGES[name]).with_suffix(".html").read_text(encoding="utf-8")
    inside = re.search(rf"<rv-{name} .*?>(.*?)</rv-{name}>", page, re.DOTALL)[1]
    assert len(re.sub(r"<svg.*?</svg>|<[^>]*>", "", inside, flags=re.DOTALL).strip()) > 100
    assert ("<svg" in inside) == (name in {"hill", "film"})
