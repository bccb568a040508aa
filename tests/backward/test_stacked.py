"""States that a model keeps in whatever form between steps: the loop of the plain model, whose zeros give the gradient."""

from functools import partial

import pytest
import torch
from torch import nn

from rnnvanish.diagnosis.cause.cause import causes
from rnnvanish.probes import jacobian, retention

TIME, BATCH, HIDDEN = 6, 3, 4  # the input is as wide as the state: shapes do not say which is which
same = partial(torch.testing.assert_close, rtol=1e-10, atol=1e-12)


class Own(nn.Module):
    """A step of the user's own, in the form of torch's."""

    def __init__(self, inputs, hidden):
        super().__init__()
        self.core = nn.LSTMCell(inputs, hidden)

    def forward(self, x, state):
        return self.core(x, state)


def by_writing(tensors):
    kept = torch.zeros(len(tensors), *tensors[0].shape, dtype=tensors[0].dtype)
    for place, each in enumerate(tensors):
        kept[place] = each
    return list(kept)


def by_dict(tensors):
    memory = {f"part{place}": each for place, each in enumerate(tensors)}
    return [memory[key].view(BATCH, 2, -1).flatten(1) for key in sorted(memory)]


#: What brings the four tensors (h and c of two cells) through a container and back, without a change.
BETWEEN = {
    "stack": lambda parts: list(torch.stack(parts)),
    "stack behind": lambda parts: [torch.stack(parts, dim=-1)[..., place] for place in range(4)],
    "cat, split": lambda parts: list(torch.cat(parts, dim=1).split(HIDDEN, dim=1)),
    "cat, chunk": lambda parts: [part.clone() for part in torch.cat(parts).chunk(4)],
    "unbind": lambda parts: list(torch.stack(parts, dim=1).unbind(1)),
    "transpose": lambda parts: list(torch.stack(parts).transpose(0, 1).contiguous().transpose(0, 1)),
    "narrow": lambda parts: [torch.cat(parts, 1).narrow(1, place * HIDDEN, HIDDEN) for place in range(4)],
    "gather": lambda parts: [torch.stack(parts)[torch.tensor([place])].squeeze(0) for place in range(4)],
    "index": lambda parts: [torch.stack(parts).index_select(0, torch.tensor(place))[0] for place in range(4)],
    "written by index": by_writing,
    "dict": by_dict,
    "pad": lambda parts: [nn.functional.pad(part, (1, 2))[:, 1:-2] for part in parts],
    "times one": lambda parts: [1.0 * part for part in parts],
}


class Two(nn.Module):
    """Two cells, one above the other; `see` takes the state of each."""

    def __init__(self, kind, between):
        super().__init__()
        self.lower, self.upper, self.between = kind(HIDDEN, HIDDEN), kind(HIDDEN, HIDDEN), between

    def forward(self, x):
        return self.run(x, lambda states: states)

    def run(self, x, see):
        zero = x.new_zeros(x.shape[1], HIDDEN)
        ha = ca = hb = cb = zero
        for now in x:
            ha, ca = see(self.lower(now, (ha, ca)))
            hb, cb = see(self.upper(ha, (hb, cb)))
            ha, ca, hb, cb = self.between([ha, ca, hb, cb])
        return hb


def explicit(model, x):
    """A zero added to each state; its gradient is the one that is asked for."""
    zeros = []

    def see(state):
        zeros.append([torch.zeros_like(part, requires_grad=True) for part in state])
        return [part + zero for part, zero in zip(state, zeros[-1], strict=True)]

    value = model.run(x, see).sum()
    found = iter(torch.autograd.grad(value, [part for zero in zeros for part in zero], materialize_grads=True))
    norms = torch.stack([torch.cat([next(found), next(found)], 1).norm(dim=1) for _ in zeros])
    return [(each / each[0]).log().mean(1).exp() for each in (norms[::2].flip(0), norms[1::2].flip(0))]


@pytest.mark.parametrize("between", BETWEEN)
@pytest.mark.parametrize("kind", [nn.LSTMCell, Own])
def test_whatever_they_are_kept_in(kind, between):
    torch.manual_seed(0)
    model, x = Two(kind, BETWEEN[between]).double(), torch.randn(TIME, BATCH, HIDDEN).double()
    given = {"cells": [Own]} if kind is Own else {}
    curves = retention(model, x, **given)
    for curve, expected in zip(curves.values(), explicit(model, x), strict=True):
        same(curve.gain, expected)
        assert (len(curve.names), curve.notes) == (2, ())
    if kind is Own:
        assert [cause.note for cause in causes(model, x, **given).values()] == ["", ""]
        found = jacobian(model, x, lag=2, layer="upper", **given)
        model.between = list
        same(found, jacobian(model, x, lag=2, layer="upper", **given))
