"""What every live figure does: by keyboard, from its address, by a link, for a screen reader, on paper, without JavaScript."""

import re
from pathlib import Path

import pytest

FIGURE = """
rv.define("test", class extends rv.Figure {
  controls = {
    gate: { label: "Kept", min: 0.1, max: 0.9, step: 0.1, value: 0.5, say: (v) => `${Math.round(100 * v)} %`, marks: { 0.5: "default" } },
    lag: { label: "Steps", values: [10, 20, 50], value: 20, unit: "steps" },
    start: { label: "Start", choices: { torch: "PyTorch's", keras: "Keras'" }, value: "torch" },
    cell: { label: "Cell", choices: { a: "A", b: "B", c: "C", d: "D", e: "E" }, value: "a", enabled: (state) => state.start === "keras" },
    own: { label: "Words", text: 10, value: "", below: true },
    seed: { hidden: true, value: 1 },
  };
  predict = PREDICT;
  build(picture) { picture.append(Object.assign(document.createElement("p"), { textContent: "picture" })); this.drawn = 0; }
  compute() { this.left = this.state.gate ** this.state.lag; }
  draw() { this.drawn++; }
  says() { return this.state.gate > 0.8 ? "Nearly all of it is left. ".repeat(12) : `Of it ${this.left.toExponential(1)} is left.`; }
  rows() { return [["gate", "left, of all"], [this.state.gate, this.left]]; }
  python() { return `print(${this.state.gate} ** ${this.state.lag})`; }
});
"""
PAGE = '<p><a href="#test.gate=0.9">open the gate</a></p><rv-test id="test"><p>Read without a script.</p></rv-test><p id="below">Below</p>'


@pytest.fixture
def figure(page_with):
    def start(page=PAGE, predict="null", **context):
        return page_with(page, ["figure"], code=FIGURE.replace("PREDICT", predict), **context)

    return start


def test_the_keyboard_moves_a_control_and_the_address_keeps_it(figure):
    seen = figure()
    page = seen.page
    page.focus("#test-gate")
    page.keyboard.press("ArrowRight")
    page.wait_for_function("location.hash === '#test.gate=0.6'")
    assert page.text_content("#test output") == "60 %"
    assert page.get_attribute("#test-gate", "aria-valuetext") == "60 %"
    assert page.text_content("#test .rv-says") == "Of it 3.7e-5 is left."
    page.focus("#test-lag")
    page.keyboard.press("ArrowLeft")
    page.check("text=Keras'")
    page.wait_for_function("location.hash === '#test.gate=0.6&test.lag=10&test.start=keras'")
    page.reload()
    assert page.evaluate("document.getElementById('test').state") == {
        "gate": 0.6,
        "lag": 10,
        "start": "keras",
        "cell": "a",
        "own": "",
        "seed": 1,
    }
    assert page.input_value("#test-lag") == "0"
    page.click("text=Reset")
    page.wait_for_function("location.hash === ''")
    assert page.text_content("#test output") == "50 %"
    assert not seen.complaints


def test_a_link_in_the_text_sets_the_figure_also_twice(figure):
    page = figure().page
    for _ in range(2):
        page.click("text=open the gate")
        page.wait_for_function("document.getElementById('test').state.gate === 0.9")
        page.evaluate("document.getElementById('test').set({gate: 0.2})")
        page.wait_for_function("location.hash === '#test.gate=0.2'")
        page.evaluate("history.replaceState(null, '', '#test.gate=0.9')")


def test_a_link_shows_the_same_whatever_was_shown_and_back_and_forward_lead_through_links(figure):
    other = '<rv-slider id="draw" label="Draw"><template>{"values": [1, 2], "x": [0, 1], "xlabel": "x", "ylabel": "y", "series": [{"name": "a", "y": [[1, 2], [2, 1]]}]}</template></rv-slider>'
    page = figure(PAGE + other + '<p><a href="#below">Below</a></p>').page
    page.add_script_tag(url="assets/chart.js")
    page.add_script_tag(url="assets/slider.js")
    state = "(({gate, lag}) => [gate, lag, document.querySelector('#draw-input').value].join())(document.getElementById('test').state)"

    def shows(wanted, address):
        page.wait_for_function(f"{state} === '{wanted}' && location.hash === '{address}'")

    page.focus("#draw-input")
    page.keyboard.press("ArrowRight")
    shows("0.5,20,1", "#draw=2")  # of another figure: it stays
    page.evaluate("document.getElementById('test').set({lag: 50})")
    shows("0.5,50,1", "#draw=2&test.lag=50")
    page.click("text=open the gate")
    shows("0.9,20,1", "#draw=2&test.gate=0.9")
    page.click("a:has-text('Below')")
    shows("0.9,20,1", "#below")
    for _ in range(2):
        page.go_back()
    shows("0.5,50,1", "#draw=2&test.lag=50")
    page.go_forward()
    shows("0.9,20,1", "#draw=2&test.gate=0.9")
    page.goto(page.url.partition("#")[0] + "#")
    shows("0.5,20,0", "")


def test_an_address_that_means_nothing_changes_nothing(figure):
    page = figure().page
    state, start = "JSON.stringify(document.getElementById('test').state)", page.url
    before = page.evaluate(state)
    for wrong in ("test.gate=", "test.gate=x", "test.gate=NaN", "test.start=none", "test.lag=11", "other.gate=0.9"):
        page.goto(f"{start}#{wrong}")
        page.reload()
        assert page.evaluate(state) == before, wrong


def test_the_address_holds_a_number_within_its_bounds_and_what_others_keep(figure):
    page = figure().page
    page.goto(page.url + "#radius=1&test.gate=7&test.own=" + "x" * 30)
    page.reload()
    assert page.evaluate("document.getElementById('test').state.gate") == 0.9
    assert page.evaluate("document.getElementById('test').state.own") == "x" * 10
    page.evaluate("document.getElementById('test').set({gate: 0.5})")
    page.wait_for_function("location.hash === '#radius=1&test.own=xxxxxxxxxx'")


def test_attributes_set_the_controls_of_a_page_and_reset_goes_back_to_them(figure):
    page = figure('<rv-test id="test" gate="0.7" lag="50"></rv-test>').page
    assert page.text_content("#test output") == "70 %"
    page.evaluate("document.getElementById('test').set({lag: 10})")
    page.click("text=Reset")
    page.wait_for_function("document.getElementById('test').state.lag === 50")


def test_no_control_moves_while_the_sentence_grows_and_what_is_below_never_jumps_back(figure):
    page = figure(viewport={"width": 390, "height": 844}).page
    place = "document.querySelector('{}').getBoundingClientRect().top"
    before = page.evaluate(place.format("#test-gate"))
    page.focus("#test-gate")
    page.keyboard.press("End")
    page.wait_for_function("document.querySelector('#test .rv-says').textContent.startsWith('Nearly')")
    grown = page.evaluate(place.format("#below"))
    assert page.evaluate(place.format("#test-gate")) == before
    page.keyboard.press("Home")
    page.wait_for_function("document.querySelector('#test .rv-says').textContent.startsWith('Of it')")
    assert page.evaluate(place.format("#test-gate")) == before
    assert page.evaluate(place.format("#below")) == grown


def test_what_has_no_say_is_greyed_out(figure):
    page = figure().page
    assert page.is_disabled("#test-cell")
    page.check("text=Keras'")
    page.wait_for_function("!document.getElementById('test-cell').disabled")


def test_the_reader_commits_before_the_picture_is_revealed(figure):
    seen = figure(predict='{ask: "What is left?", answers: ["Half", "Nothing"]}')
    page = seen.page
    assert page.is_visible("text=What is left?")
    assert page.evaluate("document.querySelector('#test .rv-controls').inert")
    assert not page.is_visible("#test .rv-says")  # it would give the answer away
    assert not page.is_visible("#test .rv-more")
    assert not seen.axe()
    page.emulate_media(media="print")
    assert page.is_visible("#test .rv-says")  # nobody guesses on paper
    assert page.evaluate("getComputedStyle(document.querySelector('#test .rv-says'), '::before').display") == "none"
    page.emulate_media(media="screen")
    below = page.evaluate("document.querySelector('#below').getBoundingClientRect().top")
    page.click("button:has-text('Nothing')")
    assert page.is_visible("text=You said: Nothing")
    assert page.is_visible("#test .rv-says")
    assert not page.is_visible("text=What is left?")
    assert not page.evaluate("document.querySelector('#test .rv-controls').inert")
    assert page.evaluate("document.querySelector('#below').getBoundingClientRect().top") >= below
    page.goto(page.url + "#test.gate=0.6")
    page.reload()
    assert not page.is_visible("text=What is left?")  # a link shows what it says


def test_a_link_shows_what_it_says_also_while_a_guess_is_asked_for(figure):
    seen = figure(PAGE + '<p><a href="#other.gate=0.9">another</a></p>', predict='{ask: "Left?", answers: ["Half"]}')
    page = seen.page
    page.click("text=another")
    assert page.is_visible("text=Left?")
    page.click("text=open the gate")
    page.wait_for_function("document.querySelector('#test output').value === '90 %'")
    assert not page.is_visible("text=Left?")
    assert page.is_visible("#test .rv-says")
    assert not page.evaluate("document.querySelector('#test .rv-controls').inert")
    assert not seen.complaints


def test_numbers_and_python_stand_in_a_fold_and_follow(figure):
    seen = figure()
    page = seen.page
    page.click("#test .rv-more summary")
    assert page.text_content("#test pre") == "print(0.5 ** 20)"
    page.evaluate("document.getElementById('test').set({gate: 0.6})")
    page.wait_for_function("document.querySelector('#test pre').textContent === 'print(0.6 ** 20)'")
    seen.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.click("text=Copy")
    assert page.evaluate("navigator.clipboard.readText()") == "print(0.6 ** 20)"
    assert page.evaluate("getSelection().toString().trim()") == "print(0.6 ** 20)"
    assert page.evaluate("document.getElementById('test').numbers()").splitlines()[0] == 'gate,"left, of all"'
    assert not seen.axe()


def test_without_a_script_the_page_speaks_and_with_one_only_the_figure_does(figure):
    assert figure(java_script_enabled=False).page.is_visible("text=Read without a script.")
    assert not figure().page.is_visible("text=Read without a script.")


def test_paper_has_no_controls(figure):
    page = figure().page
    page.emulate_media(media="print")
    assert not page.is_visible("#test-gate")
    assert page.is_visible("#test .rv-says")


def test_it_fits_a_narrow_screen(figure):
    page = figure(viewport={"width": 320, "height": 700}).page
    assert page.evaluate("document.documentElement.scrollWidth") <= 320


def test_a_figure_is_drawn_again_when_its_width_or_the_colours_change(figure):
    page = figure().page
    drawn = page.evaluate("document.getElementById('test').drawn")
    page.set_viewport_size({"width": 500, "height": 700})
    page.wait_for_function(f"document.getElementById('test').drawn > {drawn}")
    drawn = page.evaluate("document.getElementById('test').drawn")
    page.evaluate("document.body.dataset.mdColorScheme = 'slate'")
    page.wait_for_function(f"document.getElementById('test').drawn > {drawn}")


def test_a_table_to_filter_is_seen_once_it_has_its_shape_or_its_script_does_not_come(page_with):
    rows = "<table><thead><tr><th>A</th></tr></thead><tbody><tr><td>1</td></tr></tbody></table>"
    content = f'<rv-table counted="rows">{rows}</rv-table><p id="below">Below.</p>'
    page = page_with(content, code="document.documentElement.className = 'js'").page
    assert not page.is_visible("rv-table td")
    assert page.evaluate("document.querySelector('rv-table').offsetHeight") == 0
    page.evaluate("document.getAnimations().forEach((each) => each.finish())")  # after a while
    assert page.is_visible("rv-table td")
    for name in ("words", "draw", "table"):
        page.add_script_tag(url=f"assets/{name}.js")
    assert page.is_visible("rv-table .rv-filter")
    assert page.is_visible("rv-table td")


def test_no_figure_keeps_something_under_a_name_of_the_frame():
    live = Path(__file__).resolve().parents[3] / "docs/assets/live"

    def kept(script):
        text = script.read_text(encoding="utf-8")
        return set(re.findall(r"this\.(\w+) (?:\?\?|\|\|)?= ", text)) if "extends rv." in text else set()

    meant = {"controls", "predict", "stop", "tallest"}
    taken = {script.name: kept(script) & kept(live / "figure.js") - meant for script in live.glob("figures/*.js")}
    assert not {name: names for name, names in taken.items() if names}
