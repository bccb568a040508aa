"""Section 19: attention makes the way back one step long; what is far stays far, and looking costs."""

from functools import cache

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from rnnvanish.claim import Verdict, at_least, at_most, claim, control
from rnnvanish.experiments import sources
from rnnvanish.experiments.bptt import numbers_kept
from rnnvanish.experiments.claim_grid import Grid, grid_claim
from rnnvanish.experiments.claim_study import ATTENDING, DEFAULT, Outcome
from rnnvanish.experiments.scopes import before_training, trained
from rnnvanish.experiments.small import seeded
from rnnvanish.experiments.workbench import BATCH, HIDDEN, LEARNER, STEPS, Build, learn
from rnnvanish.mitigations import AttentionOverPast
from rnnvanish.mitigations.attention_over_past import Attention
from rnnvanish.probes import Curve, retention
from rnnvanish.tasks import Recall

LAG, LIMIT = 40, 150
NARROW = 16  # units where work and memory are counted
SHORT = 20  # steps from the bit to the answer, where it is looked into what was learnt


def layer(attends: bool, hidden: int = HIDDEN) -> Build:
    """Say how to draw a plain network as torch does, with attention over its past states or without."""
    return lambda: AttentionOverPast("dot")(nn.RNN(1, hidden)) if attends else nn.RNN(1, hidden)


@cache
def curve(attends: bool, seed: int, steps: int = STEPS) -> Curve:
    """Measure how much gradient each state gets, from a loss that reads the last output."""
    with seeded(seed):
        network = layer(attends)().double()
        x = torch.randn(steps, BATCH, 1).double()
    (measured,) = retention(network, x, lambda result: result[0][-1].sum()).values()
    return measured


@cache
def looked_at(seed: int, limit: int) -> Tensor:
    """Teach a network with attention a bit `SHORT` steps back, and measure how much gradient each state gets, the last first."""
    reader = learn(layer(True, LEARNER), SHORT, seed, limit=limit, lr=0.01).model.double()
    inputs = Recall(SHORT + 1).sample(64, torch.Generator().manual_seed(1000 + seed)).inputs.double()
    (measured,) = retention(reader.get_submodule("layer"), inputs, lambda result: result[0][-1].square().sum()).values()
    return measured.gain


class Looking(nn.Module):
    """A plain network that adds to each state what dot-product attention reads of the past; for counting work and memory.

    Args:
        hidden: Width of the state.
        fused: Whether torch's own operation computes the attention, or the formula as it is written.
    """

    def __init__(self, hidden: int, fused: bool) -> None:
        super().__init__()
        self.rnn, self.attention, self.fused = nn.RNN(1, hidden), Attention(hidden, "dot"), fused

    def forward(self, x: Tensor) -> Tensor:
        """Return the states with what was read."""
        states: Tensor = self.rnn(x)[0]
        if not self.fused:
            read: Tensor = self.attention(states)[0]
            return states + read
        parts = (self.attention.query(states), self.attention.key(states), states)
        query, key, value = (part.transpose(0, 1).unsqueeze(1) for part in parts)  # one head
        read = nn.functional.scaled_dot_product_attention(query, key, value, is_causal=True)
        return states + read.squeeze(1).transpose(0, 1)


def kept(attends: bool, steps: int, seed: int = 0, fused: bool = False) -> int:
    """Count the numbers that one run keeps for the way back."""
    with seeded(seed):
        network, x = Looking(NARROW, fused) if attends else nn.RNN(1, NARROW), torch.randn(steps, 1, 1)
    return numbers_kept(lambda: network(x), (*network.parameters(), x))


def work(attends: bool, steps: int, seed: int = 0) -> int:
    """Count the multiplications of one run."""
    with seeded(seed):
        network, x = Looking(NARROW, fused=False) if attends else nn.RNN(1, NARROW), torch.randn(steps, 1, 1)
    with FlopCounterMode(display=False) as counter:
        network(x)
    additions_too: int = counter.get_total_flops()
    return additions_too // 2


@claim(
    section=19,
    sentence="With attention, the gradient of early steps does not fall with the distance.",
    finding="It does not: a state 100 steps back gets about as much as one 10 steps back. Each is one step away.",
    scope=before_training("nn.RNN with attention over its past states", HIDDEN, STEPS),
    statistic="gradient that is left 100 steps back, as a part of that 10 steps back",
    unit="of it",
    source=sources.ATLAS_LIMITS,
    stated=Verdict.HOLDS,
    holds=at_least(0.3),
    fails=at_most(0.01),
    control=control("without attention", attends=False),
)
def path_is_one_step(seed: int, attends: bool = True) -> float:
    """Compare far with near."""
    gain = curve(attends, seed).gain
    return float(gain[100] / gain[10])


@claim(
    section=19,
    sentence="Attention makes what lies far back as easy to reach as the last step.",
    finding="Not before training: all past steps share what attention hands out, and each gets a small part of it. "
    "It has to learn where to look.",
    scope=before_training("nn.RNN with attention over its past states", HIDDEN, STEPS),
    statistic="gradient that is left 100 steps back, as a part of that at the last step",
    unit="of it",
    source=sources.ROBOTECH,
    stated=Verdict.FAILS,
    holds=at_least(0.5),
    fails=at_most(0.1),
    control=control("one step back", lag=1),
)
def far_is_as_easy_as_near(seed: int, lag: int = 100) -> float:
    """Compare far with the last."""
    return float(curve(True, seed).gain[lag])


@claim(
    section=19,
    sentence="Attention is free.",
    finding="Eight times as many steps take some fifty times the work: every step looks at all before it.",
    scope=f"nn.RNN with attention over its past states, {NARROW} units, white noise, 100 and 800 steps, one pass there",
    statistic="multiplications at 800 steps, as a multiple of those at 100",
    unit="times",
    stated=Verdict.FAILS,
    holds=at_most(8.5),
    fails=at_least(16),
    seeds=1,
    control=control("without attention", attends=False),
)
def attention_is_free(seed: int, attends: bool = True) -> float:
    """Count at both lengths."""
    return work(attends, 800, seed) / work(attends, 100, seed)


@claim(
    section=19,
    sentence="The memory that attention needs grows with the square of the length.",
    finding="Only if one writes it down as the formula has it. PyTorch's own attention computes the weights again on the way back, "
    "and keeps none of them: eight times as many steps then take eight times the memory.",
    scope=f"nn.RNN with PyTorch's own attention over its past states, {NARROW} units, white noise, 100 and 800 steps, one pass there",
    statistic="numbers kept for the way back at 800 steps, as a multiple of those at 100",
    unit="times",
    stated=Verdict.FAILS,
    holds=at_least(32),
    fails=at_most(9),
    seeds=1,
    control=control("where it is written as in the formula", fused=False),
)
def memory_grows_with_the_square(seed: int, fused: bool = True) -> float:
    """Count at both lengths."""
    return kept(True, 800, seed, fused) / kept(True, 100, seed, fused)


@grid_claim(
    section=19,
    sentence=f"With attention, a plain network learns what lies {LAG} steps back, and without it does not.",
    finding="With Adam and 16 units it learns to recall the bit, where the plain network does in one draw of three. With more units "
    "the plain network learns it as often. Plain gradient descent taught it with attention in two of nine draws, both of 256 "
    "units, and without it never.",
    scope="`nn.RNN` as PyTorch draws it, with attention and without",
    statistic="share of the seeds that learn with attention, less that without",
    unit="of the seeds",
    sides=(ATTENDING, DEFAULT),
    grid=Grid(lag=(LAG,)),
    stated=Verdict.CAVEAT,
    holds=at_least(0.6),
    fails=at_most(0.4),
    control=control("where neither has attention", sides=(DEFAULT, DEFAULT)),
)
def attention_learns(attending: Outcome, plain: Outcome) -> float:
    """Compare how many learn."""
    return attending.share - plain.share


@claim(
    section=19,
    sentence="Once it is trained, attention sends the gradient to what matters.",
    finding="It does, as far as we looked: the step with the sign gets many times what a step of noise gets. Before "
    "training all got the same.",
    scope=trained("nn.RNN with attention", LEARNER, f"a bit {SHORT} steps back", LIMIT, 0.01),
    statistic="gradient at the step with the sign, as a multiple of that at the middle one of the steps of noise",
    unit="times",
    stated=Verdict.HOLDS,
    holds=at_least(3),
    fails=at_most(1.5),
    control=control("before training", limit=0),
)
def attention_finds_it(seed: int, limit: int = LIMIT) -> float:
    """Teach it, and measure where the gradient goes."""
    gain = looked_at(seed, limit)
    return float(gain[SHORT] / gain[1:SHORT].median())
