"""Holding a program against the cell that it was made from, before it is used."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from rnnvanish.cell import State
from rnnvanish.engine.ir.isolated_rng import IsolatedRNG
from rnnvanish.engine.ir.parameters import named_weights
from rnnvanish.engine.ir.unsupported import Unsupported
from rnnvanish.engine.loop import Program
from rnnvanish.engine.reference import padding_mask, plain_loop
from rnnvanish.numerics.real_view import is_number

STEPS, BATCH = 3, 2
#: Largest difference, relative to the largest number of each result.
TOLERANCE = {torch.float32: 1e-3, torch.float64: 1e-8}


def verify(cell: Any, program: Program, x: Tensor, state: State, masked: bool) -> None:
    """Compare a few steps of `cell`, a copy that nobody uses, with the plain loop: outputs and all gradients.

    Tracing sees operations, and not all that a cell may do besides: cut the gradient by `no_grad`, or keep something
    from one step to the next.

    Raises:
        Unsupported: Where they differ.
    """
    with torch.enable_grad():
        own = torch.Generator().manual_seed(0)
        x = torch.randn(STEPS, BATCH, x.shape[2], dtype=x.dtype, generator=own).to(x.device).requires_grad_()
        start = tuple(
            (
                part[:1].detach() + 0.1 * torch.rand(BATCH, *part.shape[1:], dtype=part.dtype, generator=own).to(part)
            ).requires_grad_()
            for part in state
        )
        lengths = torch.tensor([STEPS - 1, STEPS], device=x.device) if masked else None
        ended = None if lengths is None else padding_mask(STEPS, lengths).unsqueeze(-1)
        weights = [
            weight.requires_grad_(is_number(weight)) for weight in named_weights(dict(cell.named_modules())).values()
        ]
        inputs = [x, *start, *(weight for weight in weights if weight.requires_grad)]

        def plain() -> tuple[Tensor, State]:
            states = plain_loop(cell, x, start, lengths)
            return torch.stack([parts[0] for parts in states]), states[-1]

        def compiled() -> tuple[Tensor, State]:
            return program(x, ended, program.staged.prologue(*weights), start, None)

        expected, got = _outputs_and_gradients(plain, inputs), _outputs_and_gradients(compiled, inputs)
    for ours, theirs in zip(got, expected, strict=True):
        size = max(float(theirs.abs().nan_to_num(posinf=0, neginf=0).max()), 1e-6)
        if not torch.allclose(ours, theirs, rtol=0, atol=TOLERANCE[x.dtype.to_real()] * size, equal_nan=True):
            raise Unsupported(
                "way to see all that its step does (does it cut the gradient, or keep something from step to step?)"
            )


def _outputs_and_gradients(run: Callable[[], tuple[Tensor, State]], inputs: list[Tensor]) -> list[Tensor]:
    """Outputs, and the gradients of a sum that weighs each number of them differently."""
    with IsolatedRNG(inputs[0].device):
        y, final = run()
    outputs = [torch.view_as_real(out) if out.is_complex() else out for out in (y, *final)]
    weighed = [(out * torch.linspace(-1, 1, out.numel()).to(out).view_as(out)).sum() for out in outputs]
    gradients = torch.autograd.grad(torch.stack(weighed).sum(), inputs, allow_unused=True)
    return [out.detach() for out in outputs] + [
        torch.zeros_like(tensor) if gradient is None else gradient
        for gradient, tensor in zip(gradients, inputs, strict=True)
    ]
