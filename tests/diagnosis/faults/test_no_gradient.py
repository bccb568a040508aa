"""A layer to which no gradient comes back: whatever stops it is named with its line, and ways around it are no fault."""

import inspect

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from rnnvanish import diagnose
from rnnvanish.diagnosis.find_faults import find

FAULT = "no gradient comes back"


class Reader(nn.Module):
    def __init__(self, head=None, behind=lambda model, y: model.head(y)):
        super().__init__()
        self.rnn, self.head, self.behind = nn.GRU(3, 8), nn.Linear(8, 4) if head is None else head, behind

    def forward(self, x):
        return self.behind(self, self.rnn(x)[0][-1])


def linear(scale=1.0, bias=0.0):
    layer = nn.Linear(8, 4)
    with torch.no_grad():
        layer.weight.mul_(scale)
        layer.bias.add_(bias)
    return layer


def without_gradients(model, y):
    with torch.no_grad():
        return model.head(y)


def straight_through(model, y):
    scores = model.head(y)
    return scores + (scores.round() - scores).detach()


class ReZero(nn.Module):
    def __init__(self):
        super().__init__()
        self.gain, self.linear = nn.Parameter(torch.zeros(1, 8)), nn.Linear(8, 8)

    def forward(self, y):
        return y + self.gain * self.linear(y)


def viewed_without_gradients(model, y):
    with torch.no_grad():
        rows = y[:]
    return model.head(rows)


#: What is behind the layer, and what of the sentence says so.
STOPPED = {
    "zero head": (lambda: Reader(linear(0.0)), "linear in head", "multiplies by head.weight, which is all zeros"),
    "rounding": (lambda: Reader(behind=lambda model, y: model.head(y).round()), "round in Reader", "rounds"),
    "argmax": (
        lambda: Reader(behind=lambda model, y: F.one_hot(model.head(y).argmax(-1), 4).float()),
        "argmax in Reader",
        "gives a choice",
    ),
    "sigmoid": (
        lambda: Reader(linear(bias=40.0), lambda model, y: model.head(y).sigmoid()),
        "sigmoid in Reader",
        "at the end of its range",
    ),
    "tanh": (lambda: Reader(nn.Sequential(linear(bias=-20.0), nn.Tanh())), "tanh in head.1", "at the end of its range"),
    "relu": (
        lambda: Reader(nn.Sequential(linear(bias=-9.0), nn.ReLU(), nn.Linear(4, 2))),
        "relu in head.1",
        "nothing but zeros",
    ),
    "detach": (
        lambda: Reader(behind=lambda model, y: model.head(y.detach())),
        "detach in Reader",
        "leaves the history",
    ),
    "data": (lambda: Reader(behind=lambda model, y: model.head(y.data)), "data in Reader", "leaves the history"),
    "no_grad": (lambda: Reader(behind=without_gradients), "linear in head", "gradients were switched off"),
    "a view in no_grad": (
        lambda: Reader(behind=viewed_without_gradients),
        "__getitem__ in Reader",
        "gradients were switched off",
    ),
    "numbers": (
        lambda: Reader(behind=lambda model, y: torch.tensor([row.sum().item() for row in model.head(y)])),
        "item in Reader",
        "takes bare numbers out of torch",
    ),
}
#: Those that nothing can be tried for from outside.
NOT_TRIED = {"argmax", "numbers"}


@pytest.mark.parametrize("kind", STOPPED)
def test_what_stops_it_is_named_and_going_around_it_brings_it_back(kind):
    torch.manual_seed(0)
    make, where, does = STOPPED[kind]
    model, x = make(), torch.randn(6, 5, 3)
    (finding,) = [each for each in find(model, x) if each.fault == FAULT]
    assert finding.layer == "rnn"
    assert where in finding.seen
    assert does in finding.seen
    assert finding.before < 1e-5
    assert not finding.question
    if kind in NOT_TRIED:
        assert finding.after != finding.after
    else:
        assert finding.after > 1e-3
    function = model.behind if "Reader" in where else without_gradients if kind == "no_grad" else Reader().behind
    line = inspect.getsourcelines(function)[1]
    lines = range(line, line + 3)
    assert any(f"test_no_gradient.py, line {each})" in finding.seen for each in lines)


def test_the_report_of_a_model_without_any_gradient_has_its_loops_and_the_finding():
    diagnosis = diagnose(Reader(behind=lambda model, y: model.head(y.detach())), torch.randn(6, 5, 3))
    assert [finding.fault for finding in diagnosis.findings] == [FAULT]
    assert not diagnosis.healthy
    (curve,) = diagnosis.curves.values()
    assert len(curve.gain) == 6
    assert bool(curve.gain.isnan().all())
    assert "detach" in str(diagnosis)


def test_another_error_stays_what_it_is():
    with pytest.raises(ValueError, match="finite"):
        diagnose(Reader(), torch.full((6, 5, 3), torch.nan))


TARGETS = torch.tensor([0, 1, 2, 3, 0])
PASSING = {
    "plain": Reader,
    "rezero": lambda: Reader(ReZero()),
    "straight through": lambda: Reader(behind=straight_through),
    "gumbel": lambda: Reader(behind=lambda model, y: F.gumbel_softmax(model.head(y), hard=True)),
    "sigmoid": lambda: Reader(linear(bias=4.0), lambda model, y: model.head(y).sigmoid()),
    "softmax": lambda: Reader(behind=lambda model, y: model.head(y).softmax(-1)),
    "small scale": lambda: Reader(behind=lambda model, y: 1e-6 * model.head(y)),
    "logged": lambda: Reader(behind=lambda model, y: model.head(y + 0 * float(y.detach().mean()))),
}


@pytest.mark.parametrize("kind", PASSING)
def test_where_enough_comes_back_there_is_no_fault(kind):
    torch.manual_seed(0)
    assert find(PASSING[kind](), torch.randn(6, 5, 3)) == ()


@pytest.mark.parametrize("scale", [1e-5, 1e-30])
def test_a_loss_that_is_merely_small_is_no_fault_and_one_that_is_cut_is(scale):
    torch.manual_seed(0)
    loss = lambda y: scale * y.square().mean()  # the squares of 1e-30 are zero in single precision
    assert find(Reader(), torch.randn(6, 5, 3), loss) == ()
    cut = Reader(behind=lambda model, y: model.head(y.sign()))
    assert [each.fault for each in find(cut, torch.randn(6, 5, 3), loss)] == [FAULT]


def cast(dtype):
    return lambda model, y: model.head(y.to(dtype).float())


def under_autocast(model, y):
    with torch.autocast("cpu", dtype=torch.float16):
        return model.head(y).float()


def in_half(behind, scale):
    torch.manual_seed(0)
    loss = lambda y: scale * y.square().mean()
    return [each for each in find(Reader(behind=behind), torch.randn(6, 5, 3), loss) if each.fault == FAULT]


def test_casts_to_a_format_that_rounds_all_of_it_to_zero():
    (finding,) = in_half(cast(torch.float16), 1e-8)
    assert "float in Reader" in finding.seen
    assert "back in half precision, where it is rounded to zero" in finding.seen
    assert (finding.before, finding.question) == (0, False)
    assert finding.after > 1e-10
    (finding,) = in_half(under_autocast, 1e-8)  # as it is meant, with a scaled loss
    assert finding.question


@pytest.mark.parametrize(
    ("behind", "scale"), [(cast(torch.float16), 1.0), (cast(torch.bfloat16), 1e-8), (under_autocast, 1.0)]
)
def test_a_format_that_holds_it_is_none(behind, scale):
    assert in_half(behind, scale) == []


def test_frozen_layers_pass_a_gradient_on():
    torch.manual_seed(0)
    for part in ("head", "rnn"):
        model = Reader()
        getattr(model, part).requires_grad_(False)
        assert find(model, torch.randn(6, 5, 3)) == ()


def test_a_loss_that_is_at_its_least_has_no_gradient_and_a_loss_that_is_flat_is_asked_about():
    torch.manual_seed(0)
    model, x = Reader(), torch.randn(6, 5, 3)
    assert find(model, x, loss=lambda y: y.sum().detach())[0].fault == FAULT
    flat = [each for each in find(model, x, loss=lambda y: (y.sum() - 99).relu() + 1) if each.fault == FAULT]
    assert [each.question for each in flat] == [True]
    assert [each for each in find(model, x, loss=lambda y: (y.sum() - 99).relu()) if each.fault == FAULT] == []
