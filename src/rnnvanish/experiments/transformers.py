"""Where the field stands, transformers: no way back through time, one through the layers, and a bill that grows."""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from rnnvanish.claim import Verdict, at_least, at_most, claim, control
from rnnvanish.experiments import sources
from rnnvanish.experiments.small import seeded

WIDTH, HEADS, STEPS, BATCH = 16, 2, 201, 2


class Block(nn.Module):
    """A layer of a transformer that looks back only, normalised first: attention, then two linear layers.

    Args:
        shortcuts: Whether what comes in is added to what attention and the linear layers make of it.
    """

    def __init__(self, shortcuts: bool = True) -> None:
        super().__init__()
        self.shortcuts = shortcuts
        self.norms = nn.ModuleList(nn.LayerNorm(WIDTH) for _ in range(2))
        self.attention = nn.MultiheadAttention(WIDTH, HEADS)
        self.feed = nn.Sequential(nn.Linear(WIDTH, 4 * WIDTH), nn.GELU(), nn.Linear(4 * WIDTH, WIDTH))

    def forward(self, x: Float[Tensor, "time batch width"]) -> Float[Tensor, "time batch width"]:
        """Look back, and think."""
        later = torch.ones(len(x), len(x), dtype=torch.bool).triu(1)
        normal = self.norms[0](x)
        x = self._added(x, self.attention(normal, normal, normal, attn_mask=later, need_weights=False)[0])
        return self._added(x, self.feed(self.norms[1](x)))

    def _added(self, x: Tensor, y: Tensor) -> Tensor:
        return x + y if self.shortcuts else y


def gradient(seed: int, layers: int = 4, shortcuts: bool = True, recurrent: bool = False) -> Float[Tensor, " lags"]:
    """Measure how much of a gradient of size 1 at the last output arrives at each input, the last input first.

    Args:
        seed: Of weights and sequences.
        layers: Blocks on top of each other.
        shortcuts: Whether they have any.
        recurrent: Whether a plain recurrent network of as many layers is measured in their place.
    """
    with seeded(seed):
        blocks = nn.Sequential(*(Block(shortcuts) for _ in range(layers))).double()
        network = nn.RNN(WIDTH, WIDTH, num_layers=layers).double() if recurrent else blocks
        x = torch.randn(STEPS, BATCH, WIDTH).double().requires_grad_()
        end = nn.functional.normalize(torch.randn(BATCH, WIDTH).double(), dim=1)
    y = network(x)[0] if recurrent else network(x)
    arrived: Tensor = torch.autograd.grad((y[-1] * end).sum(), x)[0].norm(dim=2)
    return arrived.mean(1).flip(0)


def middle(seed: int, layers: int, shortcuts: bool) -> float:
    """Return the size of the gradient at an input in the middle: half of the inputs get less."""
    return float(gradient(seed, layers, shortcuts).median())


def work(past: int, recurrent: bool = False, seed: int = 0) -> int:
    """Count the multiplications and additions of one more step, after `past` of them.

    Args:
        past: Steps before, whose keys and values are kept.
        recurrent: Whether an LSTM takes the step, which keeps its state.
        seed: Of weights and sequences.
    """
    with seeded(seed), torch.no_grad():
        lstm, attention = nn.LSTMCell(WIDTH, WIDTH), nn.MultiheadAttention(WIDTH, HEADS, batch_first=True)
        x, seen = torch.randn(1, WIDTH), torch.randn(1, HEADS, past, WIDTH // HEADS)
        with FlopCounterMode(display=False) as counted:
            if recurrent:
                lstm(x)
            else:
                query = nn.functional.linear(x, attention.in_proj_weight, attention.in_proj_bias)[:, :WIDTH]
                query = query.view(1, HEADS, 1, WIDTH // HEADS)
                (query @ seen.mT / math.sqrt(WIDTH // HEADS)).softmax(-1) @ seen
    return int(counted.get_total_flops())


@claim(
    section=24,
    sentence="In a transformer, the gradient does not vanish with the distance.",
    finding="It does not. What was read 200 steps ago gets no less than what was read 20 steps ago. Nothing is handed from step "
    "to step, so nothing gets lost on the way.",
    scope=f"a transformer as PyTorch draws its parts: 4 layers, {WIDTH} numbers wide, {HEADS} heads; noise, before any training",
    statistic="gradient that arrives 200 steps back, as a part of that 20 steps back",
    unit="of it",
    source=sources.ORVIETO_SUMMARY,
    stated=Verdict.HOLDS,
    holds=at_least(0.3),
    fails=at_most(0.01),
    seeds=3,
    control=control("in a plain recurrent network of as many layers", recurrent=True),
)
def no_vanishing_over_distance(seed: int, recurrent: bool = False) -> float:
    """Compare far with near."""
    left = gradient(seed, recurrent=recurrent)
    return float(left[200] / left[20])


@claim(
    section=24,
    sentence="A transformer is free of vanishing gradients.",
    finding="Only with its shortcuts. Without them twelve layers leave a word in the middle less than 1 in a billion; "
    "nearly all goes to the first word. The long way is still there. It leads through the layers now, not through time.",
    scope=f"12 layers without shortcuts, normalised first, {WIDTH} numbers wide, {HEADS} heads, {STEPS} steps; noise, before any training",
    statistic="powers of ten of the gradient that a step in the middle has lost, through 12 layers without shortcuts",
    unit="powers of ten",
    source=sources.AI_CASSINDRA,
    stated=Verdict.FAILS,
    holds=at_most(3),
    fails=at_least(8),
    seeds=3,
    control=control("with the shortcuts that every transformer has", shortcuts=True),
)
def free_of_vanishing(seed: int, shortcuts: bool = False) -> float:
    """Go down twelve layers."""
    return -math.log10(middle(seed, 12, shortcuts))


@claim(
    section=24,
    sentence="The next word costs a transformer no more than the one before.",
    finding="It looks at all that it has read: after sixteen times as many words, the next one takes about fourteen times the work.",
    scope=f"one attention layer with all keys and values kept, {WIDTH} numbers wide, {HEADS} heads; counted, not timed",
    statistic="multiplications for one more step after 3200 steps, as a multiple of those after 200",
    unit="times",
    stated=Verdict.FAILS,
    holds=at_most(1.5),
    fails=at_least(8),
    seeds=3,
    control=control("for an LSTM", recurrent=True),
)
def next_word_is_as_cheap(seed: int, recurrent: bool = False) -> float:
    """Count at both places."""
    return work(3200, recurrent, seed) / work(200, recurrent, seed)
