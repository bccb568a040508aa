r"""LSTM with a projection: what is handed on, and fed back, is narrower than the cell.

    i, f, o = σ(Wᵢ x + Uᵢ h + …), σ(W_f x + U_f h + …), σ(Wₒ x + Uₒ h + …)
    g       = tanh(W_g x + U_g h + …)
    c ← f c + i g
    h ← P (o tanh(c))

Why the gradient survives: along c a step back multiplies it by f alone, as in any LSTM. The way through h is narrower:
what comes back by it has the rank of P at most.
"""

from typing import final

from jaxtyping import Float
from torch import Tensor, nn

from rnnvanish.cell import Cell, Keeps, Paper, State, draw_as_torch


@final
class ProjectedLSTM(Cell):
    """LSTM with a recurrent projection: the equations and the gate order of `torch.nn.LSTM` with a `proj_size`.

    The paper's cells have peepholes besides.

    Args:
        input_size: Features read at each step.
        hidden_size: Width of `c`.
        proj_size: Width of `h`; None is a quarter of the cells, as in the paper's networks of 1024 and of 2048.
        bias: Whether to add biases, two of them as in `torch.nn.LSTM`.
        nonlinearity: Of the units, one of `rnnvanish.cell.NONLINEARITIES`.
        gate_nonlinearity: Of the gates, one of `rnnvanish.cell.GATES`.

    Raises:
        ValueError: For a `proj_size` below 1.

    Examples:
        >>> import torch
        >>> cell = ProjectedLSTM(input_size=2, hidden_size=8, proj_size=3)
        >>> x = torch.zeros(4, 2)
        >>> h, c = cell(x, cell.initial_state(x))
        >>> h.shape, c.shape
        (torch.Size([4, 3]), torch.Size([4, 8]))
    """

    paper = Paper(
        "Sak, Senior & Beaufays",
        2014,
        "Long Short-Term Memory Recurrent Neural Network Architectures for Large Scale Acoustic Modeling",
        "https://arxiv.org/abs/1402.1128",
        where="equations (7)-(12), without peepholes and without the second projection",
    )
    checked = "torch.nn.LSTM(proj_size=...), to which it is equal"
    state_names = ("h", "c")
    gate_names = dict.fromkeys(("from_x", "from_h"), ("i", "f", "g", "o"))
    keeps = Keeps("f", "c", called="forget", memory="cell", writes="i")
    small = {"proj_size": 2}

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        proj_size: int | None = None,
        bias: bool = True,
        nonlinearity: str = "tanh",
        gate_nonlinearity: str = "sigmoid",
    ) -> None:
        super().__init__(input_size, hidden_size)
        self.nonlinearity = self.activation(nonlinearity)
        self.gate = self.gate_function(gate_nonlinearity)
        self.proj_size = max(hidden_size // 4, 1) if proj_size is None else proj_size
        if self.proj_size < 1:
            raise ValueError(f"ProjectedLSTM needs proj_size >= 1, got {proj_size}.")
        self.from_x = nn.Linear(input_size, 4 * hidden_size, bias)
        self.from_h = nn.Linear(self.proj_size, 4 * hidden_size, bias)
        self.project = nn.Linear(hidden_size, self.proj_size, bias=False)
        draw_as_torch(hidden_size, self.from_x, self.from_h, self.project)

    @property
    def output_size(self) -> int:
        """Width of `h`."""
        return self.proj_size

    def initial_state(self, x: Float[Tensor, "batch input"]) -> State:
        """Return zeros: `h` of the projection's width, `c` of the cells'."""
        return x.new_zeros(x.shape[0], self.proj_size), x.new_zeros(x.shape[0], self.hidden_size)

    def forward(self, x: Float[Tensor, "batch input"], state: State) -> State:
        """Take one step."""
        h, c = state
        i, f, g, o = (self.from_x(x) + self.from_h(h)).chunk(4, dim=-1)
        c = self.gate(f) * c + self.gate(i) * self.nonlinearity(g)
        h = self.project(self.gate(o) * self.nonlinearity(c))
        return h, c
