"""Rollouts whose environments are reset on the way, against each episode by itself; a zero is added to every state."""

from functools import partial
from itertools import pairwise

import pytest
import torch
from torch import nn

from rnnvanish.diagnosis.cause.cause import causes
from rnnvanish.probes import bypass, cases, depth, jacobian, lyapunov, retention, shares

TIME, BATCH, INPUT, HIDDEN = 9, 4, 3, 5
same = partial(torch.testing.assert_close, rtol=1e-10, atol=1e-12)


def in_place(state, done):
    for part in state:
        part[done] = 0.0
    return state


#: What becomes of a state (h and c) where an environment has ended, (batch,).
RESETS = {
    "multiply": lambda state, done: [part * (~done)[:, None] for part in state],
    "where": lambda state, done: [torch.where(done[:, None], torch.zeros_like(part), part) for part in state],
    "fill": lambda state, done: [part.masked_fill(done[:, None], 0.0) for part in state],
    "in place": in_place,
    "one by one": lambda state, done: [
        torch.stack([torch.zeros_like(row) if end else row for row, end in zip(part, done, strict=True)])
        for part in state
    ],
    "detached": lambda state, done: [torch.where(done[:, None], part.detach(), part) for part in state],
}


class Rollout(nn.Module):
    def __init__(self, reset, layered=False):
        super().__init__()
        self.cell, self.reset, self.layered = (nn.LSTM if layered else nn.LSTMCell)(INPUT, HIDDEN), reset, layered

    def forward(self, x, done):
        return self.run(x, done, lambda state: state)

    def run(self, x, done, see):
        state, outputs = [x.new_zeros(x.shape[1], HIDDEN)] * 2, []
        for now, end in zip(x, done, strict=True):
            if self.layered:
                state = [part[0] for part in self.cell(now[None], tuple(part[None] for part in state))[1]]
            else:
                state = self.cell(now, tuple(state))
            state = see(state)
            outputs.append(state[0].clone())
            state = self.reset(state, end)
        return torch.stack(outputs)


def ended(*places):
    done = torch.zeros(TIME, BATCH, dtype=torch.bool)
    for place in places:
        done[place] = True
    return done


def whole(output):
    return output.exp().sum()


def end(output):
    return output[-1].exp().sum()


def ends_of(done):
    """The end of every episode alone."""
    last = done.clone()
    last[-1] = True
    return lambda output: output.exp()[last].sum()


def explicit(model, x, done, loss, begins):
    """Episodes by hand: norms of the gradient by the whole state, each episode's own end first."""
    zeros = []

    def see(state):
        zeros.append([torch.zeros_like(part, requires_grad=True) for part in state])
        return [part + zero for part, zero in zip(state, zeros[-1], strict=True)]

    value = loss(model.run(x, done, see))
    flat = [zero for step in zeros for zero in step]
    found = iter(torch.autograd.grad(value, flat, materialize_grads=True))
    norms = torch.stack([torch.cat([next(found), next(found)], 1).norm(dim=1) for _ in zeros])
    rows = []
    for row in range(x.shape[1]):
        bounds = [0, *(t for t in range(1, len(x)) if begins[t, row]), len(x)]
        pieces = [norms[a:b, row].flip(0) for a, b in pairwise(bounds)]
        rows += [(piece / piece[0]).log() for piece in pieces if piece[0] > 0]
    longest = max(map(len, rows))
    return torch.stack([torch.stack([r[lag] for r in rows if lag < len(r)]).mean().exp() for lag in range(longest)])


@pytest.mark.parametrize("loss", [end, whole])
@pytest.mark.parametrize("reset", RESETS)
@pytest.mark.parametrize("layered", [False, True])
def test_each_episode_is_measured_from_its_own_end(layered, reset, loss):
    torch.manual_seed(0)
    model, x = Rollout(RESETS[reset], layered).double(), torch.randn(TIME, BATCH, INPUT).double()
    done = ended((4, 1), (2, 2), (5, 2))
    (curve,) = retention(model, (x, done), loss=loss).values()
    if loss is whole:
        same(curve.total.gain, explicit(model, x, done, whole, done.roll(1, 0)))
        loss = ends_of(done)
        assert curve.start.endswith("from one of them alone, the last of each episode.")
    same(curve.gain, explicit(model, x, done, loss, done.roll(1, 0)))
    assert any("begin anew on the way: 7 episodes in 4 sequences" in note for note in curve.notes)
    assert not any("mask" in note or "changes" in note for note in curve.notes)


def test_one_environment_and_all_at_once():
    torch.manual_seed(0)
    model, x = Rollout(RESETS["multiply"]).double(), torch.randn(TIME, BATCH, INPUT).double()
    for some, done in ((x, ended((3, slice(None)))), (x[:, :1], ended((3, 0))[:, :1])):
        curves = retention(model, (some, done), loss=end)
        assert list(curves) == ["cell"]
        same(curves["cell"].gain, explicit(model, some, done, end, done.roll(1, 0)))


def test_a_rollout_that_is_not_reset_has_no_note():
    torch.manual_seed(0)
    model, x = Rollout(RESETS["multiply"]).double(), torch.randn(TIME, BATCH, INPUT).double()
    (curve,) = retention(model, (x, ended()), loss=whole).values()
    same(curve.total.gain, explicit(model, x, ended(), whole, ended()))
    same(curve.gain, explicit(model, x, ended(), end, ended()))
    assert curve.notes == ()


def test_what_is_reset_to_what_was_before_is_no_episode():
    """A mask that holds the old state leads it past the step."""
    torch.manual_seed(0)

    class Held(Rollout):
        def run(self, x, done, see):
            state = [x.new_zeros(x.shape[1], HIDDEN)] * 2
            for now, end in zip(x, done, strict=True):
                new = self.cell(now, tuple(state))
                state = [torch.where(end[:, None], old, part) for part, old in zip(new, state, strict=True)]
            return state[0][None]

    model, x = Held(RESETS["where"]).double(), torch.randn(TIME, BATCH, INPUT).double()
    (curve,) = retention(model, (x, ended((4, 1), (2, 2))), loss=end).values()
    assert any("past a step, by a mask" in note for note in curve.notes)
    assert not any("anew" in note for note in curve.notes)


def test_products_of_steps_are_those_of_the_latest_episode():
    torch.manual_seed(0)
    model, x = Rollout(RESETS["where"]).double(), torch.randn(TIME, BATCH, INPUT).double()
    given = x, ended((4, 1), (2, 2), (5, 2))
    latest = nn.LSTM(INPUT, HIDDEN).double()
    latest.load_state_dict({f"{name}_l0": weight for name, weight in model.cell.state_dict().items()})
    for row, start in enumerate((0, 5, 6, 0)):
        one = x[start:, row : row + 1]
        same(jacobian(model, given, lag=2)[row], jacobian(latest, one, lag=2)[0])
        same(lyapunov(model, given)[row], lyapunov(latest, one)[0])
        same(cases(model, given, lags=[2]).log_worst[:, row], cases(latest, one, lags=[2]).log_worst[:, 0])
    with pytest.raises(ValueError, match="shortest sequence has 3 steps"):
        jacobian(model, given, lag=3)


def test_other_measures_count_from_each_end_too():
    torch.manual_seed(0)
    model, x = Rollout(RESETS["where"]).double(), torch.randn(TIME, BATCH, INPUT).double()
    given = x, ended((4, 1), (2, 2), (5, 2))
    (curve,) = retention(model, given, loss=whole).values()
    (cause,) = causes(model, given, whole).values()
    assert (cause.note, len(cause.gain)) == ("", len(curve.gain) - 1)
    one = bypass(model, given, end)["cell"]
    same(one.share, torch.zeros(TIME, dtype=torch.float64))
    outer = x.clone().requires_grad_()
    (of_x,) = torch.autograd.grad(ends_of(given[1])(model(outer, given[1])), outer)
    same(torch.tensor(depth(model, given, whole)["cell"].leaves), of_x.norm().float())
    assert len(shares(model, given, whole)["cell"].all) == TIME


class Inside(nn.Module):
    """The step resets its state itself."""

    def __init__(self):
        super().__init__()
        self.cell = nn.GRUCell(INPUT, HIDDEN)

    def forward(self, x, h, done):
        return self.cell(x, h * (~done)[:, None])


class Steps(nn.Module):
    def __init__(self):
        super().__init__()
        self.step = Inside()

    def forward(self, x, done):
        h = x.new_zeros(x.shape[1], HIDDEN)
        for now, end in zip(x, done, strict=True):
            h = self.step(now, h, end)
        return h


def test_a_cut_inside_of_a_step_is_said():
    torch.manual_seed(0)
    model, x = Steps().double(), torch.randn(TIME, BATCH, INPUT).double()
    (curve,) = retention(model, (x, ended((4, 1))), cells=[Inside]).values()
    assert any("In 1 of 4 sequences nothing of the gradient passes some step" in note for note in curve.notes)
    (curve,) = retention(model, (x, ended()), cells=[Inside]).values()
    assert curve.notes == ()
