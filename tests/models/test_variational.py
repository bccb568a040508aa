"""A variational recurrent network (VRNN): a GRU called step by step, whose input holds a number drawn from what its own state says.

It returns two numbers, divergence and likelihood, summed over all steps, and lists of what it encoded and decoded at each step.
"""

import end_point
import pytest
import torch
from torch import nn
from torch.nn.functional import softplus

from rnnvanish import diagnose, probes
from rnnvanish.diagnosis.find_faults import find

TIME, BATCH, PIXELS, HIDDEN, LATENT = 16, 4, 5, 10, 3
NAME = "rnn/layer0/forward"


class Variational(nn.Module):
    def __init__(self, detached=False, stacked=False):
        super().__init__()
        self.from_x = nn.Sequential(nn.Linear(PIXELS, HIDDEN), nn.ReLU())
        self.from_z = nn.Sequential(nn.Linear(LATENT, HIDDEN), nn.ReLU())
        self.prior = nn.Sequential(nn.Linear(HIDDEN, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, 2 * LATENT))
        self.encode = nn.Sequential(nn.Linear(2 * HIDDEN, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, 2 * LATENT))
        self.decode = nn.Sequential(nn.Linear(2 * HIDDEN, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, PIXELS), nn.Sigmoid())
        self.rnn = nn.GRU(2 * HIDDEN, HIDDEN, bias=False)
        self.detached, self.stacked = detached, stacked

    def forward(self, x):
        return self.through(lambda x, h: self.rnn(x[None], h[None])[1][0], x)[0]

    def through(self, step, x):
        """What it returns, and the states."""
        h, states, divergence, likelihood, encoded, decoded = x.new_zeros(BATCH, HIDDEN), [], 0.0, 0.0, [], []
        for now in x:
            if self.detached:
                h = h.detach()
            seen = self.from_x(now)
            mean, spread = self.encode(torch.cat([seen, h], -1)).chunk(2, -1)
            expected, width = self.prior(h).chunk(2, -1)
            spread, width = softplus(spread), softplus(width)
            z = self.from_z(mean + spread * torch.randn_like(mean))
            y = self.decode(torch.cat([z, h], -1))
            h = step(torch.cat([seen, z], -1), h)
            states.append((h,))
            shift = (spread**2 + (mean - expected) ** 2) / width**2
            divergence = divergence + (2 * (width / spread).log() + shift - 1).sum() / 2
            likelihood = likelihood - (now * y.log() + (1 - now) * (1 - y).log()).sum()
            encoded.append(mean)
            decoded.append(y)
        if self.stacked:
            return torch.stack(decoded), states
        return (divergence, likelihood, encoded, decoded), states


def variational(**options):
    torch.manual_seed(0)
    return Variational(**options).double()


def digits():
    return torch.rand(TIME, BATCH, PIXELS, generator=torch.Generator().manual_seed(0)).double()


def measured(model, loss):
    torch.manual_seed(7)
    return probes.retention(model, digits(), loss)[NAME]


def by_hand(model, loss, stacked=True):
    """The gain from what is decoded last, which reads the state before; through the numbers that are drawn, too."""
    output, states = through_by_hand(model)
    decoded = output if stacked else torch.stack(output[3])
    gradient = end_point.by_output(loss, decoded)
    gradient = end_point.only(gradient, torch.full((BATCH,), TIME - 1))
    return end_point.gains(decoded, gradient, states[:-1], end_point.whole(states[:-1]))


def from_last_state(model, loss):
    """The gain from the last state that the loss reads, back through all that leads to it: what is drawn depends on the state."""
    output, states = through_by_hand(model)
    (start,) = torch.autograd.grad(loss(output), states[-2], retain_graph=True)
    return end_point.gains(states[-2][0], start, states[:-1], end_point.whole(states[:-1]))


def through_by_hand(model):
    """The model over a GRU written again, with the same numbers drawn."""
    torch.manual_seed(7)
    step = step_by_hand(model.rnn)
    return model.through(lambda x, h: step(x, h).clone(), digits().requires_grad_())


def step_by_hand(gru):
    """A GRU without biases."""
    from_x, from_h = gru.weight_ih_l0.chunk(3), gru.weight_hh_l0.chunk(3)

    def step(x, h):
        reset, update = ((x @ w.T + h @ u.T).sigmoid() for w, u in zip(from_x[:2], from_h[:2], strict=True))
        return (1 - update) * (x @ from_x[2].T + reset * (h @ from_h[2].T)).tanh() + update * h

    return step


def bound(output):
    return output[0] + output[1]


def close(curve, gain):
    torch.testing.assert_close(curve.gain, gain, rtol=1e-6, atol=0)
    assert curve.verdict == "healthy"


@pytest.mark.parametrize("loss", [None, lambda y: y.square().mean(), lambda y: y[-1].square().sum()])
def test_agrees_with_a_loop_by_hand(loss):
    model = variational(stacked=True)
    close(measured(model, loss), by_hand(model, loss or torch.sum))


def test_of_a_list_of_steps():
    model = variational()
    squares = lambda decoded: sum(y.square().mean() for y in decoded)
    close(measured(model, lambda output: squares(output[3])), by_hand(model, squares, stacked=False))


def test_of_two_numbers():
    model = variational()
    curve = measured(model, bound)
    close(curve, from_last_state(model, bound))
    assert "from the last state that it reads, and goes back by every way that leads to that state." in curve.start


def test_it_is_sound():
    diagnosis = diagnose(variational(), digits(), bound, quick=True)
    assert diagnosis.healthy
    assert not diagnosis.findings


def test_a_state_that_is_detached_at_every_step():
    """As in a public version of this network."""
    for model, loss in ((variational(detached=True), bound), (variational(detached=True, stacked=True), None)):
        (finding,) = find(model, digits(), loss)
        assert finding.fault == "no gradient comes back"  # the output reads the state before the step, detached
        assert "detach in Variational" in finding.seen
        assert finding.before == 0
        assert finding.after > 0.1
