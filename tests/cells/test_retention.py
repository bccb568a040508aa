"""How much of the gradient is left, of every cell, against an explicit loop over its steps."""

import pytest
import torch
from every_cell import BATCH, HIDDEN, TIME, built, sequences

from rnnvanish import cells, probes


def explicit_gain(cell, x):
    """|dL/ds_{T-k}| over |dL/ds_T| of one sequence, of what is memory and stands for itself, L read from the last output.

    A nought is added to each state: its gradient is the one that is asked for.
    """
    state, noughts, scales = cell.initial_state(x[0]), [], []
    for now in x:
        before, state = state, cell(now, state)
        added = tuple(torch.zeros_like(part) for part in state)
        memory = [n for n, name in enumerate(cell.state_names) if name not in cell.helpers]
        noughts.append([added[n].requires_grad_() for n in memory])
        scales.append([torch.as_tensor(cell.scales(state)[n]) for n in memory])
        state = tuple(part + nought for part, nought in zip(state, added, strict=True))
        output = cell.output(now, before, state)
    found = torch.autograd.grad(loss(output), [each for step in noughts for each in step], materialize_grads=True)
    norms = []
    for step in scales:
        gradients = [found[len(norms) * len(step) + n] / scale.detach() for n, scale in enumerate(step)]
        norms.append(torch.linalg.vector_norm(torch.cat([torch.view_as_real(each).flatten() if each.is_complex()
                                                         else each.flatten() for each in gradients])))  # fmt: skip
    return torch.stack(norms).flip(0) / norms[-1]


def loss(output):
    return (output * torch.linspace(1, 2, output.shape[-1]).to(output)).sum()


@pytest.mark.parametrize("name", cells.ALL)
def test_retention_is_that_of_an_explicit_loop(name):
    layer, x = built(name), sequences()
    (curve,) = probes.retention(layer, x, loss=lambda returned: loss(returned[0][-1])).values()
    per_sequence = torch.stack([explicit_gain(layer.cells[0], x[:, i : i + 1]) for i in range(BATCH)])
    assert len(curve.gain) == TIME
    torch.testing.assert_close(curve.gain, per_sequence.log().mean(0).exp(), rtol=1e-9, atol=1e-12)


def test_an_lru_loses_powers_of_its_eigenvalues():
    """Of a loss L of the last output: |∂L/∂s λᵏ| over |∂L/∂s|; and no direction of the state loses more or less."""
    layer, x = built("LRU"), sequences(time=40)
    (curve,) = probes.retention(layer, x, loss=lambda returned: loss(returned[0][-1])).values()
    cell = layer.cells[0]
    decay = torch.polar(torch.exp(-torch.exp(cell.nu)), torch.exp(cell.theta)).detach()
    read = torch.linspace(1, 2, HIDDEN).to(decay) @ torch.complex(cell.c_re, cell.c_im).detach()
    expected = torch.stack([(read * decay**k).norm() for k in range(40)]) / read.norm()
    torch.testing.assert_close(curve.gain, expected, rtol=1e-10, atol=0)
    directions = decay.abs().pow(5).repeat_interleave(2).sort(descending=True)[0]
    for found in probes.jacobian(layer, x, lag=5):
        torch.testing.assert_close(found, directions, rtol=1e-10, atol=0)
