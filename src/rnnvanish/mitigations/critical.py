r"""Critical initialisation: recurrent weights for which a wide tanh network neither forgets nor explodes.

    q = σ² E[tanh²(√q z)] + v       mean square of what a unit sums up; v of it comes from the input, z is normal
    χ = σ² E[tanh′²(√q z)] = 1      what a step back multiplies the squared norm of the gradient by

In a wide network the units' sums are normal, and these two equations hold. They are solved for σ, and U = σ Q with Q
orthogonal. The more the input drives the units, the flatter tanh is where they work, and the larger σ has to be.
"""

import math
from dataclasses import dataclass
from typing import cast, final

import torch
from torch import nn

from rnnvanish.cell import Cell, Paper, gates
from rnnvanish.mitigation import Draw


@final
@dataclass(frozen=True)
class Critical(Draw):
    """Draw the recurrent matrix of a tanh network orthogonal, as large as keeps the gradient; the rest stays.

    Args:
        power: Mean square of a number that the layer reads, such as 1 for standardised input.

    Examples:
        >>> layer = Critical()(nn.RNN(2, 8))
    """

    power: float = 1.0

    paper = Paper(
        "Chen, Pennington & Schoenholz",
        2018,
        "Dynamical Isometry and a Mean Field Theory of RNNs: Gating Enables Signal Propagation in Recurrent Neural Networks",
        "https://arxiv.org/abs/1806.05394",
    )
    checked = "the paper's mean-field equations of a vanilla network; solved again by iteration in the tests"
    needs = "tanh units without gates"
    invariant = "At the start a step back multiplies the squared norm of a wide network's gradient by 1 (chi = 1)."

    def __post_init__(self) -> None:
        if not (self.power >= 0 and math.isfinite(self.power)):
            raise ValueError(f"Critical needs a power >= 0, the mean square of an input, got {self.power}.")

    def draw(self, cell: Cell) -> bool:
        """Draw the recurrent matrix; what the input drives is read from the cell's own input weights and biases."""
        if not cell.plain or not isinstance(cell.nonlinearity, nn.Tanh) or not gates(cell):
            return False
        from_x, from_h = (cast(nn.Linear, cell.get_submodule(name)) for name in ("from_x", "from_h"))
        drive = self.power * from_x.weight.square().sum(1)
        if from_x.bias is not None:
            drive = drive + (from_x.bias + from_h.bias).square()
        nn.init.orthogonal_(gates(cell)[0], critical_gain(drive.mean().item()))
        return True


def critical_gain(drive: float) -> float:
    """Solve for σ at chi = 1.

    Args:
        drive: v, the mean square of what a unit gets from input and bias.
    """
    z = torch.linspace(-8, 8, 4001, dtype=torch.float64)
    weight = torch.exp(-z.square() / 2) * (z[1] - z[0]) / math.sqrt(2 * math.pi)

    def means(q: float) -> tuple[float, float]:
        square = torch.tanh(math.sqrt(q) * z).square()
        return (weight @ square).item(), (weight @ (1 - square).square()).item()

    low, high = 0.0, drive + 10.0  # at chi = 1 the drive, q - σ² E[tanh²], grows with q
    for _ in range(60):
        q = (low + high) / 2
        values, slopes = means(q)
        low, high = (q, high) if q - values / slopes < drive else (low, q)
    return 1 / math.sqrt(means(high)[1])
