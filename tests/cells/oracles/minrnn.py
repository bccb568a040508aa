"""The minimal cells are the parallel form of the authors' code: sums of logarithms over time, all steps at once."""

import torch
from oracle import assert_ends, oracle
from torch.nn.functional import softplus

from rnnvanish import Recurrent


def log_g(a):
    return torch.where(a >= 0, (a.relu() + 0.5).log(), -softplus(-a))


def all_at_once(log_keep, log_write, log_n, h):
    """h_t = Σ_k (Π_{j>k} keep_j) write_k n_k, with the state before as its first term."""
    kept = torch.cat([torch.zeros_like(log_keep[:1]), log_keep]).cumsum(0)
    written = torch.cat([h.log()[None], log_write + log_n])
    return (kept + (written - kept).logcumsumexp(0)).exp()[1:]


def run(kind):
    """A layer, its input, its state before and what its one product gives."""
    layer = Recurrent(kind, 3, 4, engine="reference").double()
    x, h = torch.randn(9, 2, 3).double(), torch.rand(2, 4).double()
    return layer(x, h[None])[0], h, layer.cells[0].from_x(x)


@oracle("MinGRU")
def is_its_parallel_form(MinGRU):
    outputs, h, product = run(MinGRU)
    n, z = product.chunk(2, dim=-1)
    torch.testing.assert_close(outputs, all_at_once(-softplus(z), -softplus(-z), log_g(n), h))


@oracle("MinLSTM")
def is_its_parallel_form_with_normed_gates(MinLSTM):
    outputs, h, product = run(MinLSTM)
    n, f, i = product.chunk(3, dim=-1)
    difference = softplus(-f) - softplus(-i)
    torch.testing.assert_close(outputs, all_at_once(-softplus(difference), -softplus(-difference), log_g(n), h))


@oracle("MinGRU")
@oracle("MinLSTM")
def is_drawn_as_a_linear_layer_of_torch(kind):
    assert_ends(lambda: kind(16, 5), from_x_weight=0.25, from_x_bias=0.25)
