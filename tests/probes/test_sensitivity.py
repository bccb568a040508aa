"""Sensitivity: torch's own fused run and its gradient with respect to the input."""

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence

from rnnvanish.probes.sensitivity import sensitivity


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_against_the_gradient_of_the_input(kind):
    torch.manual_seed(0)
    module, x = getattr(nn, kind)(2, 4).double(), torch.randn(9, 2, 2).double().requires_grad_()
    lengths = torch.tensor([9, 5])
    packed = pack_padded_sequence(x, lengths)
    loss = module(packed)[1]
    (of_x,) = torch.autograd.grad(sum(part.sum() for part in loss), x)
    sizes = of_x.norm(dim=-1)
    aligned = [[sizes[length - 1 - lag, s] for s, length in enumerate(lengths) if lag < length] for lag in range(9)]
    expected = torch.stack([torch.stack(lag).square().mean().sqrt() for lag in aligned])
    (found,) = sensitivity(module, pack_padded_sequence(x.detach(), lengths)).values()
    torch.testing.assert_close(found.size, expected.detach(), rtol=0, atol=1e-11)
    torch.testing.assert_close(found.share, expected.detach() / expected.detach().sum(), rtol=0, atol=1e-11)


def test_of_a_loss_that_reads_every_step_it_is_that_of_the_last():
    torch.manual_seed(0)
    module, x = nn.GRU(2, 4, batch_first=True).double(), torch.randn(3, 7, 2).double().requires_grad_()

    def loss(output):
        return output[0].square().sum()

    (of_x,) = torch.autograd.grad(module(x)[0][:, -1].square().sum(), x)
    (found,) = sensitivity(module, x.detach(), loss).values()
    expected = of_x.square().sum(-1).mean(0).sqrt().flip(0)
    torch.testing.assert_close(found.size, expected, rtol=0, atol=1e-11)
