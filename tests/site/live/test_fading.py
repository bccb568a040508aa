"""The sentence on the home page: what it says is what torch measures, and everybody can read it."""

import re
from pathlib import Path

import pytest

SENTENCE = '<rv-fading id="fading"><p class="rv-words">The <b>keys</b> to the old cabinet in the hall <em>are</em></p></rv-fading>'


def word(page, number):
    return float(page.eval_on_selector(f".rv-words > :nth-child({number})", "e => getComputedStyle(e).opacity"))


@pytest.fixture
def page(page_with):
    return page_with(SENTENCE, ["figures/fading"], reduced_motion="reduce", viewport={"width": 320, "height": 700}).page


def test_words_fade_backwards_and_come_back_as_the_gate_opens(page):
    faded = [word(page, number) for number in range(1, 10)]
    assert faded[0] < 0.7 < faded[4] < faded[-1] == 1
    page.focus("#fading-gate")
    page.keyboard.press("End")
    page.wait_for_function("document.querySelector('.rv-says b').textContent === 'It remembers.'")
    assert word(page, 1) > faded[0] + 0.2
    assert page.evaluate("document.documentElement.scrollWidth") <= 320


@pytest.mark.parametrize("gate", [0.5, 0.27, 0.9])
def test_torch_says_the_same_number(page, printed, gate):
    page.evaluate(f"document.getElementById('fading').set({{gate: {gate}}})")
    page.click(".rv-more summary")
    page.wait_for_function(f"document.querySelector('#fading output').textContent === '{100 * gate:.0f} %'")
    shown = re.search(r"\((.*)\)", page.locator(".rv-rows tr").nth(2).inner_text())[1]
    assert float(printed(page.text_content("#fading pre"))) == float(shown)


def test_what_is_faint_is_read_out_in_full(page):
    assert page.get_attribute(".rv-words", "aria-hidden") == "true"
    assert page.text_content(".rv-spoken") == "The keys to the old cabinet in the hall are"


def test_a_sentence_of_ones_own_is_text_and_short_ones_are_left_alone(page):
    page.fill("#fading-own", "<b>who</b> came to the door was")
    page.wait_for_function("document.querySelector('.rv-words').textContent === '<b>who</b> came to the door was'")
    assert "Only “<b>who</b>” says" in page.text_content(".rv-says")
    page.fill("#fading-own", "two words")
    page.wait_for_function("document.querySelector('.rv-words').textContent.startsWith('The keys')")


def test_strong_contrast_leaves_no_word_pale(page):
    page.emulate_media(contrast="more")
    assert word(page, 1) == 1


def test_the_home_page_says_without_a_script_what_its_figure_computes(page_with):
    home = (Path(__file__).resolve().parents[3] / "docs/index.md").read_text(encoding="utf-8")
    page = page_with(re.search(r"<rv-fading.*?</rv-fading>", home, re.DOTALL)[0], ["figures/fading"]).page
    share = page.evaluate("(figure => figure.shares[figure.at])(document.getElementById('fading'))")
    said = re.search(r"1 in (\d+) thousand or so gets back to “keys”", home)
    assert 0.8 < share * 1000 * int(said[1]) < 1.25
