"""Complex tensors as rows of real numbers, Re beside Im, as a loop reads and writes them."""

import torch
from torch import Tensor


def pack(tensor: Tensor) -> Tensor:
    """Put Re and Im side by side; a real tensor is left as it is."""
    return torch.cat([tensor.real, tensor.imag], dim=-1) if tensor.is_complex() else tensor


def unpack(row: Tensor) -> Tensor:
    """Undo `pack` of a complex tensor."""
    return torch.complex(*row.chunk(2, dim=-1))
