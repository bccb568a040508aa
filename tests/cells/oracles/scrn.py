"""A structurally constrained network: its slow part is a weighted sum of all it read, and starts as the authors' does."""

import pytest
import torch
from known_numbers import at_rest
from oracle import assert_normal, oracle


def small(SCRN, **options):
    cell = SCRN(3, 4, context_size=2, **options).double()
    with torch.no_grad():
        for parameter in cell.parameters():
            parameter.normal_()
    return cell


@oracle("SCRN")
def its_slow_part_is_a_sum_over_time(SCRN):
    cell, x = small(SCRN), torch.randn(5, 2, 3).double()
    state = h, s = cell.initial_state(x[0])
    assert set(h.flatten().tolist()) == set(s.flatten().tolist()) == {0.1}
    for each in x:
        state = cell(each, state)
    expected = 0.1 * 0.95**5 + sum(0.05 * 0.95 ** (4 - t) * (x[t] @ cell.b.T) for t in range(5))
    torch.testing.assert_close(state[1], expected)


@oracle("SCRN")
def a_step_back_is_its_matrices(SCRN):
    """The fast part reads the slow one of before; the slow one reads no part but itself, by α."""
    cell, x = small(SCRN), torch.randn(1, 3).double()
    h, s = torch.randn(1, 4).double(), torch.randn(1, 2).double()
    new, _ = cell(x, (h, s))
    φ = torch.sigmoid(x @ cell.from_x.weight.T + s @ cell.p.T + h @ cell.from_h.weight.T)
    torch.testing.assert_close(new, φ)
    slope = (φ * (1 - φ)).T
    rows = [torch.cat([slope * cell.from_h.weight, slope * cell.p], 1)]
    rows.append(torch.cat([torch.zeros(2, 4).double(), 0.95 * torch.eye(2).double()], 1))
    torch.testing.assert_close(at_rest(cell, x, (h, s)), torch.cat(rows))


@oracle("SCRN")
def hands_on_both_parts(SCRN):
    cell, x = small(SCRN, alpha=0.5), torch.randn(2, 3).double()
    before = cell.initial_state(x)
    after = cell(x, before)
    torch.testing.assert_close(after[1], (x @ cell.b.T + before[1]) / 2)
    assert cell.output_size == 6
    assert torch.equal(cell.output(x, before, after), torch.cat(after, 1))


@oracle("SCRN")
def is_drawn_as_the_authors(SCRN):
    cell = SCRN(40, 50)
    assert [part.shape[1] for part in cell.initial_state(torch.zeros(1, 40))] == [50, 20]
    for parameter in cell.parameters():
        assert_normal(parameter, 0.05)
    assert len(list(cell.parameters())) == 4
    with pytest.raises(ValueError, match="context_size"):
        SCRN(3, 4, context_size=0)
