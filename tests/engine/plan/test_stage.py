"""What of a step is done when."""

import pytest
import torch
from engine_steps import LongExpressive, Peephole, SidesBySide

from rnnvanish import cells
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
