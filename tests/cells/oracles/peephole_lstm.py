"""The LSTM with peepholes is torch's with biases that are moved by what the peepholes see."""

import torch
from oracle import assert_uniform, drawn, gate, oracle, torchs
from torch import nn


@oracle("PeepholeLSTM")
def is_torchs_without_peepholes(PeepholeLSTM):
    cell = drawn(PeepholeLSTM(3, 4))
    with torch.no_grad():
        cell.peepholes.zero_()
    theirs = torchs(nn.LSTMCell, **{name: gate(cell, name) for name in "ifgo"})
    x, h, c = (torch.randn(2, width).double() for width in (3, 4, 4))
    torch.testing.assert_close(cell(x, (h, c)), theirs(x, (h, c)))


@oracle("PeepholeLSTM")
def sees_the_old_cell_by_two_gates_and_the_new_one_by_the_third(PeepholeLSTM):
    cell = drawn(PeepholeLSTM(3, 4))
    gates = {name: gate(cell, name) for name in "ifgo"}
    x, h, c = (torch.randn(1, width).double() for width in (3, 4, 4))
    to_i, to_f, to_o = cell.peepholes.detach()
    seen = {"i": to_i * c[0], "f": to_f * c[0]}
    for _ in range(2):  # first the new cell, then what its own peephole makes of it
        moved = {name: (w, u, b + seen.get(name, 0)) for name, (w, u, b) in gates.items()}
        expected = torchs(nn.LSTMCell, **moved)(x, (h, c))
        seen["o"] = to_o * expected[1][0]
    torch.testing.assert_close(cell(x, (h, c)), expected)


@oracle("PeepholeLSTM")
def is_drawn_as_tensorflow_does(PeepholeLSTM):
    cell = PeepholeLSTM(40, 100)
    bound = (6 / (40 + 100 + 4 * 100)) ** 0.5
    assert_uniform(cell.from_x.weight, bound)
    assert_uniform(cell.from_h.weight, bound)
    assert cell.from_x.bias.tolist() == [0.0] * 100 + [1.0] * 100 + [0.0] * 200
    assert cell.from_h.bias is None
    for peephole in cell.peepholes:
        assert_uniform(peephole, (6 / (100 + 100)) ** 0.5)
