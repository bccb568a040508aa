"""Cells whose state has several axes: heads, matrices, a memory of vectors, rows of complex numbers."""

import math

import torch
from torch import nn

from rnnvanish.cell import Cell, Paper

INPUT, HEADS, WIDTH = 3, 2, 4


class Axes(Cell):
    """A cell of `HEADS` heads whose state has the shapes of `parts` behind the batch."""

    paper = Paper("-", 2026, "written for the tests", "-")
    parts = ((HEADS, WIDTH),)

    def __init__(self):
        super().__init__(INPUT, HEADS * WIDTH)
        self.from_x = nn.Linear(INPUT, 3 * HEADS * WIDTH)
        self.state_names = tuple(f"s{index}" for index in range(len(self.parts)))

    def heads(self, x):
        return self.from_x(x).view(-1, 3, HEADS, WIDTH).unbind(1)

    @property
    def output_size(self):
        return math.prod(self.parts[0])

    def initial_state(self, x):
        return tuple(x.new_zeros(len(x), *shape) for shape in self.parts)

    def output(self, x, before, after):
        return after[0].real.flatten(1)


class BlockDiagonal(Axes):
    """Each head has a matrix of its own; another one all have in common, and a slope for each head."""

    def __init__(self):
        super().__init__()
        self.blocks = nn.Parameter(torch.randn(HEADS, WIDTH, WIDTH))
        self.turned = nn.Parameter(torch.randn(HEADS, WIDTH, WIDTH))
        self.shared = nn.Linear(WIDTH, WIDTH)
        self.slope = nn.Parameter(torch.randn(HEADS, 1))

    def forward(self, x, state):
        (s,) = state
        own, z, _ = self.heads(x)
        own = own + torch.einsum("bgi,gij->bgj", s, self.blocks)
        turned = torch.einsum("bgi,gji->bgj", torch.tanh(s), self.turned)
        return (torch.tanh(own + self.shared(s) * self.slope) + torch.sigmoid(z) * turned,)


class Matrices(Axes):
    """A matrix for each head: written by an outer product, read along either axis, beside a vector and a number."""

    parts = ((HEADS, WIDTH, WIDTH), (HEADS, WIDTH), (1,))

    def __init__(self):
        super().__init__()
        self.rate = nn.Parameter(torch.randn(WIDTH, WIDTH))
        self.line = nn.Parameter(torch.randn(WIDTH))

    def forward(self, x, state):
        S, n, m = state
        q, k, v = self.heads(x)
        read = (S @ q[..., None]).squeeze(-1) + (k[:, :, None] @ S).squeeze(2)
        error = v - torch.tanh(read + (S * self.line).sum((2, 3))[..., None])
        S = torch.exp(-self.rate.square()) * S + torch.einsum("bgi,bgj->bgij", error, torch.sigmoid(k))
        m = m + S.mean((1, 2, 3))[:, None]
        return S, torch.sigmoid(m)[:, :, None] * n + S.transpose(2, 3).sum(-1) / WIDTH, torch.tanh(m)


class Memory(Axes):
    """The last four vectors, moved on at every step, and read in several orders."""

    parts = ((WIDTH, HEADS),)

    def forward(self, x, state):
        (s,) = state
        a, b, c = self.heads(x)
        new = torch.tanh(a.transpose(1, 2)[:, :1] + s[:, 1:3].sum(1, keepdim=True) + s.flip(1)[:, 1:2])
        s = torch.cat([new, s[:, :-1]], dim=1)
        sides = torch.cat([s[:, :, 1:] * b.mean(1)[:, :, None], s[:, :, :1] * c[:, 0, :, None]], dim=2)
        return (sides + s.unflatten(1, (2, 2)).transpose(1, 2).flatten(1, 2),)


class Complex(Axes):
    """A row of complex numbers for each unit, read by weights of the same shape."""

    parts = ((WIDTH, 3), (WIDTH,))

    def __init__(self):
        super().__init__()
        self.angle, self.write = (nn.Parameter(torch.randn(WIDTH, 3)) for _ in range(2))
        self.line = nn.Linear(INPUT, WIDTH)

    def initial_state(self, x):
        first, second = super().initial_state(x)
        return first.to(x.dtype.to_complex()), second

    def forward(self, x, state):
        s, h = state
        s = 0.9 * torch.polar(torch.ones_like(self.angle), self.angle) * s + self.write * self.line(x)[:, :, None]
        return s, torch.tanh((torch.complex(self.write, self.angle) * s).sum(-1).real - 0.5 * h)
