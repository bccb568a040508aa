"""In which coordinates a state is measured: helpers are none of it, parts of several axes are rows, a scaled part is what it stands for."""

import pytest
import torch
from all_measures import all_measures, assert_same_measures
from torch import nn

from rnnvanish import Recurrent, diagnose, mitigations
from rnnvanish.cell import Cell, Paper
from rnnvanish.diagnosis.cause.cause import causes
from rnnvanish.probes import jacobian, retention

TIME, BATCH, INPUT, HIDDEN = 9, 3, 2, 6
DOUBLE = torch.float64


class Own(Cell):
    paper = Paper("-", 2026, "written for the tests", "-")

    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.from_x = nn.Linear(input_size, hidden_size)
        self.from_h = nn.Linear(hidden_size, hidden_size)


class NoClock(Own):
    gate_names = {"from_x": ("h",), "from_h": ("h",)}  # noqa: RUF012

    def forward(self, x, state):
        return (torch.tanh(self.from_x(x) + 1.3 * self.from_h(state[0])),)


class Clock(NoClock):
    """The same, and the steps since the first."""

    state_names = ("h", "t")
    helpers = ("t",)

    def initial_state(self, x):
        return x.new_zeros(len(x), self.hidden_size), x.new_zeros(len(x), 1)

    def forward(self, x, state):
        h, t = state
        (new,) = super().forward(x, (h,))
        return torch.where(t < 1e9, new, h), t + 1


class Counter(Clock):
    """A clock of whole numbers, of no axis beside the batch."""

    def initial_state(self, x):
        return x.new_zeros(len(x), self.hidden_size), x.new_zeros(len(x), dtype=torch.long)

    def forward(self, x, state):
        h, t = state
        return NoClock.forward(self, x, (h,))[0], t + 1


class Heads(Own):
    """Beside a plain part one of three heads of two units, each of which reads its neighbour."""

    state_names = ("h", "s")

    def initial_state(self, x):
        return x.new_zeros(len(x), self.hidden_size), x.new_zeros(len(x), 3, self.hidden_size // 3)

    def forward(self, x, state):
        h, s = state
        s = torch.tanh(self.from_x(x).unflatten(-1, (3, -1)) + 0.8 * s.roll(1, 1) * s.sum(-1, keepdim=True) + s / 2)
        return torch.tanh(self.from_h(h) + s.flatten(1)), s * (1 + h[:, :3, None])


class HeadsFlat(Heads):
    def initial_state(self, x):
        return tuple(x.new_zeros(len(x), self.hidden_size) for _ in self.state_names)

    def forward(self, x, state):
        h, s = super().forward(x, (state[0], state[1].unflatten(-1, (3, -1))))
        return h, s.flatten(1)


class Turning(Heads):
    """Complex numbers on two axes."""

    def initial_state(self, x):
        h, s = super().initial_state(x)
        return h, s.to(s.dtype.to_complex())

    def forward(self, x, state):
        h, s = state
        turn = torch.polar(torch.ones(3, 1, dtype=x.dtype) * 0.9, torch.arange(3.0, dtype=x.dtype)[:, None])
        s = turn * s * (1 + 0.1 * s.abs().sum(1, keepdim=True)) + self.from_x(x).unflatten(-1, (3, -1))
        return torch.tanh(self.from_h(h) + s.real.flatten(1) * s.imag.flatten(1)), s


class TurningFlat(Turning):
    def initial_state(self, x):
        h, s = super().initial_state(x)
        return h, s.flatten(1)

    def forward(self, x, state):
        h, s = super().forward(x, (state[0], state[1].unflatten(-1, (3, -1))))
        return h, s.flatten(1)


class Exponential(Own):
    """Exponential gates as their equations have them: a memory and what it is divided by, however large they grow."""

    state_names = ("h", "c", "n")

    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.from_x, self.from_h = (nn.Linear(size, 4 * hidden_size) for size in (input_size, hidden_size))

    def gates(self, x, h):
        i, f, z, o = (self.from_x(x) + self.from_h(h)).chunk(4, -1)
        return i, nn.functional.logsigmoid(f + 1), torch.tanh(z), torch.sigmoid(o)

    def forward(self, x, state):
        h, c, n = state
        i, f, z, o = self.gates(x, h)
        c, n = torch.exp(f) * c + torch.exp(i) * z, torch.exp(f) * n + torch.exp(i)
        return o * c / n, c, n


class Stabilised(Exponential):
    """The same, divided by exp(m)."""

    state_names = ("h", "c", "n", "m")
    helpers = ("m",)

    def scales(self, state):
        scale = state[-1].exp()
        return 1.0, scale, scale, 1.0

    def forward(self, x, state):
        h, c, n, m = state
        i, f, z, o = self.gates(x, h)
        new = torch.maximum(f + m, i)
        i, f = torch.exp(i - new), torch.exp(f + m - new)
        c, n = f * c + i * z, f * n + i
        return o * c / n, c, n, new


def layer_of(cell, **options):
    torch.manual_seed(0)
    return Recurrent(cell, INPUT, HIDDEN, **options).double()


def of_last(output):
    return output[0][-1].abs().square().sum() + output[0][-1].real.sum()


@pytest.fixture
def x():
    return torch.randn(TIME, BATCH, INPUT, dtype=DOUBLE, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("clock", [Clock, Counter])
def test_a_clock_changes_no_number(clock, x):
    ours, theirs = layer_of(clock, engine="reference"), layer_of(NoClock, engine="reference")
    assert_same_measures(all_measures(ours, x), all_measures(theirs, x))


@pytest.mark.parametrize("pair", [(Heads, HeadsFlat), (Turning, TurningFlat)], ids=["real", "complex"])
def test_a_part_of_several_axes_is_a_row(pair, x):
    ours, theirs = (all_measures(layer_of(cell, engine="reference"), x) for cell in pair)
    assert_same_measures(ours, theirs)


@pytest.mark.parametrize("loss", [None, of_last])
@pytest.mark.parametrize("time", [TIME, 70])
def test_what_is_divided_by_a_stabiliser_is_measured_as_what_it_stands_for(loss, time):
    x = torch.randn(time, BATCH, INPUT, dtype=DOUBLE, generator=torch.Generator().manual_seed(1))
    options = {} if loss is None else {"loss": loss}
    ours, theirs = (all_measures(layer_of(cell), x, **options) for cell in (Stabilised, Exponential))
    (mine,), (other,) = (found.pop("causes").values() for found in (ours, theirs))
    for found in (ours, theirs):  # formats are no matter of scale: see the numbers that are stored
        found.pop("resolution")
    assert_same_measures(ours, theirs, rtol=1e-8, atol=1e-8)
    torch.testing.assert_close(mine.gain, other.gain, rtol=1e-8, atol=1e-8)
    assert not mine.untaken
    assert mine.carried == pytest.approx(other.carried)


class Overflowing(Stabilised):
    def gates(self, x, h):
        i, f, z, o = super().gates(x, h)
        return i + self.least, f, z, o


def test_what_it_stands_for_may_be_beyond_single_precision_and_beyond_any(x):
    layer = layer_of(Overflowing)
    layer.cells[0].least = 200.0
    (exact,), (single,) = retention(layer, x).values(), retention(layer.float(), x.float()).values()
    torch.testing.assert_close(single.gain, exact.gain, rtol=1e-4, atol=0)
    layer.cells[0].least = 2000.0
    for measure in (retention, lambda layer, x: jacobian(layer, x, lag=2)):
        with pytest.raises(ValueError, match=r"what its state stands for, .*, is larger than float64 holds"):
            measure(layer.double(), x)


class Loop(nn.Module):
    """A loop of the user's own."""

    def __init__(self, cell):
        super().__init__()
        self.cell = cell

    def forward(self, x):
        state = self.cell.initial_state(x[0])
        for now in x:
            state = self.cell(now, state)
        return state[0]


@pytest.mark.parametrize("pair", [(Clock, NoClock), (Stabilised, Exponential)], ids=["clock", "stabiliser"])
def test_in_a_loop_of_the_users_own(pair, x):
    ours, theirs = (all_measures(Loop(layer_of(cell).cells[0]), x, cells=[Cell]) for cell in pair)
    if pair[0] is Stabilised:
        for name in ("causes", "resolution"):
            ours.pop(name), theirs.pop(name)
    assert_same_measures(ours, theirs, rtol=1e-8, atol=1e-8)


class Timed(Clock):
    """What has passed lets go of the state, as a clock of the run does."""

    wants = ("times",)

    def forward(self, x, state, times=None):
        h, t = state
        times = torch.ones_like(t) if times is None else times
        new, now = super().forward(x, (h * torch.exp(-0.1 * (times + t)), t))
        return new, now


@pytest.mark.parametrize("wrapped", [False, True])
def test_what_a_cell_wants_is_known_to_its_cause(wrapped, x):
    layer = layer_of(Timed)
    layer = mitigations.Zoneout(0.2, 0.2)(layer).eval() if wrapped else layer
    times = torch.arange(float(TIME)).square()[:, None].expand(TIME, BATCH).double()
    inputs = {"x": x, "times": times}
    (cause,), (curve,) = causes(layer, inputs).values(), retention(layer, inputs).values()
    assert cause.untaken == ""
    torch.testing.assert_close(cause.gain, curve.gain.log().diff(), rtol=0, atol=1e-11)
    assert (curve.gain - next(iter(retention(layer, x).values())).gain).abs().max() > 1e-3


def test_sequences_that_begin_anew_are_measured_as_the_pieces(x):
    layer = layer_of(Clock, engine="reference")
    resets = torch.zeros(TIME, BATCH, dtype=torch.bool)
    resets[4] = True
    whole, piece = ({"x": x, "resets": resets}, x[4:])
    for measure in (retention, causes):
        (ours,), (theirs,) = measure(layer, whole).values(), measure(layer, piece).values()
        torch.testing.assert_close(ours.gain, theirs.gain, rtol=0, atol=1e-12)
    torch.testing.assert_close(jacobian(layer, whole, lag=3), jacobian(layer, piece, lag=3), rtol=0, atol=1e-12)


def test_names_of_an_instance_are_shown(x):
    class Queue(Own):
        def __init__(self, input_size, hidden_size, delay=2):
            super().__init__(input_size, hidden_size)
            self.state_names = ("h", *(f"h-{back}" for back in range(1, delay)))

        def forward(self, x, state):
            return torch.tanh(self.from_x(x) + self.from_h(state[-1])), *state[:-1]

    layer = layer_of(Queue, delay=4)
    diagnosis = diagnose(layer, x, quick=True)
    (curve,) = diagnosis.curves.values()
    assert curve.names == ("h", "h-1", "h-2", "h-3")
    (shown,) = diagnosis.to_dict()["layers"].values()
    assert list(shown["parts"]) == list(curve.names)
