"""Layers of torch.nn in double precision, and what `Recurrent` makes of them."""

import torch
from torch import nn

from rnnvanish import Recurrent

TIME, BATCH, INPUT, HIDDEN = 6, 4, 3, 5
KINDS = {
    "RNN": nn.RNN,
    "RNN relu": lambda *sizes, **options: nn.RNN(*sizes, nonlinearity="relu", **options),
    "LSTM": nn.LSTM,
    "GRU": nn.GRU,
}
EXACT = {"rtol": 1e-12, "atol": 1e-12}


def torchs(kind="LSTM", **options):
    return KINDS[kind](INPUT, HIDDEN, **({"num_layers": 2, "bidirectional": True} | options)).double()


def both(kind="LSTM", **options):
    theirs = torchs(kind, **options)
    return theirs, Recurrent.from_torch(theirs)


def x_of(*shape):
    return torch.randn(*(shape or (TIME, BATCH, INPUT)), dtype=torch.float64)


def names(module):
    return [name for name, _ in module.named_parameters()]
