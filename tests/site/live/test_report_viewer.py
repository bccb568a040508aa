"""Reports are explored in the browser: opened, dragged along, compared; what is no report is said; nothing leaves the device."""

import json
import math
from pathlib import Path

import pytest
import torch
from torch import nn

from rnnvanish import diagnose, mitigations, plots
from rnnvanish.numerals import in_words, one_in

EVIL = '<img src=x onerror="window.hurt=1">\u202e'
OLD = Path(__file__).resolve().parents[2] / "diagnosis/report_of_schema_1.json"


@pytest.fixture(scope="module")
def reports():
    """One model before and after a cure, as `--json` writes it; the two directions, of which a second layer reads nothing."""
    torch.manual_seed(0)
    model, x = nn.LSTM(2, 4, bidirectional=True), torch.randn(20, 3, 2)
    before = diagnose(model, x, quick=True)
    mitigations.OpenGate(bias=4.0)(model)
    return [each.to_dict() for each in (before, diagnose(model, x, quick=True))]


@pytest.fixture
def viewer(page_with):
    def start(*examples, **context):
        given = "".join(
            f'<template data-name="{name}">{json.dumps(report).replace("<", "&lt;")}</template>'
            for name, report in zip(("one", "two"), examples, strict=False)
        )
        return page_with(
            f'<h2>Yours</h2><rv-report id="report"><p>As it stands.</p>{given}</rv-report>',
            ["figures/report"],
            **context,
        )

    return start


def put(page, *given):
    """Drop files."""
    page.evaluate(
        """files => {
          const data = new DataTransfer();
          for (const [name, text] of files) data.items.add(new File([text], name));
          document.querySelector(".rv-door").dispatchEvent(new DragEvent("drop", { dataTransfer: data, bubbles: true }));
        }""",
        [[name, text if isinstance(text, str) else json.dumps(text)] for name, text in given],
    )


def said(page):
    return page.inner_text("rv-report > .rv-says")


def test_words_are_those_of_the_package(viewer):
    values = [10.0**power * first for power in range(-40, 41) for first in (1, 1.2345, 2.6, 9.96)]
    values += [0.0, 0.125, 0.1, 0.95, 0.951, 1.049, 1.05, 0.999, math.inf, math.nan]
    sent = [None if math.isnan(each) else "infinity" if math.isinf(each) else each for each in values]
    page = viewer().page
    found = page.evaluate("all => all.map(rvReport.value).map(x => [rvReport.oneIn(x), rvReport.inWords(x)])", sent)
    assert [one for one, _ in found] == [one_in(each) for each in values]
    assert [words for _, words in found][:-2] == [in_words(each) for each in values[:-2]]
    decades = list(range(-30, 8))
    assert page.evaluate("all => all.map(rvReport.decade)", decades) == [plots.decade(each) for each in decades]


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_by_keyboard_alone(viewer, reports, width, scheme):
    seen = viewer(*reports, viewport={"width": width, "height": 844}, color_scheme=scheme)
    page = seen.page

    def tab_to(css):
        for _ in range(60):
            page.keyboard.press("Tab")
            if page.evaluate("css => document.activeElement.matches(css)", css):
                return
        raise AssertionError(f"Tab never reaches {css}")

    asked = set(seen.asked)
    tab_to(".rv-examples button")
    page.keyboard.press("Enter")
    name = next(iter(reports[0]["layers"]))
    gain = reports[0]["layers"][name]["gain"]
    tab_to(".rv-curves + input")
    page.keyboard.press("Home")
    for _ in range(5):
        page.keyboard.press("ArrowRight")
    assert page.inner_text(".rv-loops label >> nth=0").replace("\n", " ").endswith(one_in(gain[5]))
    assert "alone, after 5 steps" in page.inner_text(".rv-causes thead")
    tab_to(".rv-loops input")
    page.keyboard.press("Space")
    assert page.locator(".rv-line").count() == 1
    page.wait_for_function("location.hash.includes('report.lag=5&report.loops=1')")
    tab_to("select")
    page.keyboard.press("ArrowDown")
    assert "in the words of the report" in page.inner_text("rv-report")
    assert seen.axe() == []
    assert not page.evaluate("document.documentElement.scrollWidth > window.innerWidth")
    assert (seen.asked, seen.elsewhere, seen.complaints) == (asked, set(), [])
    before = page.inner_text("rv-report")
    page.reload()
    assert page.inner_text("rv-report") == before


def test_a_file_a_drop_and_what_is_pasted_are_opened_and_stay_here(viewer, reports, tmp_path):
    seen = viewer()
    page, (before, after) = seen.page, reports
    path = tmp_path / "mine.json"
    path.write_text(json.dumps(before), encoding="utf-16")  # as some shells write it
    asked = set(seen.asked)
    page.set_input_files("input[type=file]", path)
    page.wait_for_selector(".rv-curves")
    assert said(page) == "A report is open: mine.json."
    assert before["answer"] in page.inner_text("rv-report")
    page.click("text=Close")
    put(page, ("dropped.json", after))
    page.wait_for_selector(".rv-curves")
    page.click("text=Paste it instead")
    page.fill("textarea", json.dumps(before))
    page.click("text=Open what I pasted")
    assert said(page) == "A report is open: what you pasted."
    page.wait_for_timeout(200)
    assert page.evaluate("[location.hash, localStorage.length, sessionStorage.length]")[0] == ""
    assert not page.evaluate(
        "Object.values(localStorage).concat(Object.values(sessionStorage)).join().includes('gain')"
    )
    assert (seen.asked, seen.elsewhere, seen.complaints) == (asked, set(), [])


def test_dragging_and_the_factors_of_a_step(viewer, reports):
    page = viewer(reports[0]).page
    page.click("text=Open an example")
    page.locator(".rv-curves").scroll_into_view_if_needed()
    axis = page.locator(".rv-curves + input").bounding_box()
    page.mouse.move(axis["x"] + 8 + (axis["width"] - 16) * 8 / 19, axis["y"] - 100)
    assert page.inner_text(".rv-curves ~ output").startswith("8 steps back: ")
    layer = next(iter(reports[0]["layers"].values()))
    product = math.prod(each["factor"] for each in layer["factors"])
    last = page.locator(".rv-causes tbody tr:nth-last-child(2)")
    assert last.inner_text().replace("\t", " ").split()[:2] == ["All", "together"]
    assert float(last.locator("td").first.inner_text().removeprefix("× ")) == pytest.approx(product, rel=0.05)
    assert last.locator("td").nth(1).inner_text() == one_in(product**8).replace(" as much", "")
    starts = [
        float(each) for each in page.eval_on_selector_all(".rv-causes .rv-bar", "all => all.map(x => x.offsetLeft)")
    ]
    ends = page.eval_on_selector_all(".rv-causes .rv-bar", "all => all.map(x => x.offsetLeft + x.offsetWidth)")
    takes = page.eval_on_selector_all(".rv-causes .rv-bar", "all => all.map(x => x.matches('.rv-takes'))")
    assert takes[:-1] == [each["factor"] < 1 for each in layer["factors"] if abs(math.log(each["factor"])) >= 0.005]
    at = ends[0] if takes[0] else starts[0]
    for start, end, less in list(zip(starts, ends, takes, strict=True))[:-1]:  # each begins where the last one ended
        assert abs((end if less else start) - at) <= 3
        at = start if less else end
    best = layer["advice"][0]
    tried = page.inner_text(".rv-tried > li >> nth=0")
    assert best["cure"] in tried
    assert f"{one_in(best['gain_before'])} → {one_in(best['gain'])} arrives" in tried


def test_two_reports_side_by_side(viewer, reports):
    page = viewer(*reports).page
    page.click("text=Compare two")
    name, before = next(iter(reports[0]["layers"].items()))
    after = reports[1]["layers"][name]
    row = page.inner_text(".rv-cards tbody tr >> nth=0")
    assert f"{in_words(before['half_life'])} → {in_words(float(after['half_life']))}" in row
    assert f"{before['verdict']} → {after['verdict']}" in row
    assert row.endswith("longer")
    assert page.locator(".rv-line").count() == 2 * len(reports[0]["layers"])
    page.click("text=Swap")
    assert page.inner_text(".rv-cards tbody tr >> nth=0").endswith("shorter")
    page.click("text=Close")
    put(page, ("a.json", reports[0]))
    page.wait_for_selector(".rv-curves")
    page.click("text=Compare with a second report")
    put(page, ("b.json", reports[1] | {"layers": {"other": after}}))
    page.wait_for_selector("text=no loop in common")
    assert "Only in the second: other." in page.inner_text("rv-report")


def layer(**fields):
    return {"verdict": "vanishing", "half_life": 1.0, "reach": 1, "joined": False, "gain": [1, 0.5]} | fields


def test_what_is_not_a_number_and_what_has_one_step_is_said(viewer):
    odd = {
        "odd": layer(gain=[1.0, "infinity", 0.1, 0.0, None, None], half_life=None, factors=[], advice=[]),
        "one": layer(gain=[1.0], verdict="nothing to carry"),
        "unread": layer(gain=[None, None], verdict="not read"),
    }
    seen = viewer()
    page = seen.page
    put(page, ("odd.json", {"schema": 3, "model": "Odd", "layers": odd}))
    page.wait_for_selector(".rv-curves")
    assert page.inner_text(".rv-curves ~ output") == "5 steps back: less is left than can be measured."
    assert page.locator(".rv-hatched").count() == 2
    assert page.locator(".rv-loops :disabled").count() == 2
    page.focus(".rv-curves + input")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    assert page.inner_text(".rv-curves ~ output") == "3 steps back: nothing is left in odd."
    assert "NaN" not in page.inner_html("rv-report")
    put(page, ("one.json", {"schema": 3, "layers": {"one": odd["one"]}}))
    page.wait_for_selector("text=There is no curve")
    put(page, ("old.json", OLD.read_text()))
    page.wait_for_selector("text=old.json >> nth=0")
    page.wait_for_selector(".rv-curves")
    assert seen.complaints == []


def test_what_is_no_report_is_said(viewer, reports):
    page = viewer().page
    whole = json.dumps(reports[0])
    name = next(iter(reports[0]["layers"]))
    wrong = {
        "": "What came is empty.",
        "GRU: vanishing": "is no JSON: it begins with “GRU: vanishing”. Is it the report as text?",
        "<!doctype html><p>": "is a page (HTML)",
        whole[: len(whole) // 2]: "breaks off in the middle",
        '{"schema": 3, "gain": NaN}': "holds NaN or Infinity",
        '{"schema": 3]': "begins like JSON, and is none",
        "[1, 2]": "is JSON, but a list",
        '{"name": "x", "version": 2}': "is JSON of another kind: it has name, version",
        json.dumps(reports[0] | {"schema": 4}): "of version 4, and this page reads 1 to 3",
        '{"schema": 3, "layers": {}}': "without any loop",
        '{"schema": 3, "layers": {"a": {"verdict": "x"}}}': "the loop a lacks “gain”",
        json.dumps(
            {"schema": 3, "layers": {"a": layer(gain=[1, "x"])}}
        ): "“gain” of the loop a is not a list of numbers",
        json.dumps({"schema": 3, "layers": {"a": layer(advice=[{}])}}): "“advice” of the loop a is not a list of cures",
        json.dumps({"schema": 3, "layers": {"a": None}}): "has null where the loop a should be",
    }
    for text, expected in wrong.items():
        put(page, ("wrong.json", text))
        page.wait_for_function(
            "words => document.querySelector('rv-report > .rv-says').textContent.includes(words)", arg=expected
        )
        assert said(page).startswith("Expected is a report as rnnvanish diagnose TARGET --json")
    huge = "rv.readReport({ size: 65 * 2 ** 20 }).catch(error => error.message)"
    assert "What came has 65 MiB; this page reads up to 64." in page.evaluate(huge)
    assert name not in page.inner_text("rv-report")  # nothing was opened


def test_names_bring_no_tag_and_nothing_that_cannot_be_seen(viewer):
    cure = {
        "cure": EVIL,
        "before": 1,
        "after": 2,
        "gain": 0.5,
        "gain_before": 0.1,
        "lag": 1,
        "draws": 1,
        "note": EVIL,
        "apply": EVIL,
        "moment": EVIL,
    }
    evil = layer(
        verdict=EVIL,
        cause=EVIL,
        notes=[EVIL],
        factors=[{"part": EVIL, "called": EVIL, "factor": 0.5}],
        advice=[cure],
        parts={EVIL: [1, 0.5], "c": [1, 0.5]},
    )
    finding = {"fault": EVIL, "layer": EVIL, "seen": EVIL, "remedy": EVIL, "question": False}
    whole = {
        "schema": 3,
        "model": EVIL,
        "answer": EVIL,
        "findings": [finding],
        "unfit": {EVIL: EVIL},
        "provenance": {EVIL: EVIL},
    }
    whole |= {"outlook": {"says": EVIL}, "layers": {EVIL: evil, "b": evil}}
    page = viewer().page
    put(page, (EVIL, whole))
    page.wait_for_selector(".rv-curves")
    put(page, (EVIL, whole), ("b", whole))
    page.wait_for_selector(".rv-cards")
    put(page, (EVIL, EVIL))
    page.wait_for_selector(".rv-wrong")
    assert page.locator("rv-report img").count() == 0
    assert page.evaluate("window.hurt") is None
    assert "\u202e" not in page.inner_text("rv-report")
    assert "\\u202e" in page.inner_text("rv-report")


def test_without_a_script_the_figure_of_the_page_stays(viewer, reports):
    page = viewer(reports[0], java_script_enabled=False).page
    assert page.inner_text("rv-report").strip() == "As it stands."
