"""The plain recurrent network is torch's own; what torch has not is its function."""

import torch
from oracle import as_torch, assert_drawn_as_torch, oracle
from torch import nn


@oracle("Elman")
def is_torchs(Elman):
    for nonlinearity in ("tanh", "relu"):
        theirs, ours = as_torch(nn.RNNCell(3, 4, nonlinearity=nonlinearity), Elman(3, 4, nonlinearity=nonlinearity))
        x, h = torch.randn(2, 3).double(), torch.randn(2, 4).double()
        torch.testing.assert_close(ours(x, (h,))[0], theirs(x, h))


@oracle("Elman")
def squashes_by_the_function_of_its_name(Elman):
    functions = {"sigmoid": torch.sigmoid, "leaky_relu": nn.functional.leaky_relu}
    functions |= {"prelu": lambda a: torch.where(a > 0, a, a / 4), "tanh": torch.tanh, "relu": torch.relu}
    for nonlinearity, φ in functions.items():
        cell, x, h = (
            Elman(3, 4, nonlinearity=nonlinearity).double(),
            torch.randn(2, 3).double(),
            torch.randn(2, 4).double(),
        )
        torch.testing.assert_close(cell(x, (h,))[0], φ(cell.from_x(x) + cell.from_h(h)))
    cell = Elman(3, 4).double()
    torch.testing.assert_close(cell(x, (h,))[0], torch.tanh(cell.from_x(x) + cell.from_h(h)))


@oracle("Elman")
def is_drawn_as_torchs(Elman):
    assert_drawn_as_torch(Elman, nn.RNNCell)
