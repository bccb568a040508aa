"""Losses that read every step, against the gradient of every path by itself."""

import pytest
import torch
from networks import BATCH, HIDDEN, INPUT, TIME, Tagger, same
from torch.nn.functional import cross_entropy
from torch.nn.utils.rnn import pack_padded_sequence

from rnnvanish.probes import retention


def by_hand(model, x, losses, lengths):
    """A loop in which each step's loss is taken by itself: of each sequence, (came in, passed back) at every step.

    What came in at step t is the derivative of the loss of step t alone by the state after it; what is passed back, that
    of all later losses.
    """
    split = []
    for row, length in enumerate(lengths):
        h, states, values = x.new_zeros(HIDDEN), [], []
        for t in range(length):
            h = model.cell(x[t, row], h)
            states.append(h)
            values.append(losses(model.head(h), t, row))
        came_in = [torch.autograd.grad(v, s, retain_graph=True)[0].norm() for v, s in zip(values, states, strict=True)]
        passed = [
            torch.autograd.grad(sum(values[t + 1 :]), states[t], retain_graph=True)[0]
            if t + 1 < length
            else h.new_zeros(HIDDEN)
            for t in range(length)
        ]
        total = [torch.autograd.grad(sum(values), s, retain_graph=True)[0].norm() for s in states]
        alone = [torch.autograd.grad(values[-1], s, retain_graph=True)[0].norm() for s in states]
        split.append([each[::-1] for each in (came_in, [p.norm() for p in passed], total, alone)])
    lags = range(max(lengths))

    def mean(of):
        return torch.stack([torch.stack([of(*each, k) for each in split if k < len(each[0])]).mean() for k in lags])

    share = mean(lambda came_in, passed, total, alone, k: came_in[k] / (came_in[k] + passed[k]))
    gain = mean(lambda came_in, passed, total, alone, k: (total[k] / total[0]).log()).exp()
    journey = mean(lambda came_in, passed, total, alone, k: (alone[k] / alone[0]).log()).exp()
    return share, gain, journey


@pytest.mark.parametrize("kind", ["layer", "cell"])
def test_what_came_in_and_what_travelled(kind):
    torch.manual_seed(0)
    model, x, y = Tagger(kind).double(), torch.randn(TIME, BATCH, INPUT).double(), torch.randint(5, (TIME, BATCH))
    (curve,) = retention(model, x, loss=lambda output: cross_entropy(output.flatten(0, 1), y.flatten())).values()
    share, gain, journey = by_hand(model, x, lambda o, t, row: cross_entropy(o, y[t, row]), [TIME] * BATCH)
    same(curve.injected, share)
    same(curve.gain, gain)
    same(curve.journey.gain, journey)
    assert curve.injected[0] == 1
    assert 0.1 < curve.injected[1:].min() < curve.injected[1:].max() < 1
    assert curve.journey.gain[-1] < curve.gain[-1]  # a flat curve of the total hides what is lost on the way


def test_each_sequence_is_counted_from_its_own_end():
    torch.manual_seed(0)
    model, x, lengths = Tagger().double(), torch.randn(TIME, BATCH, INPUT).double(), [7, 5, 2]
    packed = pack_padded_sequence(x, lengths)
    loss = lambda returned: model.head(returned[0].data).square().sum()
    (curve,) = retention(model.layer, packed, loss=loss).values()
    share, gain, journey = by_hand(model, x, lambda o, t, row: o.square().sum(), lengths)
    same(curve.injected, share)
    same(curve.gain, gain)
    same(curve.journey.gain, journey)


def test_a_loss_of_the_end_injects_nothing_on_the_way():
    model, x = Tagger().double(), torch.randn(TIME, BATCH, INPUT).double()
    (curve,) = retention(model, x, loss=lambda output: output[-1].sum()).values()
    assert curve.injected.tolist() == [1, *[0] * (TIME - 1)]
    same(curve.journey.gain, curve.gain)
    assert next(iter(retention(model, x).values())).injected is None
