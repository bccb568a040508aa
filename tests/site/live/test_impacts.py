"""The figures of sections 10 to 16 and of exploding gradients: what each does of its own."""

import re

from figure_page import SAYS, settle


def train(page, name):
    page.locator("#it .md-button--primary").press("Enter")
    page.wait_for_function("it.over", timeout=60_000)
    settle(page, name)


def test_at_a_larger_rate_the_judge_changes_his_mind(figure, printed):
    page = figure("witnesses").page
    page.evaluate("it.set({ width: 16, rate: 0.03 })")
    settle(page, "witnesses")
    assert "learnt nothing" in page.evaluate(SAYS)
    train(page, "witnesses")
    assert "changed his mind" in page.evaluate(SAYS)
    same = printed(page.evaluate("it.python()"))
    parts = page.evaluate("it.training.swayed.at(-1).parts")
    assert same == "\n".join(f"{part:.0%} change" for part in parts)
    judged = "it.training.judge([{}, {}])"
    assert [page.evaluate(judged.format(first, last)) for first in ("true", "false") for last in ("true", "false")] == [
        True,
        True,
        False,
        False,
    ]


def test_a_witness_may_say_something_else_while_the_judge_learns(figure):
    page = figure("witnesses").page
    page.locator("#it .md-button--primary").click()
    page.wait_for_function("it.training.steps > 3")
    frame = "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
    last, more = page.evaluate(f"""async () => {{
        const {{ training }} = it, before = training.steps;
        it.querySelector("[data-witness=last]").dispatchEvent(new MouseEvent("click", {{ bubbles: true }}));
        for (let k = 0; k < 60 && training.steps === before; k++) await {frame};
        return [it.state.last, it.training === training && training.steps > before];
    }}""")
    assert (last, more) == ("yes", True)


def test_the_loss_becomes_no_number_and_clipped_it_goes_on(figure, printed):
    page = figure("howl").page
    train(page, "howl")
    said = page.evaluate(SAYS)
    free, clipped = (
        re.search(pattern, said)[1]
        for pattern in (r"any more at step (\d+)", r"after 100 steps its loss is ([\d.]+)\.")
    )
    same = printed(page.evaluate("it.python()"))
    assert same == f"not clipped: loss nan at step {free}\nclipped: loss {clipped} at step 100"


APART = """([mark, words]) => [...it.querySelectorAll(words)].filter((word) => {
    const [a, b] = [it.querySelector(mark), word].map((each) => each.getBoundingClientRect());
    return a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
}).map((word) => word.textContent)"""


def test_an_arrow_crosses_no_word_wherever_it_points(figure):
    page = figure("push", viewport={"width": 320, "height": 700}).page
    for degrees in range(0, 181, 15):
        page.evaluate("degrees => { it.runs[0].push = { size: 1, degrees }; it.draw() }", degrees)
        assert page.evaluate(APART, ["svg[aria-label^=push] path", "svg[aria-label^=push] text"]) == [], degrees


def test_twins_that_begin_far_apart_stand_below_their_title(figure):
    page = figure("twins", viewport={"width": 320, "height": 700}).page
    page.evaluate("it.set({ nudge: 2 })")
    settle(page, "twins")
    for mark in ("svg circle[r='7'][style*='--rv-c1']", "svg path[d*='m-4 4l4 -4']"):
        assert page.evaluate(APART, [mark, "svg text"]) == []


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
        left, top, *_ = page.locator("#it svg").bounding_box().values()
        places = [page.evaluate(place) for place in (start, end)]
        for (x, y), press in zip(places, (page.mouse.down, page.mouse.up), strict=True):
            page.mouse.move(left + x, top + y, steps=3)
            press()
        settle(page, name)
        assert page.evaluate(reached), name
    page.mouse.move(left + places[0][0], top + 136)
    page.mouse.down()
    page.mouse.move(left + places[0][0], top + 40, steps=3)
    page.mouse.up()
    assert page.evaluate("it.state.lifts") == "yes"


def test_a_finger_that_holds_something_does_not_scroll_the_page(figure):
    held = {
        "twins": ("[12, it.y(it.result.steps[0].answers[1])]", 60, "it.state.nudge !== it.controls.nudge.value"),
        "tower": ("[9, it.ground - 180]", 90, "it.state.floors === 10"),
        "leash": ("[it.middle[0] + 5, it.middle[1]]", 60, "it.state.way !== it.controls.way.value"),
        "shortcut": ("[it.width - 10, 136]", -90, "it.state.lifts === 'yes'"),
    }
    for name, (place, along, reached) in held.items():
        page = figure(name, viewport={"width": 390, "height": 500}, has_touch=True, is_mobile=True).page
        page.evaluate("document.body.style.padding = '300px 0'; it.scrollIntoView()")
        left, top, *_ = page.locator("#it svg").bounding_box().values()
        x, y = page.evaluate(place)
        before = page.evaluate("scrollY")
        drag_with_a_finger(page, left + x, top + y, along)
        settle(page, name)
        assert page.evaluate("scrollY") == before, name
        assert page.evaluate(reached), name
    drag_with_a_finger(page, left + 195, top - 40, -90)  # above the figure
    page.wait_for_function(f"scrollY > {before}")


def drag_with_a_finger(page, x, y, down):
    touch = page.context.new_cdp_session(page)
    for kind, moved in (
        ("touchStart", 0),
        *(("touchMove", down * part / 9) for part in range(1, 10)),
        ("touchEnd", None),
    ):
        points = [] if moved is None else [{"x": x, "y": y + moved}]
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
        page.evaluate("new Promise(done => requestAnimationFrame(done))")
