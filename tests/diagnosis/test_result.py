"""What is healthy, what is not read, and what is judged."""

import json

import pytest
import torch
from torch import nn

from rnnvanish import diagnose
from rnnvanish.diagnosis.result import Diagnosis
from rnnvanish.names import is_named, module_name


class Two(nn.Module):
    """Two loops that keep the gradient, of which as many are read as is said."""

    def __init__(self, *read):
        super().__init__()
        self.read, self.one, self.other = read, nn.GRU(2, 4), nn.GRU(2, 4)
        with torch.no_grad():
            for layer in (self.one, self.other):
                layer.bias_hh_l0[4:8] = 4.0

    def forward(self, x):
        ends = {"one": self.one(x)[0][-1], "other": self.other(x)[0][-1]}
        return sum(ends[name] for name in self.read)


def diagnosed(model, **options) -> Diagnosis:
    torch.manual_seed(0)
    return diagnose(model, torch.randn(12, 3, 2), quick=True, **options)


def test_a_loop_that_is_not_read_is_said_and_no_illness():
    both, one = diagnosed(Two("one", "other")), diagnosed(Two("one"))
    assert (both.healthy, both.unread) == (True, ())
    assert (one.healthy, one.unread) == (True, ("other",))
    assert one.curves["other/layer0/forward"].verdict == "not read"
    assert one.to_dict()["unread"] == ["other"]
    assert one.to_dict()["healthy"] is True


def test_what_is_judged_is_what_was_named():
    model = Two("one")
    nn.init.constant_(model.one.bias_hh_l0[4:8].data, -9.0)
    found = diagnosed(model)
    assert (found.healthy, found.unread) == (False, ("other",))
    narrowed = diagnosed(model, layers=["other"])
    assert (narrowed.healthy, narrowed.unread, narrowed.judged) == (True, ("other",), ("other/layer0/forward",))
    assert not diagnosed(model, layers=["one/layer0/forward"]).healthy
    assert diagnosed(model, layers=["one"]).unread == ()
    with pytest.raises(
        ValueError, match=r"no layer 'on' to judge. There are: one/layer0/forward, other/layer0/forward"
    ):
        diagnosed(model, layers=["on"])


def test_one_step_is_nothing_to_carry_and_not_healthy():
    torch.manual_seed(0)
    found = diagnose(nn.GRU(2, 4), torch.randn(1, 3, 2))
    (curve,) = found.curves.values()
    assert (curve.verdict, found.healthy, found.unread) == ("nothing to carry", False, ())


@pytest.mark.parametrize(
    ("name", "fits"),
    [("a.lstm", True), ("a", True), ("a.lstm/layer0/forward", True), ("a.l", False), ("lstm", False), ("b", False)],
)
def test_a_loop_goes_by_its_name_that_of_its_module_or_of_what_holds_it(name, fits):
    assert is_named("a.lstm/layer0/forward", name) == fits
    assert module_name("a.lstm (call 2)/layer0/forward") == "a.lstm"


def test_a_notebook_shows_the_report_and_one_line_is_enough_for_the_rest(tmp_path):
    found = diagnosed(Two("one", "other"))
    assert repr(found) == f"<Diagnosis of {found.answer}>"
    assert "\n" not in repr(found)
    html = found._repr_html_()
    assert html.startswith("<iframe ")
    assert html.count("<") == 2  # whatever the page has is its own: the frame, and its end
    assert "one/layer0/forward" in html
    text = found.to_json()
    assert json.loads(text) == json.loads(found.to_json(tmp_path / "report.json").read_text())
