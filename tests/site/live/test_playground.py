"""The playground: by keyboard, from its address, with what does not fit; the command that it gives trains the same."""

import csv
import json
import shlex

import pytest
from figure_page import PRINTED

from rnnvanish.__main__ import main

FIGURE = '<p><a href="#playground.lag=10">ten steps</a></p><rv-playground id="playground"><p>Read without a script.</p></rv-playground>'
SMALL = {"units": 4, "lag": 5, "batch": 8, "most": 50}
SCREENS = {"phone": {"width": 390, "height": 844}, "desktop": {"width": 1280, "height": 900}}
OF = "document.querySelector('rv-playground')"
ENDED = f"{OF}.over && !{OF}.stop"


def address(**state):
    return "#" + "&".join(f"playground.{name}={value}" for name, value in state.items())


@pytest.fixture
def playground(page_with):
    """The figure, in a state of these controls."""

    def start(content=FIGURE, code="", screen="desktop", state=None, **context):
        seen = page_with(content, ["figures/playground"], code=code, viewport=SCREENS[screen], **context)
        if state is not None:
            seen.page.goto(seen.page.url + address(**state))
            seen.page.reload()
        return seen

    return start


def press(page, key, until, most=40):
    """Press a key until something is so."""
    for _ in range(most):
        if page.evaluate(until):
            return
        page.keyboard.press(key)
    raise AssertionError(f"{key} pressed {most} times: {until} is never so")


def trained(page):
    page.click("rv-playground .md-button--primary")
    page.wait_for_function(ENDED)


@pytest.mark.parametrize("screen", SCREENS)
def test_the_keyboard_alone_trains_and_changes_what_is_trained(playground, screen):
    seen = playground(state=SMALL, screen=screen)
    page, place = seen.page, "document.activeElement.getBoundingClientRect().top"
    press(page, "Tab", "document.activeElement.textContent === 'Start'")
    before = page.evaluate(place)
    page.keyboard.press("Enter")
    page.wait_for_function(ENDED)
    assert page.evaluate(place) == before
    assert page.text_content("rv-playground .rv-says").startswith("As it comes: ")
    assert page.evaluate(f"{OF}.lanes.map(lane => lane.steps)") == [50, 50]
    press(page, "Tab", "document.activeElement.textContent.startsWith('Network')")
    page.keyboard.press("Enter")
    press(page, "Tab", "document.activeElement.value === 'LSTM'")
    before = page.evaluate(place)
    page.keyboard.press("ArrowLeft")
    page.wait_for_function(
        "document.querySelector('rv-playground .rv-says').textContent.includes('Left out, the gate')"
    )
    assert page.evaluate(place) - before == 0
    page.keyboard.press("Tab")
    press(page, "ArrowRight", f"{OF}.state.units === 8")
    group = "document.querySelector('rv-playground .rv-group span').textContent"
    page.wait_for_function(f"{group} === 'Elman, 8 units, tanh' && {OF}.lanes[0].halfLives.length")
    page.evaluate("document.querySelectorAll('details').forEach(fold => (fold.open = true))")
    assert page.evaluate("document.documentElement.scrollWidth") <= SCREENS[screen]["width"]
    page.evaluate(PRINTED)
    assert not seen.axe()
    assert not seen.complaints


def test_the_task_stands_below_before_anything_is_measured(playground):
    code = (
        "rv.slices = () => () => {}; document.querySelector('article').append(document.createElement('rv-playground'))"
    )
    page = playground("", code).page
    assert len(page.text_content("rv-playground .rv-says")) > 60


def test_the_address_is_the_whole_configuration(playground):
    state = SMALL | {
        "cell": "Elman",
        "activation": "relu",
        "start": "identity",
        "task": "adding",
        "rate": 0.1,
        "seed": 7,
    }
    page = playground(state=state).page
    assert page.evaluate(f"{OF}.state").items() >= state.items()
    page.evaluate(f"{OF}.set({{layers: 2, skip: '5', clip: 'value', attention: 'yes'}})")
    page.wait_for_function("location.hash.includes('attention')")
    before = page.evaluate(f"JSON.stringify({OF}.state)")
    page.reload()
    assert page.evaluate(f"JSON.stringify({OF}.state)") == before
    page.click("text=ten steps")
    page.wait_for_function(f"{OF}.state.lag === 10")
    assert page.evaluate(f"{OF}.state").items() >= {"cell": "LSTM", "units": 16, "task": "recall", "skip": "0"}.items()


@pytest.mark.parametrize(
    ("state", "greyed", "said"),
    [
        ({"cell": "GRU"}, ["activation"], ""),
        ({"cell": "Elman"}, ["gate"], "The plain cell has none"),
        (
            {"cell": "Elman", "start": "identity"},
            ["start option[value=identity]"],
            "the identity are for the plain cell",
        ),
        ({"cell": "Elman", "start": "he", "activation": "relu", "gate": "drawn"}, [], ""),
        ({"skip": "20", "lag": 20, "gate": "drawn"}, ["skip option[value='20']"], "Shorter than the way back"),
    ],
)
def test_what_does_not_fit_is_greyed_left_out_and_said(playground, state, greyed, said):
    page = playground(state=state).page
    for what in greyed:
        assert page.is_disabled(f"#playground-{what}"), what
    sentence = page.text_content("rv-playground .rv-says")
    assert said in sentence
    assert bool(page.evaluate(f"rv.leftOut({OF}.state).length")) == ("Left out" in sentence) == bool(said)
    described = page.get_attribute("#playground-gate", "aria-describedby")
    assert "LSTM" in page.text_content(f"#{described}")
    options = page.evaluate(f"rv.setting({OF}.state, true)")
    assert not said or (not options["start"] and "timeSkip" not in options)


def test_no_cure_is_one_network_and_what_cannot_be_trained_is_refused(playground):
    page = playground(state=SMALL | {"gate": "drawn"}).page
    trained(page)
    assert page.evaluate(f"{OF}.lanes.length") == 1
    assert "chosen no cure" in page.text_content("rv-playground .rv-says")
    page.evaluate(f"{OF}.set({{task: 'copying'}})")
    page.wait_for_function("document.querySelector('rv-playground .md-button--primary').disabled")
    assert "15 steps or more" in page.text_content("rv-playground .rv-says")


def test_the_longest_way_learnt_stays_while_the_way_varies(playground):
    page = playground(state=SMALL | {"units": 8, "rate": 0.03, "most": 500, "batch": 32}).page
    trained(page)
    longest = "rv-playground .rv-facts tr:last-child td:last-child"
    assert page.text_content(longest) == "5 steps"
    for change, said in (
        ({"lag": 10}, "5 steps"),
        ({"units": 4}, "–"),
        ({"units": 8}, "5 steps"),
        ({"gate": "open1"}, "–"),
    ):
        page.evaluate(f"{OF}.set({json.dumps(change)})")
        page.wait_for_function(f"!{OF}.waiting")
        assert page.text_content(longest) == said, change


def test_a_slow_device_reads_fewer_sequences_and_says_so(playground):
    page = playground(state={"lag": 5, "most": 50}).page
    page.evaluate(f"{OF}.quickest = 100; {OF}.ease(); {OF}.tell()")
    assert page.evaluate(f"[{OF}.state.batch, {OF}.lanes[0].options.batch]") == [8, 8]
    assert "batch=8" in page.url
    page.reload()
    page.evaluate(f"{OF}.set({{batch: 64}})")
    page.evaluate(f"{OF}.quickest = 100; {OF}.ease()")
    assert page.evaluate(f"{OF}.state.batch") == 64  # the reader's own choice stays


def test_it_moves_rarely_where_nothing_should_move(playground):
    page = playground(state=SMALL | {"most": 200}, reduced_motion="reduce").page
    page.evaluate(
        f"() => {{ const figure = {OF}, draw = figure.draw; figure.drawn = 0; figure.draw = () => (figure.drawn++, draw.call(figure)); }}"
    )
    trained(page)
    assert page.evaluate(f"{OF}.drawn") <= 4


def test_the_first_run_is_predicted(playground):
    page = playground().page
    assert page.is_visible("rv-playground .rv-cover")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.text_content("rv-playground .rv-guess") == "You said: Only the changed one"
    page.reload()
    page.click("text=ten steps")  # a link shows what it says
    page.wait_for_function("!document.querySelector('.rv-cover')")
    assert page.is_visible("rv-playground .rv-says")


#: What is trained, and to how many digits the losses agree. The weights are the same to the last bit; so are sequences of
#: even numbers, and normal numbers to 4e-7: see rv.batch.
TRAINED = {
    "recall": ({"units": 6, "lag": 10, "start": "orthogonal", "gate": "chrono"}, 1e-4),
    "adding": (
        {
            "cell": "Elman",
            "units": 6,
            "lag": 10,
            "task": "adding",
            "activation": "relu",
            "start": "identity",
            "skip": "5",
            "seed": 3,
        },
        1e-6,
    ),
    "copying": (
        {
            "cell": "GRU",
            "units": 5,
            "lag": 15,
            "task": "copying",
            "layers": 2,
            "residual": "yes",
            "attention": "yes",
            "clip": "value",
            "gate": "drawn",
            "optimizer": "sgd",
            "rate": 0.3,
        },
        1e-6,
    ),
}


@pytest.mark.parametrize("name", TRAINED)
def test_the_command_trains_the_same(playground, tmp_path, name):
    state, agree = TRAINED[name]
    page = playground(state={"most": 50, "batch": 8} | state).page
    trained(page)
    command = page.evaluate(f"{OF}.python()").split("terminal:\n")[-1].replace("\\\n", " ")
    program, *words = shlex.split(command)
    assert program == "rnnvanish"
    assert main([*words, "--engine", "reference", "--out", str(tmp_path / "run")]) == 0  # nothing is compiled
    rows = list(csv.DictReader((tmp_path / "run/metrics.csv").open()))
    ours = page.evaluate(f"({{ losses: {OF}.lanes[1].run.losses, test: {OF}.lanes[1].run.tests[0] }})")
    theirs = {int(row["step"]): float(row["train_loss"]) for row in rows if row["train_loss"]}
    assert len(theirs) >= 5
    assert [ours["losses"][step] for step in theirs] == pytest.approx(list(theirs.values()), rel=agree)
    (test,) = [row for row in rows if row["val_loss"]]
    assert ours["test"]["loss"] == pytest.approx(float(test["val_loss"]), rel=agree)
    assert ours["test"]["right"] == pytest.approx(float(test["val_score"]), abs=2e-3)


def test_without_a_script_the_page_says_what_one_would_see(visit, site):
    seen = visit(site, "playground.html", java_script_enabled=False)
    assert seen.page.is_visible("rv-playground svg")
    assert seen.page.is_visible("text=As it comes, the network is right in")
