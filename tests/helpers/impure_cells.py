"""Cells whose step does something besides computing, or only looks as if it did."""

import torch
from torch import nn

from rnnvanish import Recurrent
from rnnvanish.cell import Cell, Paper

X = torch.randn(40, 16, 5, generator=torch.Generator().manual_seed(0))
STATS = {"steps": 0}


class Odd(Cell):
    """A step that does something besides; each way is one method."""

    paper = Paper("-", 2026, "written for the tests", "-")
    count = 0

    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.from_x, self.from_h = nn.Linear(input_size, hidden_size), nn.Linear(hidden_size, hidden_size)
        self.steps, self.seen, self.kept = 0, [], {}

    def forward(self, x, state):
        return (torch.tanh(self.from_x(x) + self.from_h(state[0]) + self.besides(x)),)


def odd(name, besides, **parts):
    """A class of such a cell; `parts` are made anew for each."""

    def start(self, input_size, hidden_size):
        Odd.__init__(self, input_size, hidden_size)
        for part, make in parts.items():
            value = make()
            if isinstance(value, torch.Tensor):
                self.register_buffer(part, value)
            else:
                setattr(self, part, value)

    return type(name, (Odd,), {"besides": besides, "__init__": start})


def counts(self, x):
    self.steps += 1
    return 0.0


COUNTS = odd("Counts", counts)


def built(cell):
    torch.manual_seed(0)
    return Recurrent(cell, 5, 8)


class Reading(Odd):
    """Near misses: what only looks like one of those."""

    def besides(self, x):
        found, total = [], 0.0
        for each in (0.1, 0.2):
            found.append(each)
            total += each
        if self.kept:
            print("never")
        rows = x.clone()
        rows.mul_(0.5)
        return sum(found) * rows.mean(-1, keepdim=True) * min(1.0, total + STATS["steps"])


class Local(Odd):
    def besides(self, x):
        x = x + x.new_zeros(len(x), x.shape[1])
        found = {"gain": 0.1}
        found["gain"] += 0.2
        return found["gain"] * x.mean(-1, keepdim=True)
