"""The report in all its forms: a terminal, a pipe, JSON against its schema, a page that one can read curves off."""

import functools
import importlib.resources
import io
import json
import math
import re
import sys

import jsonschema
import pytest
import torch
from rich.console import Console
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from rnnvanish import diagnose
from rnnvanish.diagnosis import Diagnosis
from rnnvanish.diagnosis.advice.trial import Training, Trial
from rnnvanish.diagnosis.command import _show
from rnnvanish.diagnosis.fault import Finding
from rnnvanish.diagnosis.report.page import to_html
from rnnvanish.diagnosis.report.svg import BOTTOM, LEFT, RIGHT, TOP, drawing
from rnnvanish.diagnosis.report.text import to_text
from rnnvanish.monitor.history import History
from rnnvanish.numerals import one_in
from rnnvanish.probes import Curve


class Classifier(nn.Module):
    def __init__(self):
        super().__init__()
        self.memory = nn.LSTM(2, 8, batch_first=True)
        self.head = nn.Linear(8, 3)

    def forward(self, x):
        return self.head(self.memory(x)[0][:, -1])


@functools.cache
def planted():
    torch.manual_seed(0)
    model = Classifier()
    with torch.no_grad():
        model.memory.bias_hh_l0[8:16] = -6.0
    return diagnose(model, torch.randn(4, 40, 2), quick=True)


@functools.cache
def on_batches():
    torch.manual_seed(0)
    data = TensorDataset(torch.randn(6, 30, 2), torch.randint(3, (6,)))

    def loss(output, batch):
        return nn.functional.cross_entropy(output, batch[1])

    return diagnose(Classifier(), DataLoader(data, batch_size=2), loss=loss, quick=True)


def unmeasured():
    torch.manual_seed(0)
    return diagnose(nn.GRU(2, 4), torch.randn(1, 3, 2))


def in_vain():
    """What nothing can be said of: no gradient at all comes through."""
    layer = nn.RNN(2, 4)
    nn.init.zeros_(layer.weight_hh_l0)
    return diagnose(layer, torch.randn(5, 2, 2))


@pytest.fixture(scope="module")
def diagnosis():
    return planted()


@pytest.fixture(scope="module")
def validator():
    schema = json.loads((importlib.resources.files("rnnvanish.diagnosis") / "report.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


@pytest.mark.parametrize("make", [planted, on_batches, unmeasured, in_vain], ids=lambda make: make.__name__)
def test_the_json_is_what_the_schema_says(make, validator, tmp_path):
    report = json.loads(make().to_json(tmp_path / "report.json").read_text())
    validator.validate(report)
    (layer,) = report["layers"].values()
    for broken in (
        report | {"schema": 1},
        report | {"extra": 1},
        {key: value for key, value in report.items() if key != "layers"},
        report | {"layers": {"a": {key: value for key, value in layer.items() if key != "gain"}}},
        report | {"layers": {"a": layer | {"verdict": "fine"}}},
    ):
        with pytest.raises(jsonschema.ValidationError):
            validator.validate(broken)


def test_every_field_of_the_schema_is_described(validator):
    def undescribed(node, path=""):
        for name, field in node.get("properties", {}).items():
            if "description" not in field:
                yield f"{path}/{name}"
            yield from undescribed(field, f"{path}/{name}")
            yield from undescribed(field.get("items", {}), f"{path}/{name}")

    definitions = validator.schema["$defs"]
    assert list(undescribed(validator.schema)) == []
    assert [name for each in definitions for name in undescribed(definitions[each], each)] == []


def test_an_interval_over_batches_is_told():
    report = on_batches()
    (curve,) = report.curves.values()
    low, high = curve.rate_interval
    assert low < curve.rate < high
    ends = [math.log(2) / -rate for rate in (low, high)]
    assert f"{curve.half_life:.3g} steps ({ends[0]:.3g} to {ends[1]:.3g}: 95 % over 3 batches)" in " ".join(
        str(report).split()
    )


def test_what_a_training_gave_is_told_and_kept(validator):
    training = Training(20, 1.5, 0.25, {"memory/layer0/forward": 9.0})
    trial = Trial("mitigations.OpenGate(bias=3.0)", 1.0, 30.0, 0.5, helps=True, apply="typed so", training=training)
    curve = Curve(torch.arange(50), 0.5 ** torch.arange(50.0), advice=(trial,))
    report = Diagnosis("Model", {"memory/layer0/forward": curve}, {"date": "today"})
    said = " ".join(str(report).split())
    assert (
        "OpenGate(bias=3.0): half-life 1 → 30 steps, 50 % arrives; 20 steps of training: loss 1.5 → 0.25 to apply typed so"
        in said
    )
    validator.validate(json.loads(json.dumps(report.to_dict(), allow_nan=False)))
    kept = report.to_dict()["layers"]["memory/layer0/forward"]["advice"][0]["training"]
    assert (kept["steps"], kept["after"]) == (20, 0.25)


def test_what_was_found_comes_first_and_colour_only_on_a_terminal(diagnosis):
    plain = str(diagnosis)
    assert plain.index("FOUND: closed forget gate in memory/layer0/forward") < plain.index("\nmemory/layer0/forward: ")
    assert "\x1b" not in plain
    shown = {}
    for terminal in (False, True):
        file = io.StringIO()
        colours = "standard" if terminal else None
        Console(file=file, force_terminal=terminal, width=100, color_system=colours).print(diagnosis)
        shown[terminal] = file.getvalue()
    assert "\x1b[" in shown[True]
    assert "\x1b[" not in shown[False]
    (curve,) = diagnosis.curves.values()
    for told in (plain, shown[False]):
        words = " ".join(told.replace("│", " ").split())
        assert f"seen {' '.join(diagnosis.findings[0].seen.split())}" in words
        assert f"to do {' '.join(diagnosis.findings[0].remedy.split())}" in words
        assert f"{curve.half_life:.3g} steps" in words
        assert str(curve.advice[0]) in words


def test_the_full_report_says_more(diagnosis):
    brief, full = to_text(diagnosis.contents()), to_text(diagnosis.contents(full=True))
    assert len(full) > len(brief)
    measured = diagnosis.measures["memory/layer0/forward"]
    assert f"99.9 % of their gradient comes from the last {measured.shares.steps(0.999)} of 40 steps" in brief
    radius = torch.linalg.eigvals(measured_weight(diagnosis)).abs().max()
    assert f"f: spectral radius {radius:.2g}" in full
    assert "spectral radius" not in brief


def measured_weight(diagnosis):
    torch.manual_seed(0)
    return Classifier().memory.weight_hh_l0.detach().double()[8:16]


@pytest.mark.parametrize(("width", "scheme"), [(1100, "light"), (360, "dark")])
def test_the_page_is_accessible_and_a_curve_can_be_read_off(diagnosis, browser, tmp_path, width, scheme):
    from axe_playwright_python.sync_playwright import Axe

    path = diagnosis.to_html(tmp_path / "report.html")
    context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
    page = context.new_page()
    errors, asked = [], []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(path.as_uri())
    assert Axe().run(page).response["violations"] == []
    assert not page.evaluate("document.documentElement.scrollWidth > window.innerWidth")
    gain = diagnosis.curves["memory/layer0/forward"].gain

    page.get_by_role("slider", name="steps back").focus()
    assert page.locator("output").inner_text().startswith(f"39 steps back: {one_in(float(gain[39]))}")
    page.keyboard.press("Home")
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    assert page.locator("output").inner_text().startswith(f"3 steps back: {one_in(float(gain[3]))}")
    axis = page.get_by_role(
        "slider", name="steps back"
    ).bounding_box()  # it stands below the axis, half-way along 39 lags
    page.mouse.move(axis["x"] + axis["width"] / 2 + 1, axis["y"] - 120)
    assert page.locator("output").inner_text().startswith(f"20 steps back: {one_in(float(gain[20]))}")
    assert errors == []
    assert asked == [path.as_uri()]
    context.close()


def test_no_name_brings_a_tag_or_what_cannot_be_seen():
    evil = """</title>"'><script>alert(1)</script>&amp;\x1b\u202e"""
    seen = r"&lt;script&gt;alert(1)&lt;/script&gt;&amp;amp;\x1b\u202e"
    gain = torch.tensor([1.0, 0.1, 0.01], dtype=torch.float64)
    parts = {evil: gain, "c": gain}
    trial = Trial(evil, 1.0, 30.0, 0.5, helps=True, apply=evil)
    curve = Curve(torch.arange(3), gain * torch.tensor([1, 1, 1e-3]), parts, cause=evil, advice=(trial,), notes=(evil,))
    finding = Finding(evil, evil, evil, evil, evil, 1.0, 0.5)
    page = to_html(
        Diagnosis(evil, {evil: curve}, {evil: evil}, findings=(finding,), unfit={evil: evil}).contents(full=True)
    )
    head, script = page.split("<script>")  # the one that is ours
    assert evil not in page
    assert "alert(1)<" not in page
    assert not set(page) & {"\x1b", "\u202e"}
    # The title twice, in the answer the model, the fault, its place and what to do, the finding's five, the layer, its part
    # in the picture, the table and the rows, cause, note, cure and what to apply, what could not be tried twice, the origin
    # twice.
    assert head.count(seen) == 2 + 4 + 5 + 1 + 3 + 4 + 2 + 2
    assert script.count("</script>") == 1


def test_words_say_what_they_mean_by_pointer_and_by_keyboard_and_there_is_a_legend(diagnosis, browser, tmp_path):
    page = browser.new_page()
    page.goto(diagnosis.to_html(tmp_path / "report.html").as_uri())
    assert page.locator(".answer").inner_text() == diagnosis.answer
    word = page.locator("h2 .term", has_text="vanishing").first
    meaning = word.locator(".tip")
    assert not meaning.is_visible()
    word.hover()
    assert meaning.is_visible()
    page.mouse.move(0, 0)
    assert not meaning.is_visible()
    for _ in range(60):
        page.keyboard.press("Tab")
        if word.evaluate("word => word === document.activeElement"):
            break
    assert meaning.is_visible()
    described = page.locator(f"#{word.get_attribute('aria-describedby')}")
    assert described.text_content() == meaning.text_content()
    page.keyboard.press("Escape")
    assert not meaning.is_visible()
    page.evaluate("for (const fold of document.querySelectorAll('details')) fold.open = true")
    inside = page.locator("td .term", has_text="non-normality").first
    shown = "word => getComputedStyle(word, '::after').visibility"
    inside.focus()
    assert inside.evaluate(shown) == "visible"
    assert "stretching each direction" in page.locator(f"#{inside.get_attribute('aria-describedby')}").text_content()
    page.keyboard.press("Escape")
    assert inside.evaluate(shown) == "hidden"
    legend = page.get_by_role("heading", name="How to read this").locator("..")
    assert legend.locator(".key").count() == 2  # the whole state, and its parts
    page.close()


def test_on_paper_all_is_open_and_all_loops_stand_in_one_picture(browser, tmp_path):
    curves = {
        name: Curve(torch.arange(9), rate ** torch.arange(9.0).double()) for name, rate in (("a", 0.9), ("b", 0.2))
    }
    page = browser.new_page()
    page.goto(Diagnosis("Two", curves, {}).to_html(tmp_path / "report.html").as_uri())
    overview = page.locator(".overview")
    assert overview.locator(".rv-line").count() == 2
    overview.get_by_role("slider").focus()
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")
    told = [" ".join(each.split()) for each in overview.locator("label").all_inner_texts()]
    assert told == ["a healthy 90 %", "b vanishing 20 %"]
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.locator("details:not([open])").count() == 0
    assert not page.locator("input[type=range]").first.is_visible()
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.locator("details[open]").count() == 0
    page.close()


def test_without_a_script_every_value_can_be_read(diagnosis, browser, tmp_path):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(diagnosis.to_html(tmp_path / "report.html").as_uri())
    page.get_by_text("All values").click()
    rows = page.locator("figure tbody tr")
    gain = diagnosis.curves["memory/layer0/forward"].gain
    assert rows.count() == len(gain)
    assert rows.nth(7).locator("td").first.inner_text() == one_in(float(gain[7]))
    context.close()


@pytest.mark.parametrize("terminal", [False, True])
def test_the_command_shows_a_terminal_and_a_pipe_the_same_words(diagnosis, capsys, monkeypatch, terminal):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: terminal)
    _show(diagnosis, full=False)
    shown = capsys.readouterr().out
    assert "memory/layer0/forward" in shown
    assert "half-life" in shown
    assert shown.endswith("\n")


def test_the_curve_is_drawn_from_the_top_of_its_scale_to_the_bottom():
    drawn = drawing(Curve(torch.arange(3), torch.tensor([1.0, 100.0, 0.1], dtype=torch.float64)))
    (points,) = re.findall(r'class="whole" points="(.*?)"', drawn)
    (left, _), (_, highest), (right, lowest) = (map(float, point.split(",")) for point in points.split())
    assert (left, right) == (LEFT, RIGHT)
    assert (highest, lowest) == (TOP, BOTTOM)


def test_the_curve_of_the_verdict_is_kept_and_drawn(validator):
    gain = 0.5 ** torch.arange(30.0).double()
    curve = Curve(torch.arange(30), torch.ones(30).double(), alone=Curve(torch.arange(30), gain), fed=True)
    report = Diagnosis("Model", {"memory/layer0/forward": curve}, {"date": "today"})
    kept = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    validator.validate(kept)
    assert kept["layers"]["memory/layer0/forward"]["alone"] == gain.tolist()
    drawn = re.search(r'id="layers">(.*?)</script>', to_html(report.contents(full=True)))[1]
    assert json.loads(drawn)[0][1]["alone"][:3] == [1.0, 0.5, 0.25]


def test_the_interval_is_drawn_where_it_is_finite():
    gain = torch.tensor([1.0, 0.5, 0.2], dtype=torch.float64)
    drawn = drawing(Curve(torch.arange(3), gain, low=gain / 2, high=torch.tensor([2.0, math.inf, 0.4])))
    (points,) = re.findall(r'class="band" points="(.*?)"', drawn)
    assert len(points.split()) == 5


def test_the_page_shows_a_training_that_is_handed_over(diagnosis, tmp_path):
    history = History("<b>")
    history.add(7, {"<i>": Curve(torch.arange(3), torch.tensor([1.0, 0.1, 0.01]))})
    page = diagnosis.to_html(tmp_path / "with.html", history=history).read_text()
    section = page.partition("<h2>While it was trained</h2>")[2].partition("</section>")[0]
    assert "1 layer at 1 of the backward passes up to 7" in section
    assert section.count('src="data:image/png;base64,') == 1
    assert "&lt;i&gt;: half-life" in section
    assert "<i>" not in section
    assert "While it was trained" not in diagnosis.to_html(tmp_path / "without.html").read_text()
