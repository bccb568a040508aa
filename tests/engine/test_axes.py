"""Rows of several axes inside the loop: heads, states that are matrices, sums over one axis; against the plain loop."""

import pytest
import torch
from axes_steps import HEADS, INPUT, BlockDiagonal, Complex, Matrices, Memory

from rnnvanish.engine.run import run


def results(cell, x, state, lengths, engine):
    y, final = run(cell, x, state, lengths, engine)
    outputs = [torch.view_as_real(out) if out.is_complex() else out for out in (y, *final)]
    loss = sum((out * torch.linspace(-1, 1, out.numel()).to(out).view_as(out)).sum() for out in outputs)
    return outputs, torch.autograd.grad(loss, [x, *state, *cell.parameters()], materialize_grads=True)


@pytest.mark.parametrize("kind", [BlockDiagonal, Matrices, Memory, Complex])
def test_a_step_along_axes_is_that_of_the_plain_loop(kind):
    """With as many sequences as heads, so that the batch may be taken for an axis."""
    torch.manual_seed(0)
    cell = kind().double()
    x = torch.randn(7, HEADS, INPUT).double().requires_grad_()
    state = tuple(torch.rand_like(part).requires_grad_() for part in cell.initial_state(x[0].detach()))
    found = [results(cell, x, state, torch.tensor([7, 4]), engine) for engine in ("cpu", "reference")]
    for ours, theirs in zip(*(outputs + list(gradients) for outputs, gradients in found), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-11 * max(float(theirs.abs().max()), 1.0))
