"""Section 6, half precision: how many steps get a gradient of exactly zero, and how few of them loss scaling brings back."""

import torch

from rnnvanish.claim import Verdict, at_least, at_most, claim, control
from rnnvanish.experiments import sources, vanishing
from rnnvanish.experiments.scopes import before_training
from rnnvanish.experiments.small import seeded

STEPS, SCALES = 200, tuple(2.0**power for power in range(17))


def silent(seed: int, start: str = "default", weight: float = 1.0, dtype: torch.dtype = torch.float16) -> list[int]:
    """Count the steps whose gradient is exactly zero, with each of `SCALES` that makes no number too large.

    Args:
        seed: Of weights and noise.
        start: As `vanishing.network` takes it.
        weight: Of the loss: how large its gradient is to begin with.
        dtype: Precision of everything.
    """
    layer, _ = vanishing.network(seed, start, dtype=torch.float32)
    with seeded(seed):
        x = torch.randn(STEPS, vanishing.BATCH, 1).to(dtype).requires_grad_()
    last = layer.to(dtype)(x)[0][-1].sum()
    counts = []
    for scale in SCALES:
        (found,) = torch.autograd.grad(last, x, torch.tensor(scale * weight).to(dtype), retain_graph=True)
        if bool(found.isfinite().all()):
            counts.append(int((found == 0).all(dim=2).all(dim=1).sum()))
    return counts


@claim(
    section=6,
    sentence="Loss scaling brings back the gradients that half precision loses.",
    finding="A few steps of them. It makes all gradients larger by one factor, as far as the largest allows. In a network that forgets, "
    "that is worth some twenty steps. The others stay at exactly zero.",
    scope=before_training("nn.RNN in half precision", vanishing.HIDDEN, STEPS),
    statistic="steps whose gradient is exactly zero with the best loss scale, as a part of those without",
    unit="of the steps",
    source=sources.TENSORFLOW,
    stated=Verdict.FAILS,
    holds=at_most(0.1),
    fails=at_least(0.7),
    seeds=3,
    control=control(
        "from an orthogonal start, where all gradients are tiny and none vanishes", start="orthogonal", weight=6e-8
    ),
)
def loss_scaling_brings_back(seed: int, start: str = "default", weight: float = 1.0) -> float:
    """Try every scale."""
    counts = silent(seed, start, weight)
    return min(counts) / counts[0]
