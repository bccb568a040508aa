"""The labels of the account: a cell is written again as a tape of operations, each with its kind, and run backwards.

On the tape nothing says which factor is called what: a product is a gate, a function of each number a slope, a matrix
the weights. What comes of ways that meet is what the other parts leave of the whole.
"""

from types import MappingProxyType

import pytest
import torch
from torch import nn

from rnnvanish import Recurrent, cells, mitigations
from rnnvanish.cell import Cell, Keeps, Paper
from rnnvanish.diagnosis.cause.cause import causes
from rnnvanish.mitigation import Wrapper, wrap
from rnnvanish.probes import retention

STEPS, ROWS, WIDTH, HIDDEN = 7, 3, 2, 8


class Value:
    """A value on the tape; `back` has what it is made from: (value, its gradient from ours, kind)."""

    def __init__(self, number, *back):
        self.number, self.back, self.arrived = number, back, []

    def __add__(self, other):
        return Value(self.number + other.number, (self, lambda g: g, None), (other, lambda g: g, None))

    def __mul__(self, other):
        ours, theirs = self.number, other.number
        return Value(ours * theirs, (self, lambda g: g * theirs, "gates"), (other, lambda g: g * ours, "gates"))

    def each(self, function):
        slope = torch.func.vmap(torch.func.vmap(torch.func.grad(function)))(self.number)
        return Value(function(self.number), (self, lambda g: g * slope, "slopes"))

    def by(self, weights):
        return Value(self.number @ weights.T, (self, lambda g: g @ weights, "weights"))

    def block(self, k):
        """Of numbers side by side, the `k`-th block; the gradients of the blocks arrive side by side."""
        place = slice(k * HIDDEN, (k + 1) * HIDDEN)

        def back(g):
            whole = torch.zeros_like(self.number)
            whole[:, place] = g
            return whole

        return Value(self.number[:, place], (self, back, None))


def mixed(z, new, old):
    """(1 − z) new + z old: each of the three is multiplied by one value."""
    value = (1 - z.number) * new.number + z.number * old.number
    return Value(
        value,
        (z, lambda g: g * (old.number - new.number), "gates"),
        (new, lambda g: g * (1 - z.number), "gates"),
        (old, lambda g: g * z.number, "gates"),
    )


def log_size(value):
    return value.norm(dim=-1).log()


def met(flows):
    """The sum of what arrives, and the mean of the accounts, each weighted by its part of the squares."""
    squares = torch.stack([gradient.square().sum(-1) for gradient, _ in flows])
    parts = squares / squares.sum(0)
    return sum(gradient for gradient, _ in flows), {
        kind: sum(part * account[kind] for part, (_, account) in zip(parts, flows, strict=True))
        for kind in ("weights", "slopes", "gates")
    }


def run_back(after, gradients, before):
    """The gradients of the values `before`, and nats of each kind between there and the values `after`."""
    for value, gradient in zip(after, gradients, strict=True):
        value.arrived.append((gradient, dict.fromkeys(("weights", "slopes", "gates"), torch.zeros(ROWS).double())))
    for value in sorted(reachable(after), key=depth, reverse=True):
        gradient, account = met(value.arrived)
        for source, back, kind in value.back:
            passed = back(gradient)
            changed = {} if kind is None else {kind: account[kind] + log_size(passed) - log_size(gradient)}
            source.arrived.append((passed, account | changed))
    ends = [met(value.arrived) for value in before]
    beside = [torch.cat([g if i == k else 0 * h for i, (h, _) in enumerate(ends)], -1) for k, (g, _) in enumerate(ends)]
    whole, account = met([(wide, account) for wide, (_, account) in zip(beside, ends, strict=True)])
    size = log_size(torch.cat(gradients, -1))
    account["ways"] = log_size(whole) - size - sum(account.values())
    return [gradient for gradient, _ in ends], account


def reachable(values):
    found = set(values)
    for value in values:
        found |= reachable([source for source, _, _ in value.back])
    return found


def depth(value):
    return 1 + max((depth(source) for source, _, _ in value.back), default=0)


def elman(function):
    def step(x, state, w, u, b, c):
        return [(Value(x @ w.T + b + c) + state[0].by(u)).each(function)]

    return step


def lstm(x, state, w, u, b, c):
    h, cell = state
    a = Value(x @ w.T + b + c) + h.by(u)
    i, f, g, o = (a.block(k) for k in range(4))
    cell = f.each(torch.sigmoid) * cell + i.each(torch.sigmoid) * g.each(torch.tanh)
    return [o.each(torch.sigmoid) * cell.each(torch.tanh), cell]


def gru(x, state, w, u, b, c):
    (h,) = state
    a, d = Value(x @ w.T + b), Value(c.expand(ROWS, -1)) + h.by(u)
    r, z = ((a.block(k) + d.block(k)).each(torch.sigmoid) for k in range(2))
    return [mixed(z, (a.block(2) + r * d.block(2)).each(torch.tanh), h)]


def minimal(x, state, w, u, b, v):
    (h,) = state
    a = Value(x @ w.T + b)
    f = (a.block(0) + h.by(u)).each(torch.sigmoid)
    return [mixed(f, h, (a.block(1) + (f * h).by(v)).each(torch.tanh))]


class Minimal(Cell):
    """h ← (1 − f) h + f tanh(W x + b + V (f h)): one gate, which keeps where it is closed, and two layers."""

    paper = Paper("Zhou, Wu, Zhang & Zhou", 2016, "Minimal Gated Unit", "https://arxiv.org/abs/1603.09420")
    gate_names = MappingProxyType({"from_x": ("f", "n"), "from_h": ("f",), "from_kept": ("n",)})
    keeps = Keeps("f", "h", called="forget", closed=True)

    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.from_x = nn.Linear(input_size, 2 * hidden_size)
        self.from_h = nn.Linear(hidden_size, hidden_size, bias=False)
        self.from_kept = nn.Linear(hidden_size, hidden_size, bias=False)

    def forward(self, x, state):
        (h,) = state
        f, n = self.from_x(x).chunk(2, dim=-1)
        f = torch.sigmoid(f + self.from_h(h))
        return ((1 - f) * h + f * torch.tanh(n + self.from_kept(f * h)),)


NETWORKS = {
    "tanh": (cells.Elman, {}, elman(torch.tanh)),
    "relu": (cells.Elman, {"nonlinearity": "relu"}, elman(torch.relu)),
    "sigmoid": (cells.Elman, {"nonlinearity": "sigmoid"}, elman(torch.sigmoid)),
    "LSTM": (cells.LSTM, {}, lstm),
    "GRU": (cells.GRU, {}, gru),
    "a gate that keeps where it is closed": (Minimal, {}, minimal),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_every_part_is_that_of_the_tape(name):
    torch.manual_seed(0)
    cell, options, step = NETWORKS[name]
    layer, x = Recurrent(cell, WIDTH, HIDDEN, **options).double(), 2 * torch.randn(STEPS, ROWS, WIDTH).double()
    (cause,) = causes(layer, x).values()
    w, b, u, c = (weight.detach() for weight in layer.parameters())
    state = [torch.zeros(ROWS, HIDDEN).double() for _ in cell.state_names]
    tapes = []
    for now in x:
        before = [Value(part) for part in state]
        tapes.append((before, step(now, before, w, u, b, c)))
        state = [value.number for value in tapes[-1][1]]
    gradients = [torch.ones_like(part) for part in state]
    for lag, (before, after) in enumerate(reversed(tapes[1:])):
        gradients, account = run_back(after, gradients, before)
        for kind, nats in account.items():
            assert float(cause.parts[kind][lag]) == pytest.approx(float(nats.mean()), abs=1e-9), (lag, kind)


class Difference(cells.GRU):
    """n + z (h − n)."""

    def mixed(self, z, n, h):
        return n + z * (h - n)

    def forward(self, x, state):
        (xr, xz, xn), (hr, hz, hn) = self.from_x(x).chunk(3, dim=-1), self.from_h(state[0]).chunk(3, dim=-1)
        n = torch.tanh(xn + torch.sigmoid(xr + hr) * hn)
        return (self.mixed(torch.sigmoid(xz + hz), n, state[0]),)


class Between(Difference):
    """The same by torch's own operation."""

    def mixed(self, z, n, h):
        return torch.lerp(n, h, z)


@pytest.mark.parametrize("other", [Difference, Between])
def test_the_account_does_not_depend_on_how_a_gate_is_written(other):
    torch.manual_seed(0)
    layer, x = Recurrent(cells.GRU, WIDTH, HIDDEN).double(), torch.randn(STEPS, ROWS, WIDTH).double()
    same = Recurrent(other, WIDTH, HIDDEN).double()
    same.load_state_dict(layer.state_dict())
    (cause,), (written,) = causes(layer, x).values(), causes(same, x).values()
    for kind, part in cause.parts.items():
        torch.testing.assert_close(written.parts[kind], part, rtol=0, atol=1e-13)


class OfTheSine(cells.GRU):
    """What is done to the input alone is no part of the way back."""

    def forward(self, x, state):
        return super().forward(torch.sin(x), state)


class WithoutMemory(cells.LSTM):
    """A part of the state that no step reads."""

    def forward(self, x, state):
        return super().forward(x, (state[0], state[0]))


@pytest.mark.parametrize("cell", [OfTheSine, WithoutMemory])
def test_an_odd_step_is_taken_apart(cell):
    torch.manual_seed(0)
    layer, x = Recurrent(cell, WIDTH, HIDDEN).double(), torch.randn(STEPS, ROWS, WIDTH).double()
    (cause,), (curve,) = causes(layer, x).values(), retention(layer, x).values()
    assert set(cause.parts) == {"weights", "slopes", "gates", "ways", "around", "loss"}
    torch.testing.assert_close(cause.gain, curve.gain.log().diff(), rtol=0, atol=1e-11)


def test_what_a_hook_does_to_what_a_layer_reads_is_seen():
    layer = Recurrent(cells.Elman, 2, 4).double()
    layer.cells[0].from_h.register_forward_pre_hook(lambda module, args: (args[0] / 2,))
    nn.init.orthogonal_(layer.cells[0].from_h.weight)
    (cause,) = causes(layer, torch.randn(6, 3, 2).double()).values()
    assert parts_of(cause)["weights"] == pytest.approx([1.0] * 5)
    assert parts_of(cause)["constants"] == pytest.approx([0.5] * 5)


class Doubled(Difference):
    """A constant multiplies."""

    def mixed(self, z, n, h):
        return 2 * n + z * (h - n)


class Shared(Difference):
    """One number is added to all units."""

    def mixed(self, z, n, h):
        return n + z * (h - n) + h.chunk(HIDDEN, dim=-1)[0]


class Added(Difference):
    def mixed(self, z, n, h):
        return torch.add(n, z * (h - n), alpha=2)


@pytest.mark.parametrize("other", [Doubled, Shared, Added])
def test_an_odd_operation_is_taken_apart(other):
    torch.manual_seed(0)
    layer, x = Recurrent(other, WIDTH, HIDDEN).double(), torch.randn(STEPS, ROWS, WIDTH).double()
    (cause,), (curve,) = causes(layer, x).values(), retention(layer, x).values()
    assert ("constants" in cause.parts) == (other is Added)
    torch.testing.assert_close(sum(cause.parts.values()), curve.gain.log().diff(), rtol=0, atol=1e-11)


# What lies around a cell, by hand


def parts_of(cause):
    return {kind: part.exp().tolist() for kind, part in cause.parts.items()}


def test_a_projection_is_one_of_the_recurrent_weights():
    """Rows at right angles, all of length 0.3: what a gradient of h alone loses on its way in, where no other matrix is."""
    torch.manual_seed(0)
    layer = nn.LSTM(2, 6, proj_size=3).double()
    nn.init.orthogonal_(layer.weight_hr_l0, 0.3)
    nn.init.zeros_(layer.weight_hh_l0)
    (cause,) = causes(layer, torch.randn(5, 3, 2).double(), lambda result: result[0][-1].sum()).values()
    assert parts_of(cause)["weights"] == pytest.approx([0.3, 1, 1, 1])
    assert cause.around == ""


class Halved(Wrapper):
    """Hands half of the state to the cell."""

    def forward(self, x, state):
        return self.cell(x, tuple(part / 2 for part in state))


def test_what_is_done_to_the_state_before_the_cell_is_around_it():
    layer = wrap(Recurrent(cells.Elman, 2, 4), Halved).double()
    nn.init.orthogonal_(layer.get_parameter("cells.0.cell.from_h.weight"), 0.7)
    (cause,) = causes(layer, torch.randn(6, 3, 2).double()).values()
    assert parts_of(cause)["around"] == pytest.approx([0.5] * 5)
    assert parts_of(cause)["weights"] == pytest.approx([0.7] * 5)


def test_what_passes_beside_the_cell_is_around_it():
    """Zoneout in evaluation keeps a quarter of the old state; the cell itself keeps nothing."""
    layer = Recurrent(cells.Elman, 1, 3).double()
    for weight in layer.parameters():
        nn.init.zeros_(weight)
    treated = mitigations.Zoneout(output=0.25, memory=0.0)(layer).eval()
    (cause,) = causes(treated, torch.zeros(8, 2, 1).double()).values()
    assert parts_of(cause)["around"] == pytest.approx([0.25] * 7)
    assert parts_of(cause)["slopes"] == pytest.approx([1.0] * 7)
