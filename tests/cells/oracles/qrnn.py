"""The quasi-recurrent network is a convolution over two steps and a sum over time."""

import torch
from oracle import assert_ends, drawn, oracle


@oracle("QRNN")
def is_a_convolution_and_a_sum(QRNN):
    cell, x = drawn(QRNN(3, 4)), torch.randn(9, 2, 3).double()
    state, outputs = cell.initial_state(x[0]), []
    for now in x:
        new = cell(now, state)
        outputs.append(cell.output(now, state, new))
        state = new
    kernel = torch.stack([cell.for_next.weight, cell.from_x.weight], dim=-1)
    padded = torch.cat([torch.zeros_like(x[:1]), x]).permute(1, 2, 0)
    z, f, o = torch.conv1d(padded, kernel, cell.from_x.bias).permute(2, 0, 1).chunk(3, dim=-1)
    f, kept = f.sigmoid(), (1 - f.sigmoid()).cumprod(0)
    c = kept * (f * z.tanh() / kept).cumsum(0)
    torch.testing.assert_close(torch.stack(outputs), o.sigmoid() * c)
    torch.testing.assert_close(state[0], c[-1])


@oracle("QRNN")
def is_drawn_as_one_linear_layer_of_torch_that_reads_both_steps(QRNN):
    assert_ends(lambda: QRNN(8, 5), from_x_weight=0.25, from_x_bias=0.25, for_next_weight=0.25)
    assert QRNN(8, 5).for_next.bias is None
