"""Complex tensors as rows of real numbers, Re beside Im, as a loop reads and writes them."""

import math

import torch
from torch import Tensor


def is_number(tensor: Tensor) -> bool:
    """Whether a tensor holds numbers that have a gradient, real or complex: no counts, no masks."""
    return tensor.is_floating_point() or tensor.is_complex()


def pack(tensor: Tensor) -> Tensor:
    """Put Re and Im side by side; a real tensor is left as it is."""
    return torch.cat([tensor.real, tensor.imag], dim=-1) if tensor.is_complex() else tensor


def unpack(row: Tensor) -> Tensor:
    """Undo `pack` of a complex tensor."""
    return torch.complex(*row.chunk(2, dim=-1))


def pack_part(part: Tensor) -> Tensor:
    """A part of a state, (batch, ...), as one real row for each sequence."""
    return pack(part.reshape(len(part), math.prod(part.shape[1:])))


def unpack_part(rows: Tensor, shape: tuple[int, ...], is_complex: bool) -> Tensor:
    """Undo `pack_part`, of rows that may have more axes before their numbers; `shape` is that behind the batch."""
    numbers = unpack(rows) if is_complex else rows
    return numbers if len(shape) == 1 else numbers.reshape(*numbers.shape[:-1], *shape)
