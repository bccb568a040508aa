"""The simple recurrent unit without v is a sum over time; with it, it is a loop over numbers of each unit by itself."""

import math

import torch
from oracle import assert_ends, drawn, oracle


def run(cell, x, c):
    outputs = []
    for now in x:
        after = cell(now, (c,))
        outputs.append(cell.output(now, (c,), after))
        (c,) = after
    return torch.stack(outputs), c


@oracle("SRU")
def is_a_sum_over_time_where_no_gate_reads_the_state(SRU):
    for width in (3, 4):  # 4 needs a matrix to lead past the state
        cell, x, c = drawn(SRU(3, width)), torch.randn(9, 2, 3).double(), torch.randn(2, width).double()
        with torch.no_grad():
            cell.v.zero_()
        outputs, last = run(cell, x, c)
        f, r = cell.from_x(x).sigmoid().chunk(2, dim=-1)
        kept = f.cumprod(0)
        states = kept * (c + ((1 - f) * cell.candidate(x) / kept).cumsum(0))
        past = x * math.sqrt(3) if width == 3 else cell.highway(x)
        torch.testing.assert_close(outputs, past + r * (states - past))
        torch.testing.assert_close(last, states[-1])


@oracle("SRU")
def reads_the_state_before_in_both_gates(SRU):
    """The authors' form: c + f (old − c), and the output by r of the old state."""
    cell, x, c = drawn(SRU(3, 3)), torch.randn(5, 1, 3).double(), torch.randn(1, 3).double()
    outputs, last = run(cell, x, c)
    for unit in range(3):
        value = c[0, unit]
        for t in range(5):
            f, r = (
                torch.sigmoid(cell.from_x(x[t])[0, block * 3 + unit] + v[unit] * value)
                for block, v in enumerate(cell.v)
            )
            candidate = cell.candidate(x[t])[0, unit]
            value = candidate + (value - candidate) * f
            past = 3**0.5 * x[t, 0, unit]
            torch.testing.assert_close(outputs[t, 0, unit], past + (value - past) * r)
        torch.testing.assert_close(last[0, unit], value)


@oracle("SRU")
def is_drawn_as_the_authors_do(SRU):
    cell, scale = SRU(12, 40, highway_bias=-2.0), math.sqrt(1 + 2 * math.exp(-2.0))
    gates = {"from_x_weight": 0.5 * 0.5**0.5, "v": 1.5**0.5}
    assert_ends(lambda: SRU(12, 4, highway_bias=-2.0), candidate_weight=0.5, highway_weight=0.5 * scale, **gates)
    assert cell.candidate.bias is None
    assert cell.highway.bias is None
    assert cell.from_x.bias.tolist() == [0.0] * 40 + [-2.0] * 40
    assert SRU(3, 4).from_x.bias.tolist() == [0.0] * 8
    torch.testing.assert_close(SRU(4, 4, highway_bias=-2.0).alpha, scale)
