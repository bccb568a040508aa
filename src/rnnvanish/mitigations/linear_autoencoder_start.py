r"""Linear autoencoder as a start: the state is the best code of the last inputs that so many units can hold.

    y_t = A x_t + B y_{t−1} = Vᵀ ξ_t        ξ_t: the last inputs, newest first;  Ξ = W Λ Vᵀ, its rows all ξ of the data
    A = Vᵀ P,  B = Vᵀ R V                   P puts an input in front, R moves all others back by one

In closed form, from the data and without their answers. What was read is there before anything is learnt.
"""

from dataclasses import dataclass
from typing import Any, cast, final

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from rnnvanish.cell import Cell, Paper, gates
from rnnvanish.mitigation import Draw, innermost
from rnnvanish.observe.watch import Run, watch

#: Root mean square of the largest number of the code, so that tanh is nearly linear there.
SIZE = 0.3


@final
@dataclass(frozen=True)
class LinearAutoencoderStart(Draw):
    """Set input and recurrent weights so that the state of tanh units codes the last inputs; biases become 0.

    It is called with data: `LinearAutoencoderStart()(model, inputs)`, `inputs` being what the model takes. Layers are set
    one by one, each for what those below hand on. Without data it is the code of white noise of mean square 1: a line of
    delays, that holds as many inputs as fit. Units that the code does not need keep their own weights, and are not read by
    the others.

    Args:
        steps: How many inputs the code is of.

    Examples:
        >>> layer = LinearAutoencoderStart(steps=5)(nn.RNN(2, 8), torch.randn(20, 16, 2))
    """

    steps: int = 20

    paper = Paper(
        "Pasa & Sperduti",
        2014,
        "Pre-training of Recurrent Neural Networks via Linear Autoencoders",
        "https://mlanthology.org/neurips/2014/pasa2014neurips-pretraining",
    )
    checked = (
        "the closed form in code of the same group, AntonioCarta/cannon cannon/laes/svd_la.py @ 3a46f58050, which takes all "
        "inputs and their mean away; that the code is made small for tanh is ours"
    )
    needs = "tanh units without gates"
    invariant = (
        "At the start the last `steps` inputs can be read off a linear state that is wide enough, without an error."
    )
    usage = "model = {}(model, inputs)"
    reads_inputs = True

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise ValueError(f"LinearAutoencoderStart needs steps >= 1, got {self.steps}.")

    def __call__(self, model: nn.Module, inputs: Any = None) -> nn.Module:
        """Set the weights of every layer that it suits, from the first up, and return `model`.

        Raises:
            ValueError: Where it suits no layer, and for inputs that are all zero.
        """
        if inputs is None:
            return super().__call__(model)

        def read(output: Any, runs: list[Run]) -> list[tuple[Cell, Tensor, Tensor | None]]:
            return [(innermost(run.cell), run.x.detach(), run.lengths) for run in runs]

        treated, loops = 0, len(watch(model, inputs, read))
        for place in range(loops):
            cell, x, lengths = watch(model, inputs, read)[place]
            treated += _suits(cell) and self._set(cell, *self._code(x, lengths))
        if not treated:
            raise ValueError(f"LinearAutoencoderStart suits no layer of this model: it needs {self.needs}.")
        return model

    def draw(self, cell: Cell) -> bool:
        """Set the weights for white noise."""
        return _suits(cell) and self._set(cell, torch.eye(self.steps * gates(cell, "from_x.weight")[0].shape[1]), 1.0)

    @torch.no_grad()
    def _set(self, cell: Cell, code: Float[Tensor, "inputs units"], size: float) -> bool:
        """Set the weights for a code whose largest number has the root mean square `size`."""
        from_x, from_h = (cast(nn.Linear, cell.get_submodule(name)) for name in ("from_x", "from_h"))
        code = code[:, : len(from_h.weight)].to(from_h.weight)
        features, units = from_x.weight.shape[1], code.shape[1]
        from_x.weight[:units] = code[:features].T * (SIZE / size)
        from_h.weight[:units] = 0.0
        from_h.weight[:units, :units] = code[features:].T @ code[:-features]
        for bias in (from_x.bias, from_h.bias):
            if bias is not None:
                bias[:units] = 0.0
        return True

    def _code(
        self, x: Float[Tensor, "time batch features"], lengths: Int[Tensor, " batch"] | None
    ) -> tuple[Float[Tensor, "inputs units"], float]:
        """V, the directions of ξ by how much of it lies along each; and how much lies along the first."""
        steps = min(self.steps, len(x))
        before = x.new_zeros(steps - 1, *x.shape[1:])
        windows = torch.cat([before, x]).unfold(0, steps, 1).flip(-1).mT.flatten(2).double()
        if lengths is not None:
            windows = windows[torch.arange(len(x), device=x.device)[:, None] < lengths]
        rows = windows.reshape(-1, windows.shape[-1])
        _, sizes, directions = torch.linalg.svd(rows, full_matrices=False)
        if not sizes[0] > 0:
            raise ValueError("LinearAutoencoderStart needs inputs that are not all zero.")
        return directions[sizes > 1e-6 * sizes[0]].T, float(sizes[0]) / len(rows) ** 0.5


def _suits(cell: Cell) -> bool:
    return cell.plain and isinstance(cell.nonlinearity, nn.Tanh) and bool(gates(cell))
