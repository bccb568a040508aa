r"""RMS normalisation: what reaches a layer's units is brought to a mean square of 1, at every step by itself.

    W x  becomes  g W x / √(mean of (W x)²)        and U h likewise, with gains of its own

Layer normalisation without the mean, which is cheaper: the size of the weights no longer matters, only their direction.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from rnnvanish.cell import Paper
from rnnvanish.mitigation import Build
from rnnvanish.mitigations.layer_normalisation import NormalisedLinear, normalise_layers
from rnnvanish.recurrent import Recurrent


class _Normalised(NormalisedLinear):
    def normalise(self, product: Tensor) -> Tensor:
        scaled = self.gain * product * torch.rsqrt(product.square().mean(-1, keepdim=True) + 1e-5)
        return scaled if self.bias is None else scaled + self.bias


@dataclass(frozen=True)
class RMSNormalisation(Build):
    """Normalise W x and U h separately by their root mean square, each with a gain that is learnt; biases stay.

    The products of all gates are normalised together. An x of one feature loses its size: of W x only the sign of x is
    left.

    Examples:
        >>> from torch import nn
        >>> layer = RMSNormalisation()(nn.GRU(2, 8))
        >>> layer.cells[0].from_h.gain.shape
        torch.Size([24])
    """

    paper = Paper("Zhang & Sennrich", 2019, "Root Mean Square Layer Normalization", "https://arxiv.org/abs/1910.07467")
    checked = (
        "authors' code, bzhangGo/rmsnorm layers.py @ c6691f20ec, for recurrent layers: 1e-5 under the root, gain 1, and the "
        "candidate of a GRU apart; its rmsnorm_torch.py adds 1e-8 to the root instead"
    )
    needs = "a cell that names its linear layers, of two numbers at least"
    invariant = "Scaling a weight matrix changes no output."

    def build(self, layer: Recurrent) -> Recurrent:
        """Normalise the layers of each cell; of one that does not name them, `from_x` and `from_h`.

        Raises:
            ValueError: For a cell without them, with constrained ones (normalise first), or with one of a single number.
        """
        return normalise_layers(layer, _Normalised, type(self).__name__)
