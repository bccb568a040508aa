"""Where the field stands, truncated training: an error that no number of examples averages out."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from rnnvanish import cells
from rnnvanish.claim import Verdict, at_least, at_most, claim, control
from rnnvanish.experiments import sources
from rnnvanish.experiments.small import seeded
from rnnvanish.mitigation import Build
from rnnvanish.mitigations import OrthogonalStart, RandomTruncation, TruncatedBackpropagation
from rnnvanish.recurrent import Recurrent

STEPS, HIDDEN, FEW, MANY = 20, 16, 16, 8192
#: What is asked for lies so many steps back; the gradient is cut every `WINDOW` steps.
WINDOW = 5
CUT = TruncatedBackpropagation(WINDOW)


def gradient(seed: int, batch: int, *treatments: Callable[[nn.Module], nn.Module]) -> Float[Tensor, " weights"]:
    """Return the gradient of all weights on one batch: a plain network is asked at the end what it read first.

    Args:
        seed: Of weights, sequences, and cuts.
        batch: Sequences in it.
        *treatments: What is done to the network as PyTorch draws it: a start, and what cuts the gradient.
    """
    with seeded(seed):
        layer: nn.Module = Recurrent(cells.Elman, 1, HIDDEN, engine="reference").train()
        for treat in treatments:
            layer = treat(layer)
        x, read = torch.randn(STEPS, batch, 1), torch.randn(HIDDEN)
        (layer(x)[0][-1] @ read - x[0, :, 0]).square().mean().backward()
    return torch.cat([each.grad.flatten() for each in layer.parameters() if each.grad is not None])


def error(seed: int, batch: int, cure: Build, orthogonal: bool = True) -> float:
    """Return how far the cut gradient is from the whole one, as a part of its size."""
    start = (OrthogonalStart(),) if orthogonal else ()
    whole = gradient(seed, batch, *start)
    return float((gradient(seed, batch, *start, cure) - whole).norm() / whole.norm())


@claim(
    section=24,
    sentence="The error of truncated backpropagation averages out over many examples.",
    finding="It does not. Five hundred times as many examples, and the error is as large: what lies beyond the cut is left out "
    "each time. Cuts at random places leave an error that does average out.",
    scope=f"a plain network of {HIDDEN} units with an orthogonal start, asked for what it read {STEPS - 1} steps ago; cut every {WINDOW} "
    "steps, before any training",
    statistic=f"error of the cut gradient over {MANY} sequences, as a part of that over {FEW}",
    unit="of the error",
    stated=Verdict.FAILS,
    holds=at_most(0.2),
    fails=at_least(0.5),
    seeds=5,
    control=control(
        "with cuts at random places, and what passes made larger for it", cure=RandomTruncation(2.0 * WINDOW)
    ),
)
def error_averages_out(seed: int, cure: Build = CUT) -> float:
    """Take few, and many."""
    return error(seed, MANY, cure) / error(seed, FEW, cure)


@claim(
    section=24,
    sentence="Cutting the gradient every few steps loses nothing that matters.",
    finding="That depends on how long the network remembers. Of one that forgets, as PyTorch draws it, the window loses next to nothing: "
    "there was nothing beyond it. Of one that remembers it loses what it remembers.",
    scope=f"a plain network of {HIDDEN} units with an orthogonal start, asked for what it read {STEPS - 1} steps ago; cut every "
    f"{2 * WINDOW} steps, {MANY} sequences, before any training",
    statistic="part of the gradient that the window loses",
    unit="of the gradient",
    source=sources.GLOSARIX,
    stated=Verdict.FAILS,
    holds=at_most(0.02),
    fails=at_least(0.08),
    seeds=5,
    control=control("from PyTorch's own start, which forgets", orthogonal=False),
)
def window_loses_nothing(seed: int, orthogonal: bool = True) -> float:
    """Compare with the whole gradient."""
    return error(seed, MANY, TruncatedBackpropagation(2 * WINDOW), orthogonal)
