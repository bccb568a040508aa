"""What of a step is done when."""

import pytest
import torch
from engine_steps import LongExpressive, Peephole, SidesBySide
from torch import nn

from rnnvanish import cells
from rnnvanish.cell import Cell, Paper
from rnnvanish.engine.plan.stage import stage


@pytest.mark.parametrize("cell", [cells.Elman, cells.GRU, cells.LSTM, Peephole, LongExpressive])
def test_the_input_is_multiplied_for_all_steps_at_once(cell):
    step, x = cell(5, 6), torch.zeros(1, 5)
    staged = stage(step, x, step.initial_state(x), False)
    assert any(value.op == "linear" for value, _ in staged.early)
    loops = (staged.forward, staged.backward)
    lefts = {product.left.buffer for loop in loops for phase in loop.phases for product in phase.products}
    assert "x" not in lefts
    # Nothing but products with the state is left in the loop: as many as the cell has matrices for it.
    assert sum(len(phase.products) for phase in staged.forward.phases) == (2 if cell is LongExpressive else 1)


def test_a_product_with_input_and_state_side_by_side_stays_in_the_loop():
    step, x = SidesBySide(5, 6), torch.zeros(1, 5)
    staged = stage(step, x, step.initial_state(x), False)
    assert not staged.early
    assert [product.height for phase in staged.forward.phases for product in phase.products] == [11]


class TwiceTheSame(Cell):
    """Written as it comes to mind: each product, and each gate, twice; two random numbers that are none."""

    state_names = ("c", "h")
    paper = Paper("-", 2026, "written for the tests", "-")

    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.from_x, self.from_h = nn.Linear(input_size, hidden_size), nn.Linear(hidden_size, hidden_size)

    def gate(self, x, h):
        return torch.sigmoid(self.from_x(x) + self.from_h(h))

    def forward(self, x, state):
        c, h = state
        c = self.gate(x, h) * c + (1 - self.gate(x, h)) * self.from_x(x) + torch.rand_like(h) - torch.rand_like(h)
        return c, self.gate(x, h) * torch.tanh(c)


def test_what_is_written_twice_is_computed_once_and_random_numbers_stay_apart():
    step, x = TwiceTheSame(5, 6), torch.zeros(1, 5)
    staged = stage(step, x, step.initial_state(x), False)
    assert len(staged.draws) == 2
    assert [value.op for value, _ in staged.early].count("linear") == 1
    assert sum(len(phase.products) for phase in staged.forward.phases) == 1
    assert len(staged.invariants) == 4  # no weight twice
