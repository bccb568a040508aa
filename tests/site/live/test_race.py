"""The race and the figures beside it on sections 7 to 9, 13 and 17 to 19: what each does of its own."""

import pytest
from figure_page import READY


def skip(page):
    if page.query_selector(".rv-cover"):
        page.click("text=Just show me")


def test_a_race_stops_when_it_is_learnt_and_says_who_won(figure):
    page = figure("race", 'kind="start" lag="10"', viewport={"width": 390, "height": 844}).page
    skip(page)
    page.keyboard.press("Enter")  # the button that starts it has the focus
    page.wait_for_function("it.over", timeout=60_000)
    page.wait_for_function("it.said.textContent.includes('learn')")
    solved = page.evaluate("it.runs.map(({ solved }) => solved)")
    said = page.text_content(".rv-says")
    assert all(str(steps) in said for steps in solved), said
    assert "orthogonal one learns it first" in said
    assert page.locator(".rv-strip", has_text="learnt, stopped").count() == 2
    assert page.inner_text(".md-button") == "Again, with other weights"


@pytest.mark.parametrize(("name", "press"), [("switch", "Shake it"), ("plateau", "Walk")])
def test_where_nothing_should_move_the_end_is_shown_at_once(figure, name, press):
    page = figure(name, reduced_motion="reduce").page
    skip(page)
    page.wait_for_function("!it.waiting")
    page.evaluate("count = 0, old = it.draw.bind(it), it.draw = () => { count++; old(); }")
    page.click(f"text={press}")
    page.wait_for_function("!it.waiting")
    page.wait_for_timeout(100)
    assert page.evaluate("count") <= 3  # an animation would draw in every frame
    assert page.evaluate("it.shown") in (1000, page.evaluate("(it.walk?.losses.length ?? 0) - 1"))


def test_a_walk_by_the_slope_stays_and_one_in_equal_steps_gets_out(figure):
    page = figure("plateau").page
    skip(page)
    for rule, said in (("steep", "Still there."), ("same", "Out after 26 steps.")):
        page.evaluate("rule => it.set({ rule })", rule)
        page.wait_for_function("!it.waiting")
        page.wait_for_function(f"it.walk && it.said.textContent.startsWith('{said}')", timeout=60_000)


def test_the_switch_is_flipped_by_hand(figure):
    page = figure("switch").page
    skip(page)
    page.click(".rv-lever rect >> nth=2")
    page.wait_for_function("it.state.set === 'down' && it.path.at(-1) < 0")
    assert page.is_checked("input[value=down]")


def test_without_javascript_the_page_is_read(figure):
    assert "Read without a script." in figure("gate", 'cells="LSTM"', java_script_enabled=False).page.inner_text("main")


def test_figures_that_share_what_they_compute_with_both_get_it(page_with):
    content = '<rv-gate id="it" cells="GRU"></rv-gate><rv-race id="race" kind="attention"></rv-race><rv-beam id="beam"></rv-beam>'
    seen = page_with(content, ["figures/gate", "figures/race", "figures/beam"])
    seen.page.wait_for_function("it.results && race.runs.length && beam.row", timeout=60_000)
    assert not seen.complaints


def test_a_figure_that_nobody_came_near_prints_what_is_read_without_a_script(page_with):
    far = '<div style="height: 3000px"></div><rv-gate id="it" cells="LSTM"><p>Read without a script.</p></rv-gate>'
    page = page_with(far, ["figures/gate"]).page
    assert not page.query_selector("rv-gate p:text('Read without a script.')")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.is_visible("text=Read without a script.")
    assert not page.is_visible(".rv-picture")
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert not page.query_selector("text=Read without a script.")
    assert page.is_visible(".rv-picture")
    page.evaluate("it.scrollIntoView()")
    page.wait_for_function(READY["gate"], timeout=60_000)
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.is_visible(".rv-picture")
    assert not page.query_selector("text=Read without a script.")
