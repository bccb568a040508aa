"""The parallel form of a cell against its step."""

import torch
from oracle import drawn, drawn_state


def assert_parallel_is_the_step(kind, steps, **options):
    """All steps at once, three at a time, equal one after the other, from a state that is not nought.

    Outputs, last state and gradients to 1e-12 of the largest number in double precision; in single precision, where the
    step's own gradients are not as exact, outputs and last state to 1e-6.
    """
    cell = drawn(kind(3, 4, **options))
    cell.chunk = 3
    x = torch.randn(steps, 2, 3).double()
    state = drawn_state(cell, x[0])
    sources = [x.requires_grad_(), *state, *cell.parameters()]
    for part in state:
        part.requires_grad_()
    in_double = [_one_by_one(cell, x, state), _at_once(cell, x, state)]
    _assert_close(*in_double, 1e-12)
    _assert_close(*(_gradients(values, sources) for values in in_double), 1e-12)
    cell, x = cell.float(), x.float()
    state = tuple(part.to(torch.complex64 if part.is_complex() else torch.float32) for part in state)
    _assert_close(_one_by_one(cell, x, state), _at_once(cell, x, state), 1e-6)


def _one_by_one(cell, x, state):
    outputs = []
    for row in x:
        after = cell(row, state)
        outputs.append(cell.output(row, state, after))
        state = after
    return torch.stack(outputs), *state


def _at_once(cell, x, state):
    y, last = cell.parallel(x, state)
    return y, *last


def _gradients(values, sources):
    loss = sum((torch.view_as_real(each) if each.is_complex() else each).cos().sum() for each in values)
    return torch.autograd.grad(loss, sources)


def _assert_close(ours, theirs, tolerance):
    for mine, other in zip(ours, theirs, strict=True):
        assert mine.shape == other.shape
        torch.testing.assert_close(mine, other, rtol=0, atol=tolerance * mine.detach().abs().max().item())
