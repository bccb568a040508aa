"""First nan: the usual causes, each at the line that has it, forward or backward; what is meant or harmless is none."""

import inspect

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from rnnvanish import Recurrent, cells, diagnose
from rnnvanish.probes import first_nan

TIME, BATCH, WIDTH = 12, 3, 4


class Reader(nn.Module):
    """Does to what a layer returns, (batch, time, size), what `behind` says; `given` goes there, too."""

    def __init__(self, behind, layer=None):
        super().__init__()
        self.layer = nn.GRU(2, WIDTH, batch_first=True) if layer is None else layer
        self.head, self.behind = nn.Linear(WIDTH, 1), behind

    def forward(self, x, given=None):
        return self.behind(self, self.layer(x)[0], given)


def logarithm(self, y, given):
    return (y * 0).log()


def full_mask(self, y, given):
    scores = y.sum(-1).masked_fill(given, -torch.inf)
    weights = scores.softmax(-1)
    return self.head((weights[..., None] * y).sum(1))


def full_mask_unread(self, y, given):
    scores = y.sum(-1).masked_fill(given, -torch.inf)
    weights = torch.softmax(scores, dim=-1)
    return self.head((weights[..., None] * y).sum(1))[:1]


def mask_times_zero(self, y, given):
    scores = y.sum(-1).masked_fill(given, -torch.inf)
    return scores * 0.0


def no_length(self, y, given):
    total = (y * (torch.arange(TIME) < given[:, None])[..., None]).sum(1)
    return self.head(total / given[:, None])


def root(self, y, given):
    spread = y[:, -1:].var(1, unbiased=False)
    return self.head(spread.sqrt())


def deviation(self, y, given):
    return self.head(y[:, -1:].std(1, unbiased=False))


def overflow(self, y, given):
    large = (y * 1e3).exp()
    return large / large.sum()


def written(self, y, given):
    y = y.clone()
    y[1] /= 0.0
    return self.head(y.clamp_(max=7.0) - y)


def own_step(self, y, given):
    h = y[:, 0]
    for t in range(TIME):
        h = torch.tanh(h + y[:, t])
        h = h / (t - 7)
    return h


class Broken(torch.autograd.Function):
    @staticmethod
    def forward(context, x):
        return x + 1

    @staticmethod
    def backward(context, gradient):
        return gradient * torch.nan


def own_function(self, y, given):
    return self.head(Broken.apply(y))


def said(found):
    return " ".join(str(found).split())


MASK = torch.zeros(BATCH, TIME, dtype=torch.bool)
MASK[1] = True
LENGTHS = torch.tensor([TIME, 0, 3])
ROW = "a whole row of what it is given is minus infinity"
CASES = {
    "logarithm": (logarithm, None, "inf", "forward", "log", "logarithm of 0", (0, 0, 0)),
    "mask": (full_mask, MASK, "nan", "forward", "softmax", ROW, (1, 0)),
    "mask of what is not read": (full_mask_unread, MASK, "nan", "forward", "softmax", ROW, (1, 0)),
    "mask times zero": (mask_times_zero, MASK, "nan", "forward", "mul", "", (1, 0)),
    "length": (no_length, LENGTHS, "nan", "forward", "div", "divides by 0", (1, 0)),
    "root": (root, None, "inf", "backward", "sqrt", "no finite slope at 0", (0, 0)),
    "overflow": (overflow, None, "inf", "forward", "exp", "too large for float32", None),
    "written": (written, None, "inf", "forward", "div", "divides by 0", (0, 0)),
    "own step": (own_step, None, "inf", "forward", "div", "divides by 0", (0, 0)),
    "own function": (own_function, None, "nan", "backward", "Broken", "", (0, 0, 0)),
}
LINES = {
    "logarithm": "return (y * 0).log()",
    "mask": "weights = scores.softmax(-1)",
    "mask of what is not read": "weights = torch.softmax(scores, dim=-1)",
    "mask times zero": "return scores * 0.0",
    "length": "return self.head(total / given[:, None])",
    "root": "return self.head(spread.sqrt())",
    "overflow": "large = (y * 1e3).exp()",
    "written": "y[1] /= 0.0",
    "own step": "h = h / (t - 7)",
}


def found_in(case):
    behind, given, *_ = CASES[case]
    torch.manual_seed(0)
    model, x = Reader(behind), torch.randn(BATCH, TIME, 2)
    return first_nan(model, x if given is None else (x, given))


@pytest.mark.parametrize("case", CASES)
def test_the_operation_and_its_line_are_found(case):
    behind, _, value, direction, source, why, index = CASES[case]
    found = found_in(case)
    assert (found.value, found.direction, found.source) == (value, direction, source)
    assert why in found.why
    assert index is None or found.index == index
    assert f"in {behind.__name__}()" in found.line
    assert LINES.get(case, "") in found.line
    number = inspect.getsourcelines(behind)[1]
    lines = [number + at for at, line in enumerate(inspect.getsourcelines(behind)[0]) if LINES.get(case, "?") in line]
    assert not lines or f"line {lines[0]}, " in found.line
    assert found.run == (7 if case == "own step" else 0)
    assert found.module == ("head" if case == "own function" else "Reader")


def test_a_layer_that_explodes_says_at_which_step():
    torch.manual_seed(0)
    layer = nn.RNN(2, WIDTH, nonlinearity="relu", batch_first=True)
    layer.weight_hh_l0.data = 1e6 * torch.eye(WIDTH)
    model, x = Reader(lambda self, y, given: self.head(y[:, -1]), layer), torch.ones(BATCH, TIME, 2)
    found = first_nan(model, x)
    states = layer(x)[0]
    first = next(t for t in range(TIME) if not states[:, t].isfinite().all())
    assert 3 < first < TIME
    assert (found.source, found.module, found.step) == ("rnn_relu", "layer", first)
    assert f"at step {first}, at [0, {first}," in said(found)


class Stack(nn.Module):
    """Two layers by one line; the upper one outgrows its numbers."""

    def __init__(self):
        super().__init__()
        self.steps = nn.ModuleList(nn.Linear(2, 2, bias=False) for _ in range(2))
        self.steps[0].weight.data, self.steps[1].weight.data = torch.eye(2), 1e5 * torch.eye(2)

    def forward(self, x):
        for step in self.steps:
            h = x[0]
            for _ in range(TIME):
                h = step(h)
        return h


def test_runs_of_a_line_are_counted_in_each_module():
    found = first_nan(Stack(), torch.ones(1, BATCH, 2))
    assert (found.module, found.run, found.source) == ("steps.1", 7, "linear")  # 1e5 to the eighth is beyond float32
    assert "h = step(h)" in found.line


def test_what_is_finite_harmless_or_meant_is_none():
    torch.manual_seed(0)
    x = torch.randn(BATCH, TIME, 2)

    def harmless(self, y, given):  # the slope at zero is infinite, and nobody asks for it
        return self.head(torch.where(y > 0, y.clamp(min=0).sqrt(), y * 0))

    some = MASK.clone()
    some[1, 4] = False
    assert first_nan(Reader(harmless), x) is None
    assert first_nan(Reader(deviation), x) is None  # torch gives a deviation of zero no slope
    assert first_nan(Reader(full_mask), (x, some)) is None
    assert first_nan(Reader(harmless, Recurrent(cells.GRU, 2, WIDTH, batch_first=True)), x) is None


def test_a_loader_tells_which_batch_and_what_is_given_is_named():
    x = torch.randn(10, TIME, 2)
    x[7, 5, 1] = torch.nan
    model = Reader(lambda self, y, given: self.head(y))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    found = first_nan(model, DataLoader(TensorDataset(x), batch_size=2))
    assert (found.value, found.direction, found.batch, found.source, found.index) == (
        "nan", "given", 3, "input 0", (1, 5, 1),
    )  # fmt: skip
    assert said(found) == "The first nan is given: input 0 of batch 3, at [1, 5, 1] of [2, 12, 2] (all counted from 0)."
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(weight.grad is None for weight in model.parameters())
    model.head.weight.data[0, 2] = torch.inf
    assert said(first_nan(model, x[:2])).startswith("The first inf is given: parameter head.weight, at [0, 2]")


def test_a_loss_is_looked_into():
    torch.manual_seed(0)
    model, x = Reader(lambda self, y, given: torch.softmax(1e4 * self.head(y)[..., 0], -1)), torch.randn(BATCH, TIME, 2)
    assert first_nan(model, x) is None
    found = first_nan(model, x, loss=lambda chances: -chances.log().mean())
    assert (found.source, found.module, found.direction) == ("log", "", "forward")
    assert "from log in the loss, in batch 0" in said(found)


def test_diagnose_says_the_line_and_what_double_precision_would_hide():
    torch.manual_seed(0)
    x = torch.randn(BATCH, TIME, 2)
    with pytest.raises(ValueError, match=r"(?s)returns infinities or nan.*from log in Reader.*in logarithm\(\)"):
        diagnose(Reader(logarithm), x)
    with pytest.raises(
        ValueError, match=r"(?s)end of layer/layer0/forward already.*the derivative of\s+sqrt in Reader"
    ):
        diagnose(Reader(root), x)
    square = Reader(lambda self, y, given: self.head(y[:, -1]))
    square.head.weight.data *= 1e25
    found = diagnose(square, x, loss=lambda y: y.square().square().mean(), quick=True).findings[0]
    assert found.fault == "numbers that are not finite"
    assert "from square in the loss" in found.seen
    assert "in double precision" in found.seen
    assert found.remedy.startswith("Keep the numbers there smaller")
    few = Reader(lambda self, y, given: torch.softmax(y[:, -1] + 300 * torch.eye(WIDTH)[0], -1))
    found = diagnose(few, x, loss=lambda chances: -chances.log().mean(), quick=True).findings[0]
    assert "from log in the loss" in found.seen
    assert found.remedy.startswith("Keep what it takes away from 0")
