"""Losses that read every step, against the gradient of every path by itself."""

import pytest
import torch
from networks import BATCH, HIDDEN, INPUT, TIME, Tagger, same
from torch.nn.functional import cross_entropy
from torch.nn.utils.rnn import pack_padded_sequence

from rnnvanish.probes import retention


def by_hand(model, x, losses, lengths):
    """A loop in which each step's loss is taken by itself: the curve of all losses together, and of the last alone."""
    split = []
    for row, length in enumerate(lengths):
        h, states, values = x.new_zeros(HIDDEN), [], []
        for t in range(length):
            h = model.cell(x[t, row], h)
            states.append(h)
            values.append(losses(model.head(h), t, row))
        total = [torch.autograd.grad(sum(values), s, retain_graph=True)[0].norm() for s in states]
        alone = [torch.autograd.grad(values[-1], s, retain_graph=True)[0].norm() for s in states]
        split.append((total[::-1], alone[::-1]))

    def mean(which):
        rows = [[(size / row[which][0]).log() for size in row[which]] for row in split]
        return torch.stack([torch.stack([r[k] for r in rows if k < len(r)]).mean().exp() for k in range(max(lengths))])

    return mean(0), mean(1)


@pytest.mark.parametrize("kind", ["layer", "cell"])
def test_the_end_point_and_the_whole_loss(kind):
    torch.manual_seed(0)
    model, x, y = Tagger(kind).double(), torch.randn(TIME, BATCH, INPUT).double(), torch.randint(5, (TIME, BATCH))
    (curve,) = retention(model, x, loss=lambda output: cross_entropy(output.flatten(0, 1), y.flatten())).values()
    total, gain = by_hand(model, x, lambda o, t, row: cross_entropy(o, y[t, row]), [TIME] * BATCH)
    same(curve.total.gain, total)
    same(curve.gain, gain)
    assert curve.gain[-1] < curve.total.gain[-1]  # a flat curve of the total hides what is lost on the way


def test_each_sequence_is_counted_from_its_own_end():
    torch.manual_seed(0)
    model, x, lengths = Tagger().double(), torch.randn(TIME, BATCH, INPUT).double(), [7, 5, 2]
    packed = pack_padded_sequence(x, lengths)
    loss = lambda returned: model.head(returned[0].data).square().sum()
    (curve,) = retention(model.layer, packed, loss=loss).values()
    total, gain = by_hand(model, x, lambda o, t, row: o.square().sum(), lengths)
    same(curve.total.gain, total)
    same(curve.gain, gain)


def test_a_loss_of_the_end_is_its_own_end_point():
    model, x = Tagger().double(), torch.randn(TIME, BATCH, INPUT).double()
    (curve,) = retention(model, x, loss=lambda output: output[-1].sum()).values()
    (unnamed,) = retention(model, x).values()
    same(curve.gain, unnamed.gain)
    assert (curve.total, unnamed.total, curve.start) == (None, None, "")
