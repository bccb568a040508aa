"""Where the field stands, linear recurrences: what is lost a step is decided beforehand, and can be next to nothing."""

import math
from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from rnnvanish import cells
from rnnvanish.cell import Cell
from rnnvanish.claim import Verdict, at_least, at_most, claim, control
from rnnvanish.experiments import sources
from rnnvanish.experiments.small import seeded
from rnnvanish.experiments.workbench import Build, curve
from rnnvanish.mitigations import Chrono
from rnnvanish.recurrent import Recurrent

HIDDEN, STEPS = 32, 1024
#: What is done to a state at each step.
Bend = Callable[[Tensor], Tensor]
#: Cells of which each number of the state fades by itself, and what they are drawn with.
DIAGONAL: dict[str, tuple[type[Cell], dict[str, Any]]] = {
    "LRU": (cells.LRU, {"r_min": 0.9, "r_max": 0.999}),
    "S4D": (cells.S4D, {"order": 4}),
    "S6": (cells.S6, {}),
    "MinGRU": (cells.MinGRU, {}),
}


def straight(state: Tensor) -> Tensor:
    """Leave a state as it is."""
    return state


def layer(cell: type[Cell], hidden: int = HIDDEN, **options: Any) -> Build:
    """Say how to draw a layer of a cell that reads one feature; to compile it would take longer than to measure it."""
    return lambda: Recurrent(cell, 1, hidden, engine="reference", **options)


def diagonal(name: str, start: str = "") -> Build:
    """Say how to draw one of `DIAGONAL`; with the start "chrono", which is told of 100 steps, or as it is drawn."""
    cell, options = DIAGONAL[name]
    plain = layer(cell, **options)
    return (lambda: Chrono(100)(plain())) if start else plain


def sensitivity(seed: int, decay: float, safe: bool = False, steps: int = 10_000) -> float:
    """Return how much a linear memory of noise changes with its decay: root mean square of its derivative.

    s ← λ s + √(1 − λ²) x: however long the memory, s is of size 1.

    Args:
        seed: Of the noise.
        decay: λ.
        safe: Whether the derivative is that by ν, λ = exp(−exp(ν)), which an LRU learns in the place of λ.
        steps: Of the noise: many times as many as are remembered.
    """
    with seeded(seed):
        x = torch.randn(steps, 256, dtype=torch.float64)
    learnt = torch.tensor(math.log(-math.log(decay)) if safe else decay, dtype=torch.float64)

    def memory(value: Tensor) -> Tensor:
        kept = torch.exp(-torch.exp(value)) if safe else value
        return kept ** torch.arange(steps - 1, -1, -1, dtype=torch.float64) @ x * math.sqrt(1 - decay**2)

    slope: Tensor = torch.func.jvp(memory, (learnt,), (torch.ones_like(learnt),))[1]
    return float(slope.square().mean().sqrt())


def by_steps(
    kept: Float[Tensor, "steps units"], read: Float[Tensor, "steps units"], bend: Bend
) -> Float[Tensor, " units"]:
    """Take one step after another: s ← bend(kept s + read)."""
    state = torch.zeros_like(read[0])
    for factor, new in zip(kept, read, strict=True):
        state = bend(factor * state + new)
    return state


def by_rounds(
    kept: Float[Tensor, "steps units"], read: Float[Tensor, "steps units"]
) -> tuple[Float[Tensor, " units"], int]:
    """Take two steps together, then two of these, and so on, as in a knockout: the last state, and how many rounds it took.

    Two linear steps are one: s ← b (a s + x) + y is s ← (b a) s + (b x + y).
    """
    rounds = 0
    while len(kept) > 1:
        (a, b), (x, y) = ((each[::2], each[1::2]) for each in (kept, read))
        kept, read, rounds = b * a, b * x + y, rounds + 1
    return read[0], rounds


@claim(
    section=24,
    sentence="State space models and linear recurrent networks keep the gradient by design.",
    finding="Those that are drawn so do: half of it is left after dozens of steps. There is no matrix and no bend on the way back, "
    "only a number for each unit, a little below one.",
    scope=f"LRU (decays from 0.9 to 0.999), S4D and S6 as their papers draw them, {HIDDEN} units; noise, before any training",
    statistic="half-life of the gradient in the one of the three that forgets first",
    unit="steps",
    source=sources.ENGINEERS_OF_AI,
    stated=Verdict.HOLDS,
    holds=at_least(25),
    fails=at_most(5),
    seeds=3,
    control=control("for a GRU that is made linear (minGRU), as PyTorch would draw it", names=("MinGRU",)),
)
def kept_by_design(seed: int, names: tuple[str, ...] = ("LRU", "S4D", "S6")) -> float:
    """Take the shortest of three."""
    return min(curve(diagonal(name), seed).half_life for name in names)


@claim(
    section=24,
    sentence="A recurrence that is linear in its state does not forget.",
    finding="Being linear is not enough. A minimal GRU starts with its gates half open, keeps half at each step, and forgets as fast as "
    "a plain network.",
    scope=f"minGRU with linear layers as PyTorch draws them, {HIDDEN} units; noise, before any training",
    statistic="half-life of the gradient in a minimal GRU",
    unit="steps",
    stated=Verdict.FAILS,
    holds=at_least(20),
    fails=at_most(4),
    seeds=3,
    control=control("with gates that are opened for a hundred steps (chrono)", start="chrono"),
)
def linear_does_not_forget(seed: int, start: str = "") -> float:
    """Take it as it comes."""
    return curve(diagonal("MinGRU", start), seed).half_life


@claim(
    section=24,
    sentence="Once the gradient no longer vanishes, long memories are no harder to learn than short ones.",
    finding="They are. The longer the memory, the more it changes with a hair's breadth of its own decay: a hundred times as much at "
    "0.999 as at 0.9. Learning has to take steps a hundred times as fine.",
    scope="one linear unit that reads noise, its memory always of size 1; decay 0.999 against 0.9; an exact derivative",
    statistic="change of the memory for a small change of its decay at 0.999, as a multiple of that at 0.9",
    unit="times",
    stated=Verdict.FAILS,
    holds=at_most(3),
    fails=at_least(30),
    seeds=3,
    control=control("where the network learns the logarithm of the logarithm of the decay, as an LRU does", safe=True),
)
def long_is_as_easy_as_short(seed: int, safe: bool = False) -> float:
    """Nudge both decays."""
    return sensitivity(seed, 0.999, safe) / sensitivity(seed, 0.9, safe)


@claim(
    section=24,
    sentence="A recurrent network has to be computed one step after another.",
    finding=f"Not a linear one. Two of its steps are one step of the same kind. So {STEPS} steps are worked out in ten rounds, as in a knockout, "
    "and the result is the same. With a bend in each step this is lost.",
    scope=f"{HIDDEN} linear units, each with decays of its own at each step; noise, {STEPS} steps, double precision",
    statistic="difference between the last state by rounds and that step by step, as a part of its size",
    unit="of its size",
    source=sources.ATLAS_LIMITS,
    stated=Verdict.FAILS,
    holds=at_least(0.1),
    fails=at_most(1e-9),
    seeds=3,
    control=control("with a bend (tanh) in each step", bend=torch.tanh),
)
def one_after_another(seed: int, bend: Bend = straight) -> float:
    """Compute it both ways."""
    with seeded(seed):
        kept, read = torch.rand(STEPS, HIDDEN).double(), torch.randn(STEPS, HIDDEN).double()
    expected = by_steps(kept, read, bend)
    return float((by_rounds(kept, read)[0] - expected).norm() / expected.norm())
