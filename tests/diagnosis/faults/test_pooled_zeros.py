"""Means, maxima and attention over the zeros behind the ends of a packed batch that was padded again."""

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from rnnvanish import diagnose

TIME, LENGTHS = 16, torch.tensor([9, 14, 16, 5])


def mean(output, lengths):
    return output.mean(1)


def maximum(output, lengths):
    return output.amax(1)


def attention(output, lengths):
    return (output.sum(-1, keepdim=True).softmax(1) * output).sum(1)


def masked_mean(output, lengths):
    return output.sum(1) / lengths[:, None]


def masked_maximum(output, lengths):
    return output.masked_fill((torch.arange(TIME) >= lengths[:, None])[..., None], -torch.inf).amax(1)


def own_end(output, lengths):
    return output[torch.arange(len(lengths)), lengths - 1]


def positive_maximum(output, lengths):  # no zero wins
    return output.relu().amax(1)


def squashed_mean(output, lengths):  # what is zero stays zero
    return output.mul(3).tanh().sum(1) / lengths[:, None]


def each_step(output, lengths):
    return output


class Packed(nn.Module):
    def __init__(self, pool):
        super().__init__()
        torch.manual_seed(0)
        self.memory, self.head, self.pool = nn.GRU(3, 8, batch_first=True), nn.Linear(8, 4), pool

    def forward(self, x, lengths):
        packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        return self.head(self.pool(pad_packed_sequence(self.memory(packed)[0], batch_first=True)[0], lengths))


def pooled(pool, lengths=LENGTHS):
    x = torch.randn(4, TIME, 3, generator=torch.Generator().manual_seed(0))
    found = diagnose(Packed(pool), (x, lengths), quick=True).findings
    return [each for each in found if each.fault == "padding pooled"]


@pytest.mark.parametrize("pool", [mean, maximum])
def test_what_depends_on_how_long_the_batch_is_is_named_and_mended(pool):
    (finding,) = pooled(pool)
    assert not finding.question
    assert finding.before > 1e-3
    assert finding.after < 1e-6
    model, x = Packed(pool), torch.randn(4, TIME, 3, generator=torch.Generator().manual_seed(0))
    short = model(x[3:, :5], LENGTHS[3:])  # what the finding says
    assert not torch.allclose(short, model(x, LENGTHS)[3:], rtol=1e-3)


def test_attention_over_zeros_is_named():
    (finding,) = pooled(attention)
    assert finding.before > 1e-3


@pytest.mark.parametrize("pool", [masked_mean, masked_maximum, own_end, positive_maximum, squashed_mean, each_step])
def test_what_does_not_read_them_is_left_alone(pool):
    assert pooled(pool) == []


def test_where_all_are_of_one_length_there_is_no_padding():
    assert pooled(mean, torch.full((4,), TIME)) == []
