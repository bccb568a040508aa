r"""Layer normalisation: what reaches a layer's units is brought to mean 0 and variance 1, at every step by itself.

    W x  becomes  g (W x − mean) / spread        and U h likewise, with gains of its own

mean and spread are those of the numbers of one step of one sequence. The size of the weights no longer matters, only
their direction; a step back divides by the spread, so small weights no longer make a small gradient.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.functional import layer_norm, linear
from torch.nn.utils import parametrize

from rnnvanish.cell import Cell, Paper
from rnnvanish.mitigation import Build, innermost
from rnnvanish.recurrent import Recurrent


class NormalisedLinear(nn.Linear):
    """A linear layer over the weight and the bias of another, with its products normalised before the bias."""

    def __init__(self, plain: nn.Linear) -> None:
        super().__init__(plain.in_features, plain.out_features, device="meta")  # weights of its own are never drawn
        self.weight, self.bias = plain.weight, plain.bias
        self.gain = nn.Parameter(torch.ones_like(plain.weight[:, 0]))

    def forward(self, input: Tensor) -> Tensor:
        """Multiply, and normalise."""
        return self.normalise(linear(input, self.weight))

    def normalise(self, product: Tensor) -> Tensor:
        """Normalise a product, scale it by the gain and add the bias."""
        raise NotImplementedError(f"{type(self).__name__} needs a normalise(product) -> tensor.")


class _Normalised(NormalisedLinear):
    def normalise(self, product: Tensor) -> Tensor:
        return layer_norm(product, (self.out_features,), self.gain, self.bias)


@dataclass(frozen=True)
class LayerNormalisation(Build):
    """Normalise W x and U h separately, each with a gain that is learnt; the biases stay those of the cell.

    The products of all gates are normalised together, as the paper does for the LSTM; for the GRU it takes the
    candidate apart. Left out is the paper's normalisation of the LSTM's c on its way to the output. An x of one
    feature loses its size: of W x only the sign of x is left.

    Examples:
        >>> layer = LayerNormalisation()(nn.GRU(2, 8))
        >>> layer.cells[0].from_h.gain.shape
        torch.Size([24])
    """

    paper = Paper("Ba, Kiros & Hinton", 2016, "Layer Normalization", "https://arxiv.org/abs/1607.06450")
    checked = (
        "the paper's equations of the LSTM; authors' code, ryankiros/layer-norm layers.py @ d415153fd6: gain "
        "1, 1e-5 under the root"
    )
    invariant = "Scaling a weight matrix changes no output."

    def build(self, layer: Recurrent) -> Recurrent:
        """Normalise the layers of each cell; of one that does not name them, `from_x` and `from_h`.

        Raises:
            ValueError: For a cell without them, with constrained ones (normalise first), or with one of a single number.
        """
        return normalise_layers(layer, _Normalised, type(self).__name__)


def normalise_layers(layer: Recurrent, kind: type[NormalisedLinear], title: str) -> Recurrent:
    """Put a normalised layer in the place of each linear layer that the cells name; a ValueError, for `title`, as above."""
    found = [each for cell in layer.cells for each in plain_layers(innermost(cast(Cell, cell)), title)]
    for cell, name, plain in found:  # where one does not suit, none is changed
        if plain.out_features == 1:  # a single number is its own mean, or its own size, whatever is read
            raise ValueError(
                f"{title} needs layers of at least two numbers, got {name} of {type(cell).__name__} with one."
            )
    for cell, name, plain in found:
        cell.set_submodule(name, kind(plain))
    return layer


def plain_layers(cell: Cell, title: str) -> Iterator[tuple[Cell, str, nn.Linear]]:
    """The layers of a cell that are neither normalised nor constrained, with their names; a ValueError where one is not."""
    for name in cell.gate_names or ("from_x", "from_h"):
        plain = dict(cell.named_modules()).get(name)
        if not isinstance(plain, nn.Linear):
            raise ValueError(f"{title} needs a cell that names its linear layers, got {type(cell).__name__}.")
        if isinstance(plain, NormalisedLinear) or parametrize.is_parametrized(plain):
            raise ValueError(f"{title} needs a plain {name}: normalise once, and before constraints.")
        yield cell, name, plain
