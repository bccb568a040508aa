"""A small recurrent network with something to learn: what the first sections look at."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from jaxtyping import Float
from torch import Tensor, nn

FEATURES, HIDDEN, BATCH, STEPS = 3, 32, 8, 60


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Draw what is drawn within from `seed`, and leave the random numbers of the caller alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


class Small(nn.Module):
    """A `torch.nn.RNN` as torch draws it, in double precision; it guesses one number from the last state.

    Args:
        seed: Of the weights, the sequences and the targets.
        steps: Length of the sequences.
        nonlinearity: Of the network, "tanh" or "relu".
    """

    x: Float[Tensor, "time batch input"]
    target: Float[Tensor, " batch"]

    def __init__(self, seed: int, steps: int = STEPS, nonlinearity: str = "tanh") -> None:
        super().__init__()
        with seeded(seed):
            self.rnn = nn.RNN(FEATURES, HIDDEN, nonlinearity=nonlinearity).double()
            self.readout = nn.Parameter(torch.randn(HIDDEN, dtype=torch.float64) / HIDDEN**0.5)
            self.x = torch.randn(steps, BATCH, FEATURES, dtype=torch.float64)
            self.target = torch.randn(BATCH, dtype=torch.float64)

    def forward(self) -> Float[Tensor, ""]:
        """Return the loss: mean square of target minus guess."""
        output: Tensor = self.rnn(self.x)[0]
        return (output[-1] @ self.readout - self.target).square().mean()


def difference(ours: Tensor, theirs: Tensor) -> float:
    """Return how far `ours` is from `theirs`, as a part of the size of `theirs`."""
    return float((ours - theirs).norm() / theirs.norm())
