"""diagnose: causes and cures against networks whose gates, slopes and weights are known; reports that are whole."""

import copy
import html
import json
import math
import re
from html.parser import HTMLParser

import pytest
import torch
from torch import nn

from rnnvanish import Recurrent, cells, diagnose, mitigations
from rnnvanish.diagnosis.advice.replace_cell import Swap
from rnnvanish.diagnosis.report.rows import main_rows, of_gradient
from rnnvanish.diagnosis.report.text import sparkline, to_text
from rnnvanish.measure import Measures
from rnnvanish.probes import retention


def only(diagnosis):
    (curve,) = diagnosis.curves.values()
    return curve


def numbers(text):
    return [float(number) for number in re.findall(r"\d+(?:\.\d+)?(?:e-?\d+)?", text)]


def test_the_cause_names_the_forget_gate_that_was_set():
    module = nn.LSTM(1, 6).double()
    with torch.no_grad():
        for weight in module.parameters():
            weight.zero_()
        module.bias_ih_l0[6:12] = 2.0
        module.bias_hh_l0[6:12] = -1.0
    curve = only(diagnose(module, torch.zeros(30, 2, 1).double()))
    kept = 1 / (1 + math.exp(-1.0))
    assert curve.cause == (
        f"The forget gates keep {kept:.2g} of the cell at each step: "
        f"alone they would lose half in {math.log(0.5) / math.log(kept):.2g} steps."
    )
    with torch.no_grad():
        module.weight_hh_l0[12:18].copy_(3.0 * torch.eye(6))  # now h feeds the cell: more comes back
    curve = only(diagnose(module, torch.zeros(30, 2, 1).double()))
    assert f"A step back multiplies the gradient by {math.exp(curve.rate):.2g}: " in curve.cause


def test_the_cause_names_the_update_gate_that_was_set():
    layer = Recurrent(cells.GRU, 1, 6)
    with torch.no_grad():
        for weight in layer.parameters():
            weight.zero_()
        layer.cells[0].from_x.bias[6:12] = 12.0
    assert (
        "keep 1 of the state at each step: alone they would lose next to nothing"
        in only(diagnose(layer, torch.zeros(9, 2, 1))).cause
    )


@pytest.mark.parametrize(
    ("weight", "shift", "main"),
    [(0.25, 0.0, "the recurrent weights are"), (0.9, 1.5, "the slopes of the activation are")],
)
def test_the_cause_parts_weights_from_slopes(weight, shift, main):
    """One unit without recurrence in its slope: tanh(w h + shift) at its fixed point."""
    module = nn.RNN(1, 1).double()
    h = 0.0
    for _ in range(200):
        h = math.tanh(weight * h + shift)
    with torch.no_grad():
        for parameter, value in ((module.weight_hh_l0, weight), (module.bias_hh_l0, shift), (module.bias_ih_l0, 0.0)):
            parameter.fill_(value)
    x = (torch.zeros(12, 1, 1).double(), torch.full((1, 1, 1), h).double())
    curve = only(diagnose(module, x))
    slope = 1 - h * h
    assert numbers(curve.cause) == pytest.approx([weight * slope, weight, slope], rel=0.03)
    assert main in curve.cause
    assert curve.rate == pytest.approx(math.log(weight * slope), rel=1e-6)


def test_padding_has_no_part_in_the_cause():
    torch.manual_seed(0)
    layer = Recurrent(cells.LSTM, 2, 6)
    x = torch.randn(20, 1, 2)
    alone = only(diagnose(layer, x[:5])).cause
    assert only(diagnose(layer, (x, None, torch.tensor([5])))).cause == alone


def test_each_cure_was_measured_on_a_copy(tmp_path):
    """The half-life that is promised is the one that the user gets who does it."""
    torch.manual_seed(0)
    module, x = nn.LSTM(2, 16), torch.randn(40, 4, 2)
    before = {name: weight.clone() for name, weight in module.state_dict().items()}
    diagnosis = diagnose(module, x)
    curve = only(diagnosis)
    assert all(torch.equal(weight, before[name]) for name, weight in module.state_dict().items())
    advice = {each.cure: each for each in curve.advice}
    assert {"mitigations.Chrono(span=40)", "mitigations.OpenGate(bias=1.0)"} < advice.keys()
    opened = advice["mitigations.OpenGate(bias=3.0)"]
    with torch.no_grad():
        module.bias_ih_l0[16:32] = 0.0
        module.bias_hh_l0[16:32] = 3.0
    (treated,) = retention(module, x).values()
    assert opened.before == curve.half_life
    assert opened.after == pytest.approx(treated.half_life, rel=1e-6)
    assert opened.after > 10 * curve.half_life
    assert (opened.gain_before, opened.lag, opened.draws) == (float(curve.gain[-1]), 39, 1)
    the_reports_say_the_same(diagnosis, tmp_path)


@pytest.mark.parametrize(
    ("nonlinearity", "cures"),
    [("tanh", {"OrthogonalStart", "Critical"}), ("relu", {"OrthogonalStart", "Identity", "NpRNN"})],
)
def test_a_plain_network_is_offered_the_start_that_suits_it(nonlinearity, cures):
    torch.manual_seed(0)
    for layer in (nn.RNN(8, 32, nonlinearity=nonlinearity), Recurrent(cells.Elman, 8, 32, nonlinearity=nonlinearity)):
        advice = only(diagnose(layer, torch.randn(40, 4, 8))).advice
        assert {each.cure.removeprefix("mitigations.").partition("(")[0] for each in advice} >= cures
        assert all(each.gain > 2 * each.gain_before for each in advice)
        near = [abs(math.log(each.gain)) for each in advice]  # what arrives, neither lost nor blown up
        assert near == sorted(near)


def test_who_types_what_is_advised_gets_what_was_promised():
    """Of a bare layer; test_advice has models around the others."""
    torch.manual_seed(1)
    layer, x = nn.RNN(2, 16, nonlinearity="relu"), torch.randn(40, 4, 2)
    advice = only(diagnose(layer, x)).advice
    assert len(advice) > 1
    for each in advice:
        again = copy.deepcopy(layer)
        torch.manual_seed(0 if each.seed is None else each.seed)
        (treated,) = retention(eval(each.cure, {"mitigations": mitigations, "Swap": Swap})(again), x).values()
        # Not to the last digit: a bare compiled layer is measured by its loop, a layer under trial step by step.
        assert treated.half_life == pytest.approx(each.after, rel=1e-4)
        assert float(treated.gain[-1]) == pytest.approx(each.gain, rel=1e-4)


def test_advice_leaves_the_random_numbers_of_the_caller_alone():
    layer, x = nn.RNN(2, 8), torch.randn(30, 2, 2)
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    diagnose(layer, x)
    assert torch.equal(torch.rand(4), expected)


def test_a_healthy_layer_is_offered_nothing():
    module = nn.GRU(1, 8)
    with torch.no_grad():
        module.bias_hh_l0[8:16] = 8.0
    diagnosis = diagnose(module, torch.randn(20, 2, 1))
    assert only(diagnosis).advice == ()
    assert only(diagnosis).verdict == "healthy"
    assert diagnosis.healthy


def test_a_layer_read_at_both_ends_gets_no_half_life_of_one_journey():
    torch.manual_seed(0)
    diagnosis = diagnose(nn.LSTM(2, 8, num_layers=2, bidirectional=True), torch.randn(40, 2, 2))
    lower, upper = (diagnosis.curves[f"LSTM/layer{layer}/forward"] for layer in (0, 1))
    assert lower.joined
    assert not upper.joined
    whole = " ".join(to_text(diagnosis.contents(full=True)).split())
    assert whole.count("there is no half-life of one journey") == 2
    assert lower.advice == ()
    assert "mitigations.OpenGate(bias=3.0)" in [advice.cure for advice in upper.advice]


def test_what_the_loss_adds_on_the_way_is_told_apart_from_what_travelled():
    torch.manual_seed(0)
    layer, x = nn.LSTM(2, 8), torch.randn(40, 2, 2)
    curve = only(diagnose(layer, x, loss=lambda returned: returned[0].square().sum()))
    last = only(diagnose(layer, x, loss=lambda returned: returned[0][-1].square().sum()))
    torch.testing.assert_close(curve.gain, last.gain, rtol=1e-6, atol=0)
    assert curve.verdict == last.verdict == "vanishing"
    assert float(curve.gain[-1]) < 1e-6
    assert float(curve.total.gain[-1]) > 0.1
    said = dict(main_rows(curve, Measures(), {}))
    assert said["start"] == "The loss reads 40 steps: the gradient starts from one of them alone, the last."
    assert said["whole loss"].startswith(of_gradient(curve.total))


def the_reports_say_the_same(diagnosis, tmp_path):
    curve = only(diagnosis)
    report = json.loads(diagnosis.to_json(tmp_path / "report.json").read_text())
    layer = report["layers"]["LSTM/layer0/forward"]
    assert report["schema"] == 3
    assert layer["gain"] == curve.gain.tolist()
    assert layer["parts"]["c"] == curve.part("c").gain.tolist()
    assert (layer["half_life"], layer["verdict"], layer["cause"]) == (curve.half_life, "vanishing", curve.cause)
    page = diagnosis.to_html(tmp_path / "deep" / "report.html").read_text()
    for told in (str(diagnosis), page):
        told = " ".join(html.unescape(told).split())  # lines are wrapped
        assert "LSTM/layer0/forward" in told
        assert f"{curve.half_life:.3g} steps" in told
        assert curve.cause[:40] in told
        assert str(curve.advice[0]) in told
        assert curve.advice[0].apply in told
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["deep", "report.html", "report.json"]
    assert diagnosis.plot().get_xlabel()


class Reader(HTMLParser):
    """What a page asks for, and whether its tags are closed."""

    def __init__(self):
        super().__init__()
        self.open, self.outside, self.points = [], [], ""

    def handle_starttag(self, tag, attributes):
        if tag not in ("meta", "br"):
            self.open.append(tag)
        self.outside += [value for key, value in attributes if key in ("src", "href")]

    def handle_startendtag(self, tag, attributes):
        if tag == "polyline":  # the last is the whole state's
            self.points = dict(attributes)["points"]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_page_needs_nothing_else_and_draws_the_curve(tmp_path):
    torch.manual_seed(0)

    class Tricky(nn.Module):
        def __init__(self):
            super().__init__()
            self.__dict__["_modules"]["<script>"] = nn.GRU(2, 8)

        def forward(self, x):
            return self._modules["<script>"](x)[0][-1]

    diagnosis = diagnose(Tricky(), torch.randn(30, 4, 2))
    reader = Reader()
    reader.feed(diagnosis.to_html(tmp_path / "report.html").read_text())
    assert reader.open == []
    assert reader.outside == []
    points = [tuple(map(float, point.split(","))) for point in reader.points.split()]
    assert len(points) == 30
    heights = torch.tensor([y for _, y in points])
    logs = only(diagnosis).gain.log()  # the picture is a straight stretch of the logarithm
    expected = heights[0] + (heights[-1] - heights[0]) * (logs / logs[-1])
    torch.testing.assert_close(heights, expected.float(), rtol=0, atol=0.1)


def test_nan_and_infinity_are_told_apart_in_json(tmp_path):
    module = nn.RNN(1, 2, nonlinearity="relu").double()
    with torch.no_grad():
        module.weight_hh_l0.copy_(1e-9 * torch.eye(2))
        module.bias_ih_l0.fill_(1.0)
    x = torch.zeros(40, 1, 1).double()
    layer = json.loads(diagnose(module, x).to_json(tmp_path / "a.json").read_text())["layers"]["RNN/layer0/forward"]
    assert layer["gain"][-1] is None
    torch.nn.init.eye_(module.weight_hh_l0)
    layer = json.loads(diagnose(module, x).to_json(tmp_path / "a.json").read_text())["layers"]["RNN/layer0/forward"]
    assert layer["half_life"] == "infinity"


def test_sparkline():
    assert sparkline(torch.tensor([1.0, 1e-3, 2e-6, 1e-7, torch.nan, 100.0])) == "█▅▁..█"
    assert len(sparkline(torch.ones(1000))) == 40
