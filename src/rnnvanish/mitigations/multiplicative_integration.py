r"""Multiplicative integration: what is read and what is remembered are multiplied, not only added.

    W x + U h + b  becomes  α (W x) (U h) + β₁ (U h) + β₂ (W x) + b        number by number

The input then sets how strongly the state acts on itself: a step back multiplies the gradient by Uᵀ diag(α W x + β₁).
"""

from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from rnnvanish.cell import Cell, Paper, State
from rnnvanish.mitigation import Build, Wrapper, innermost, wrap
from rnnvanish.recurrent import Recurrent


class _Integrated(Wrapper):
    def __init__(self, cell: Cell, alpha: float, beta: float) -> None:
        from_x, _ = _layers(cell)
        super().__init__(cell)
        rows = from_x.weight.detach()[:, 0]
        self.alpha = nn.Parameter(torch.full_like(rows, alpha))
        self.beta_h = nn.Parameter(torch.full_like(rows, beta))
        self.beta_x = nn.Parameter(torch.full_like(rows, beta))

    def forward(self, x: Float[Tensor, "batch input"], state: State, **wanted: Tensor | None) -> State:
        from_x, from_h = _layers(self)
        product = from_x(x) if from_x.bias is None else from_x(x) - from_x.bias  # normalised, where it is
        with ExitStack() as hooks:
            hooks.enter_context(from_x.register_forward_hook(partial(_scale, self.beta_x)))
            hooks.enter_context(from_h.register_forward_hook(partial(_scale, self.alpha * product + self.beta_h)))
            after: State = self.cell(x, state, **wanted)
        return after


def _scale(factor: Tensor, module: nn.Module, args: tuple[Tensor, ...], output: Tensor) -> Tensor:
    """Scale a product, and not the bias."""
    bias = cast(nn.Linear, module).bias
    return factor * output if bias is None else factor * (output - bias) + bias


def _layers(cell: Cell) -> tuple[nn.Linear, nn.Linear]:
    """What multiplies the input and the state; a ValueError where they do not make the same gates."""
    inner = innermost(cell)
    modules = dict(inner.named_modules())
    from_x, from_h = modules.get("from_x"), modules.get("from_h")
    gates = [inner.gate_names.get(name) for name in ("from_x", "from_h")]
    if not (isinstance(from_x, nn.Linear) and isinstance(from_h, nn.Linear) and gates[0] == gates[1]):
        raise ValueError(
            f"MultiplicativeIntegration needs {MultiplicativeIntegration.needs}, got {type(inner).__name__}."
        )
    return from_x, from_h


@dataclass(frozen=True)
class MultiplicativeIntegration(Build):
    """Multiply W x and U h in each gate, with learnt numbers for each row. Biases stay those of the cell.

    In a GRU the reset gate acts on the whole of what U h is a factor of.

    Attributes:
        alpha: α at the start; 0 gives the plain layer, where `beta` is 1.
        beta: β₁ and β₂ at the start.

    Examples:
        >>> layer = MultiplicativeIntegration()(nn.GRU(2, 8))
    """

    paper = Paper(
        "Wu, Zhang, Zhang, Bengio & Salakhutdinov",
        2016,
        "On Multiplicative Integration with Recurrent Neural Networks",
        "https://arxiv.org/abs/1606.06630",
        where="the general form",
    )
    checked = (
        "the paper's formula, as others quote it; authors' code was not found. Its starts differ by task; those of 1 are "
        "of TensorFlow cells by others"
    )
    needs = "a cell with layers from_x and from_h that make the same gates"
    invariant = "Scaling x in W x alone scales the derivative of U h by alpha W x + beta, row by row."
    alpha: float = 1.0
    beta: float = 1.0

    def build(self, layer: Recurrent) -> Recurrent:
        """Wrap each cell.

        Raises:
            ValueError: For a cell whose input and state do not make the same gates.
        """
        return wrap(layer, partial(_Integrated, alpha=self.alpha, beta=self.beta))
