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
    one by one, each for what those below hand on. Units that the code does not need keep their own weights, and are not
    read by the others.

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
        "https://papers.nips.cc/paper/5271-pre-training-of-recurrent-neural-networks-via-linear-autoencoders",
    )
    checked = (
        "the closed form in code of the same group, AntonioCarta/cannon cannon/laes/svd_la.py @ 3a46f58050, which takes all "
        "inputs and their mean away; that the code is made small for tanh is ours"
    )
    needs = "tanh units without gates, and inputs: cure(model, inputs)"
    invariant = (
        "At the start the last `steps` inputs can be read off a linear state that is wide enough, without an error."
    )
    reads_inputs = True

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise ValueError(f"LinearAutoencoderStart needs steps >= 1, got {self.steps}.")

    def __call__(self, model: nn.Module, inputs: Any = None) -> nn.Module:
        """Set the weights of every layer that it suits, from the first up, and return `model`.

        Raises:
            ValueError: Without inputs, and where it suits no layer.
        """
        if inputs is None:
            raise ValueError(
                "LinearAutoencoderStart needs data: call it with (model, inputs), inputs as the model takes them."
            )

        def read(output: Any, runs: list[Run]) -> list[tuple[Cell, Tensor, Tensor | None]]:
            return [(innermost(run.cell), run.x.detach(), run.lengths) for run in runs]

        treated, loops = 0, len(watch(model, inputs, read))
        for place in range(loops):
            cell, x, lengths = watch(model, inputs, read)[place]
            treated += self._set(cell, x, lengths)
        if not treated:
            raise ValueError(f"LinearAutoencoderStart suits no layer of this model: it needs {self.needs}.")
        return model

    @torch.no_grad()
    def _set(self, cell: Cell, x: Float[Tensor, "time batch features"], lengths: Int[Tensor, " batch"] | None) -> bool:
        if not cell.plain or not isinstance(cell.nonlinearity, nn.Tanh) or not gates(cell):
            return False
        code, size = self._code(x, lengths)
        from_x, from_h = (cast(nn.Linear, cell.get_submodule(name)) for name in ("from_x", "from_h"))
        code = code[:, : len(from_h.weight)].to(x)
        features, units = x.shape[-1], code.shape[1]
        from_x.weight[:units] = code[:features].T * (SIZE / size)
        from_h.weight[:units] = 0.0
        from_h.weight[:units, :units] = code[features:].T @ code[:-features]
        for bias in (from_x.bias, from_h.bias):
            if bias is not None:
                bias[:units] = 0.0
        return True

    def _code(self, x: Tensor, lengths: Tensor | None) -> tuple[Float[Tensor, "inputs units"], float]:
        """V, the directions of ξ by how much of it lies along each; and how much lies along the first."""
        time, steps = len(x), min(self.steps, len(x))
        before = x.new_zeros(steps - 1, *x.shape[1:])
        windows = torch.cat([before, x]).unfold(0, steps, 1).flip(-1).mT.flatten(2).double()
        if lengths is not None:
            windows = windows[torch.arange(time, device=x.device)[:, None] < lengths]
        _, sizes, directions = torch.linalg.svd(windows.reshape(-1, windows.shape[-1]), full_matrices=False)
        if not sizes[0] > 0:
            raise ValueError("LinearAutoencoderStart needs inputs that are not all zero.")
        used = directions[sizes > 1e-6 * sizes[0]]
        return used.T, float(sizes[0]) / (windows.numel() / windows.shape[-1]) ** 0.5
