"""Cells that ask something of the engine that those of the catalogue do not: each a step as its paper writes it."""

import torch
from torch import nn
from torch.nn.functional import logsigmoid, relu

from rnnvanish.cell import Cell, Paper

NOWHERE = Paper("-", 2026, "written for the tests", "-")


def zeros(cell, x):
    return x.new_zeros(len(x), cell.hidden_size)


class Step(Cell):
    paper = NOWHERE
    gates = 1

    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.from_x = nn.Linear(input_size, self.gates * hidden_size)
        self.from_h = nn.Linear(hidden_size, self.gates * hidden_size)


class ResetBefore(Step):
    """GRU of Cho et al. as printed: the reset gate acts before the product, so a step has two of them in a row."""

    gates = 2

    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.candidate = nn.Linear(input_size + hidden_size, hidden_size)

    def forward(self, x, state):
        (h,) = state
        r, z = torch.sigmoid(self.from_x(x) + self.from_h(h)).chunk(2, dim=-1)
        n = torch.tanh(self.candidate(torch.cat([x, r * h], dim=-1)))
        return (torch.lerp(n, h, z),)


class LongExpressive(Step):
    """LEM: the second part of the state reads what the first has just become."""

    state_names = ("y", "z")
    gates = 3

    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.from_z = nn.Linear(hidden_size, hidden_size)
        self.of_y = nn.Linear(input_size, hidden_size)

    def forward(self, x, state):
        y, z = state
        a, b, c = (self.from_x(x) + self.from_h(y)).chunk(3, dim=1)
        slow, fast = 0.7 * torch.sigmoid(a), 0.7 * torch.sigmoid(b)
        z = (1 - fast) * z + fast * torch.tanh(c)
        y = (1 - slow) * y + slow * torch.tanh(self.of_y(x) + self.from_z(z))
        return y, z


class Peephole(Step):
    """LSTM whose gates see c: diagonal weights beside the matrix, one of them on the c just written."""

    state_names = ("h", "c")
    gates = 4

    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.peep = nn.Parameter(torch.randn(3, hidden_size))

    def forward(self, x, state):
        h, c = state
        pi, pf, po = self.peep
        i, f, g, o = (self.from_x(x) + self.from_h(h)).split(self.hidden_size, dim=1)
        c = torch.sigmoid(f + pf * c) * c + torch.sigmoid(i + pi * c) * torch.tanh(g)
        return torch.sigmoid(o + po * c) * torch.tanh(c), c


class RecurrentHighway(Step):
    """Two highway layers within a step, the second without input."""

    gates = 2

    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.again = nn.Linear(hidden_size, 2 * hidden_size)

    def forward(self, x, state):
        (s,) = state
        for pre in (lambda s: self.from_x(x) + self.from_h(s), self.again):
            h, t = pre(s).chunk(2, dim=-1)
            s = torch.tanh(h) * torch.sigmoid(t) + s * (1 - torch.sigmoid(t))
        return (s,)


class Independent(Step):
    """IndRNN: a diagonal recurrence, its weights clamped."""

    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.u = nn.Parameter(torch.randn(hidden_size))
        del self.from_h

    def forward(self, x, state):
        return (relu(self.from_x(x) + self.u.clamp(-0.9, 0.9) * state[0]),)


class Antisymmetric(Step):
    """A matrix that is made from another one, and a scalar that is learnt."""

    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.step = nn.Parameter(torch.tensor(0.3))

    def forward(self, x, state):
        (h,) = state
        w = self.from_h.weight
        return (h + self.step * torch.tanh(self.from_x(x) + h @ (w - w.t() - 0.1 * torch.eye(len(w)).to(w)).t()),)


class Exponential(Step):
    """sLSTM: exponential gates, kept in range by a running maximum; four parts of a state."""

    state_names = ("h", "c", "n", "m")
    gates = 4

    def forward(self, x, state):
        h, c, n, m = state
        i, f, g, o = (self.from_x(x) + self.from_h(h)).chunk(4, dim=-1)
        f = logsigmoid(f)
        top = torch.maximum(f + m, i)
        keep, write = torch.exp(f + m - top), torch.exp(i - top)
        c, n = keep * c + write * torch.tanh(g), keep * n + write
        return torch.sigmoid(o) * c / n.clamp(min=1e-6), c, n, top


class Linear(Step):
    """minGRU: what decides about the state does not depend on it."""

    gates = 2

    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        del self.from_h

    def forward(self, x, state):
        z, n = self.from_x(x).chunk(2, dim=-1)
        z = torch.sigmoid(z)
        return ((1 - z) * state[0] + z * n,)


class Complex(Step):
    """LRU: a diagonal of complex numbers, its state in two parts; output and state differ."""

    state_names = ("y", "re", "im")
    gates = 2

    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.log_decay, self.phase = nn.Parameter(torch.randn(hidden_size)), nn.Parameter(torch.rand(hidden_size) * 3)
        self.out = nn.Linear(2 * hidden_size, hidden_size)
        del self.from_h

    def forward(self, x, state):
        _, re, im = state
        size = torch.exp(-torch.exp(self.log_decay))
        a, b = size * torch.cos(self.phase), size * torch.sin(self.phase)
        u, v = self.from_x(x).chunk(2, dim=-1)
        re, im = a * re - b * im + u, b * re + a * im + v
        return self.out(torch.cat([re, im], dim=-1)), re, im


class InComplexNumbers(Complex):
    """The same LRU with a complex state."""

    state_names = ("y", "h")

    def initial_state(self, x):
        return zeros(self, x), zeros(self, x).to(x.dtype.to_complex())

    def forward(self, x, state):
        _, h = state
        h = torch.exp(torch.complex(-torch.exp(self.log_decay), self.phase)) * h
        h = h + torch.complex(*self.from_x(x).chunk(2, dim=-1))
        weight = torch.complex(*self.out.weight.chunk(2, dim=1))
        return (h @ weight.mH).real + self.out.bias, h


class ModReLU(Step):
    """A complex matrix, and a nonlinearity that acts on the size of a number alone; the output is complex."""

    gates = 2

    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.re, self.im = (nn.Parameter(torch.randn(hidden_size, hidden_size) / 3) for _ in range(2))
        self.bias = nn.Parameter(torch.randn(hidden_size))
        del self.from_h

    def initial_state(self, x):
        return (zeros(self, x).to(x.dtype.to_complex()),)

    def forward(self, x, state):
        w = torch.complex(self.re, self.im)
        z = state[0] @ w.mH + torch.complex(*self.from_x(x).chunk(2, dim=-1))
        return (torch.polar(relu(z.abs() + self.bias), z.angle()),)


class Oscillators(Step):
    """A real part and a complex one that read each other: amplitudes, and phases that the real part turns."""

    state_names = ("h", "c")
    gates = 2

    def initial_state(self, x):
        return zeros(self, x), zeros(self, x).to(x.dtype.to_complex())

    def forward(self, x, state):
        h, c = state
        turn, write = (self.from_x(x) + self.from_h(h)).chunk(2, dim=-1)
        c = torch.exp(1j * turn) * (0.9 * c.conj() + write / (1.5 + 1j * h))
        return torch.tanh(c.real) * c.abs(), torch.cat([c[:, 1:], c[:, :1]], dim=-1)


class Normalised(Step):
    """Sums over the units of a step, within the loop."""

    def forward(self, x, state):
        a = self.from_x(x) + self.from_h(state[0])
        a = (a - a.mean(-1, keepdim=True)) * torch.rsqrt(a.var(-1, keepdim=True, unbiased=False) + 1e-5)
        return (torch.tanh(a),)


class SidesBySide(Step):
    """LSTM by one matrix over [x, h]: nothing is parted by the one who wrote it."""

    state_names = ("h", "c")

    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.all = nn.Linear(input_size + hidden_size, 4 * hidden_size)
        del self.from_x, self.from_h

    def forward(self, x, state):
        h, c = state
        i, f, g, o = self.all(torch.cat([x, h], dim=-1)).chunk(4, dim=-1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        return torch.sigmoid(o) * torch.tanh(c), c


STEPS = [ResetBefore, LongExpressive, Peephole, RecurrentHighway, Independent, Antisymmetric, Exponential, Linear,
         Complex, InComplexNumbers, ModReLU, Oscillators, Normalised, SidesBySide]  # fmt: skip


def assert_memory_of_their_own(tensors):
    """Every gradient of these lies in memory that is its own, and is no expanded one."""
    gradients = {name: tensor.grad for name, tensor in tensors if tensor.grad is not None}
    assert gradients
    owner = {}
    for name, gradient in gradients.items():
        other = owner.setdefault(gradient.untyped_storage().data_ptr(), name)
        assert other == name, f"{name} shares the memory of its gradient with {other}"
        assert gradient.untyped_storage().nbytes() == gradient.numel() * gradient.element_size(), name
