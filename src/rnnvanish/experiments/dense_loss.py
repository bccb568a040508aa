"""Section 7, a loss at every step: early steps get their gradient, and it is about what comes next."""

import torch
from torch import Tensor, nn

from rnnvanish.claim import Verdict, at_least, at_most, claim, control
from rnnvanish.experiments.scopes import before_training
from rnnvanish.experiments.small import seeded

STEPS, BATCH, HIDDEN, FAR = 101, 16, 64, 20


def sizes(seed: int, start: str = "default") -> tuple[float, float, float]:
    """Return the size of the gradient at the first state: from all losses, from those after `FAR` steps, from the last alone.

    Args:
        seed: Of weights, sequences and what is to be guessed.
        start: "default", as PyTorch draws the network, or "orthogonal".
    """
    with seeded(seed):
        layer = nn.RNN(1, HIDDEN)
        if start == "orthogonal":
            nn.init.orthogonal_(layer.get_parameter("weight_hh_l0"))
        x, target, readout = torch.randn(STEPS, BATCH, 1), torch.randn(STEPS, BATCH), torch.randn(HIDDEN)
    first = torch.zeros(1, BATCH, HIDDEN).double().requires_grad_()
    losses = (layer.double()(x.double(), first)[0] @ readout.double() - target.double()).square()

    def size(part: Tensor) -> float:
        return float(torch.autograd.grad(part.sum(), first, retain_graph=True)[0].norm())

    return size(losses), size(losses[FAR:]), size(losses[-1:])


@claim(
    section=7,
    sentence="With a loss at every step, gradients no longer vanish.",
    finding="Every state gets a gradient, and it looks healthy. But it comes from the next few guesses. Of what lies more than "
    f"{FAR} steps ahead it says less than a ten thousandth.",
    scope=before_training("nn.RNN with a guess at every step", HIDDEN, STEPS),
    statistic=f"gradient at the first state from losses more than {FAR} steps later, as a part of that from all losses",
    unit="of the gradient",
    stated=Verdict.FAILS,
    holds=at_least(0.1),
    fails=at_most(1e-4),
    seeds=3,
    control=control("from an orthogonal start", start="orthogonal"),
)
def loss_everywhere_helps(seed: int, start: str = "default") -> float:
    """Take the early losses away."""
    every, far, _ = sizes(seed, start)
    return far / every
