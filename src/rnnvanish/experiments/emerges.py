"""Section 4: what adds up over time, what multiplies, and who has a say in the sum."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from rnnvanish.claim import Verdict, at_least, at_most, claim, control
from rnnvanish.experiments import sources
from rnnvanish.experiments.scopes import before_training
from rnnvanish.experiments.small import HIDDEN, STEPS, Small, difference

RECURRENT = "weight_hh_l0"
Square = Float[Tensor, "hidden hidden"]


def scaled(seed: int, scale: float = 1.0) -> Small:
    """Draw the small network, with its recurrent weights `scale` times as large as torch draws them."""
    network = Small(seed)
    with torch.no_grad():
        network.rnn.get_parameter(RECURRENT).mul_(scale)
    return network


def gradient(network: Small) -> Square:
    """Return the gradient of the recurrent weights, as torch computes it: all steps share them."""
    return torch.autograd.grad(network(), network.rnn.get_parameter(RECURRENT))[0]


def contributions(network: Small) -> Float[Tensor, "time hidden hidden"]:
    """Give every step a copy of the recurrent weights of its own, and return the gradient of each copy."""
    rnn = network.rnn
    copies = [rnn.get_parameter(RECURRENT).detach().clone().requires_grad_() for _ in network.x]
    state = torch.zeros(len(network.target), rnn.hidden_size, dtype=torch.float64)
    for now, copy in zip(network.x, copies, strict=True):
        state = torch.tanh(now @ rnn.weight_ih_l0.T + rnn.bias_ih_l0 + state @ copy.T + rnn.bias_hh_l0)
    loss = (state @ network.readout - network.target).square().mean()
    return torch.stack(torch.autograd.grad(loss, copies))


def shares(network: Small) -> Float[Tensor, " time"]:
    """Return the part that each step has in the gradient: the size of its contribution over the sum of all sizes."""
    sizes: Tensor = contributions(network).flatten(1).norm(dim=1)
    return sizes / sizes.sum()


@torch.no_grad()
def step_jacobians(network: Small) -> list[Square]:
    """Return how each state hangs on the one before: slope of tanh times weights; in the first sequence, steps 2 on."""
    states = network.rnn(network.x[:, :1])[0][:, 0]
    return [(1 - state**2)[:, None] * network.rnn.weight_hh_l0 for state in states[1:]]


def jacobian(network: Small) -> Square:
    """Return how the last state hangs on the first, as torch computes it."""
    first = network.rnn(network.x[:1, :1])[1].detach()
    whole: Tensor = torch.autograd.functional.jacobian(lambda state: network.rnn(network.x[1:, :1], state)[1], first)
    return whole.squeeze()


@claim(
    section=4,
    sentence="To get the gradient of a weight, the derivatives of all time steps are multiplied with each other.",
    finding="The product of what the steps contribute is nowhere near the gradient. Contributions to a weight add.",
    scope=before_training("nn.RNN", HIDDEN, STEPS, "a number to guess from white noise"),
    statistic="powers of ten between the size of the gradient and the product of the sizes of the contributions",
    unit="powers of ten",
    source=sources.GARG,
    stated=Verdict.FAILS,
    holds=at_most(0.1),
    fails=at_least(10),
    control=control("where a single step contributes: the product of one number is the number", steps=2),
)
def derivatives_of_weights_multiply(seed: int, steps: int = STEPS) -> float:
    """Compare the product with the gradient; in logarithms, because no number format holds the product."""
    network = Small(seed, steps)
    sizes = contributions(network)[1:].flatten(1).norm(dim=1)  # the first step starts from zeros: it contributes none
    return abs(float(sizes.log10().sum()) - math.log10(float(gradient(network).norm())))


@claim(
    section=4,
    sentence="The gradient of a weight is the sum of what each step contributes.",
    finding="The contributions of all steps add up to the gradient, to the last digits.",
    scope=before_training("nn.RNN", HIDDEN, STEPS, "a number to guess from white noise"),
    statistic="difference between the sum of the contributions and PyTorch's gradient",
    unit="of its size",
    source=sources.PYTORCH_BOOK,
    stated=Verdict.HOLDS,
    holds=at_most(1e-12),
    fails=at_least(1e-3),
    control=control("where the last step is left out of the sum", steps=slice(-1)),
    identity=True,
)
def contributions_add(seed: int, steps: slice = slice(None)) -> float:
    """Compare the sum with the gradient."""
    network = Small(seed)
    return difference(contributions(network)[steps].sum(0), gradient(network))


@claim(
    section=4,
    sentence="From one state to the next, derivatives multiply.",
    finding="How the last state hangs on the first is the product of how each state hangs on the one before it.",
    scope=before_training("nn.RNN", HIDDEN, STEPS, "a number to guess from white noise"),
    statistic="difference between the product of 59 derivatives and PyTorch's derivative of the last state by the first",
    unit="of its size",
    source=sources.INTERACTIVE_PRIMER,
    stated=Verdict.HOLDS,
    holds=at_most(1e-10),
    fails=at_least(1e-3),
    control=control("where they are multiplied the other way round", backwards=False),
    identity=True,
)
def derivatives_of_states_multiply(seed: int, backwards: bool = True) -> float:
    """Compare the product with what torch gives for all steps at once."""
    network = Small(seed)
    factors = step_jacobians(network)[:: -1 if backwards else 1]
    return difference(torch.linalg.multi_dot(factors), jacobian(network))


@claim(
    section=4,
    sentence="Every step of the sequence has its say in the gradient.",
    finding="In a network as PyTorch draws it, nearly all of the gradient comes from the last 10 of 60 steps.",
    scope=before_training("nn.RNN", HIDDEN, STEPS, "a number to guess from white noise"),
    statistic="part that the last 10 of 60 steps contribute; an equal say would be 0.17",
    unit="of the gradient",
    stated=Verdict.FAILS,
    holds=at_most(0.5),
    fails=at_least(0.99),
    control=control("with recurrent weights three times as large", scale=3.0),
)
def every_step_has_a_say(seed: int, scale: float = 1.0) -> float:
    """Add up the shares of the last steps."""
    return float(shares(scaled(seed, scale))[-10:].sum())
