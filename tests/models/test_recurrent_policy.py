"""Two policies that are trained on rollouts in which episodes end on the way: their states begin anew there.

The designs of facebookresearch/torchbeast (what was seen, the last action and the clipped reward go into an LSTM that is
called step by step, its state times "not done"; heads for policy and value on rows flattened) and of
ikostrikov/pytorch-a2c-ppo-acktr-gail (a GRU that is called once for all steps between one end of any episode and the next).

Espeholt et al. 2018, IMPALA: Scalable Distributed Deep-RL; Schulman et al. 2017, Proximal Policy Optimization.
"""

import itertools

import end_point
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils._pytree import tree_map

from rnnvanish import probes
from rnnvanish.diagnosis.find_faults import find

ACTIONS, SEEN, HIDDEN, TIME, BATCH = 3, 5, 8, 16, 4


class Policy(nn.Module):
    """Step by step, as IMPALA's learner runs."""

    Core = nn.LSTM

    def __init__(self, reset_where=torch.logical_not):
        super().__init__()
        self.eye = nn.Linear(SEEN, 10)
        self.core = self.Core(10 + ACTIONS + 1, HIDDEN)
        self.policy, self.baseline = nn.Linear(HIDDEN, ACTIONS), nn.Linear(HIDDEN, 1)
        self.keep = reset_where

    def start(self):
        return tuple(torch.zeros(1, BATCH, HIDDEN) for _ in range(2))

    def features(self, seen, action, reward):
        return torch.cat([self.eye(seen).relu(), F.one_hot(action, ACTIONS), reward.clamp(-1, 1)[..., None]], -1)

    def run_core(self, x, kept, state):
        steps = []
        for each, keep in zip(x, kept, strict=True):
            step, state = self.core(each[None], tuple(keep[None, :, None] * part for part in state))
            steps.append(step)
        return torch.cat(steps), state

    def forward(self, seen, action, reward, done, state):
        x = self.features(seen, action, reward)
        out, state = self.run_core(x, self.keep(done).to(x), state)
        flat = out.flatten(0, 1)
        logits, values = self.policy(flat), self.baseline(flat)
        return {"logits": logits.view(TIME, BATCH, -1), "baseline": values.view(TIME, BATCH)}, state


class PieceByPiece(Policy):
    """All steps at once between ends, as PPO's update runs."""

    Core = nn.GRU

    def start(self):
        return torch.zeros(1, BATCH, HIDDEN)

    def run_core(self, x, kept, state):
        begins = [0, *(t for t in range(1, TIME) if not kept[t].all()), TIME]
        pieces = []
        for begin, end in itertools.pairwise(begins):
            piece, state = self.core(x[begin:end], state * kept[begin][None, :, None])
            pieces.append(piece)
        return torch.cat(pieces), state


POLICIES = {"step by step": Policy, "piece by piece": PieceByPiece}


def rollout():
    torch.manual_seed(0)
    done = torch.zeros(TIME, BATCH, dtype=torch.bool)
    done[[4, 10, 10, 3], [0, 0, 1, 2]] = True
    action = torch.randint(ACTIONS, (TIME, BATCH))
    return torch.randn(TIME, BATCH, SEEN), action, 2 * torch.randn(TIME, BATCH), done


def actor_critic(output, action, gain, value):
    """Policy gradient, error of the value and entropy; of every step."""
    logits, baseline = output
    chosen = F.cross_entropy(logits.flatten(0, 1), action.flatten(), reduction="none")
    entropy = (logits.softmax(-1) * logits.log_softmax(-1)).sum(-1).mean()
    return (chosen * gain.flatten()).mean() + 0.5 * (baseline - value).square().mean() + 0.01 * entropy


def loss_of(action):
    torch.manual_seed(2)
    gain, value = torch.randn(TIME, BATCH), torch.randn(TIME, BATCH)
    return lambda logits, baseline: actor_critic((logits, baseline), action, gain, value)


def episodes(done):
    found = []
    for row in range(BATCH):
        begins = [0, *done[1:, row].nonzero().flatten().add(1).tolist(), TIME]
        found += [(row, begin, end - 1) for begin, end in itertools.pairwise(begins)]
    return found


def by_hand(model, seen, action, reward, done, state):
    """Logits and value in one (time, batch, actions + 1), and the states."""
    x, step = model.features(seen, action, reward).detach(), end_point.step_of(model.core)
    parts = state if isinstance(state, tuple) else (state,)
    state, states = tuple(part[0].clone().requires_grad_() for part in parts), []
    for t in range(TIME):
        state = tuple(part.clone() for part in step(x[t], tuple(torch.where(done[t, :, None], 0, p) for p in state)))
        states.append(state)
    heads = [
        end_point.outputs(states) @ head.weight.detach().T + head.bias.detach()
        for head in (model.policy, model.baseline)
    ]
    return torch.cat(heads, -1), states


def expected(model, batch, loss=None):
    """Of each episode from its own end; without a loss of what the model returns, its last state included."""
    output, states = by_hand(model, *batch)
    whole = episodes(batch[3])
    own = (lambda both: loss(both[..., :-1], both[..., -1])) if loss else torch.sum
    gradient, at_ends = end_point.by_output(own, output), torch.zeros_like(output)
    for row, _, last in whole:
        at_ends[last, row] = gradient[last, row]
    finals = [] if loss else states[-1]
    return end_point.gains([output, *finals], [at_ends, *map(torch.ones_like, finals)], states, whole)


def in_double(batch):
    return tree_map(lambda part: part.double() if part.is_floating_point() else part, batch)


@pytest.mark.parametrize("named", [False, True], ids=["what it returns", "actor and critic"])
@pytest.mark.parametrize("kind", POLICIES.values(), ids=POLICIES)
def test_gains_agree_with_a_loop_by_hand(kind, named):
    torch.manual_seed(1)
    model, batch = kind().double(), rollout()
    loss, batch = loss_of(batch[1]) if named else None, in_double((*batch, model.start()))
    curves = probes.retention(model, batch, loss and (lambda got: loss(got[0]["logits"], got[0]["baseline"])))
    end_point.assert_same_gains(curves, {"core/layer0/forward": expected(model, batch, loss)})


@pytest.mark.parametrize("kind", POLICIES.values(), ids=POLICIES)
def test_the_sound_policy_has_no_finding(kind):
    torch.manual_seed(1)
    model, batch = kind(), rollout()
    loss = loss_of(batch[1])
    assert find(model, (*batch, model.start())) == ()
    assert find(model, (*batch, model.start()), lambda got: loss(got[0]["logits"], got[0]["baseline"])) == ()


@pytest.mark.parametrize("named", [False, True], ids=["what it returns", "actor and critic"])
@pytest.mark.parametrize("kind", POLICIES.values(), ids=POLICIES)
def test_a_mask_that_is_upside_down_is_named(kind, named):
    torch.manual_seed(1)
    model, batch = kind(torch.clone), rollout()
    loss = loss_of(batch[1])
    found = find(
        model, (*batch, model.start()), (lambda got: loss(got[0]["logits"], got[0]["baseline"])) if named else None
    )
    assert [(each.fault, each.layer, each.after) for each in found] == [("state reset at most steps", "core", TIME)]
