r"""Extended long short-term memories: gates that are exponentials, and what is remembered is divided by what was let in.

sLSTM: a number for each unit, which also reads the old output.

    i, f, z, o = W x + R h + b                  R is block-diagonal: a head reads itself
    c ← σ(f) c + eⁱ tanh(z),  n ← σ(f) n + eⁱ
    h ← σ(o) c / n

mLSTM: a matrix for each head, which stores values under keys; nothing is fed back.

    q, k, v, o = W x + b, k divided by √d,  i, f = w x + b
    C ← σ(f) C + eⁱ v kᵀ,  n ← σ(f) n + eⁱ k
    y = σ(o) C q / max(|n · q|, 1)

Both are computed in numbers that cannot overflow, all divided by eᵐ: m ← max(log σ(f) + m, i), and c, C and n stand for
c eᵐ, C eᵐ and n eᵐ; the 1 becomes e⁻ᵐ.

Why the gradient survives: along c and C a step back multiplies it by σ(f) alone, which starts at 0.95 and more in mLSTM
and in the first unit of each head of sLSTM. How much is let in has no limit: an eⁱ can outweigh whatever was stored.
"""

import math
from typing import final

import torch
from jaxtyping import Float, Inexact
from torch import Tensor, nn
from torch.nn.functional import logsigmoid

from rnnvanish.cell import Cell, Keeps, Paper, State, head_width

PAPER = Paper(
    "Beck et al.",
    2024,
    "xLSTM: Extended Long Short-Term Memory",
    "https://arxiv.org/abs/2405.04517",
    where="equations (8)-(17), sLSTM, and (19)-(27), mLSTM",
)


@final
class SLSTM(Cell):
    """The sLSTM, without the block around it. The paper also has f = eᶠ; its code has σ(f), as here.

    Args:
        input_size: Features read at each step.
        hidden_size: Width of `h`, `c`, `n` and `m`.
        heads: Groups of units that read each other; they divide the hidden size.
        nonlinearity: Of the units, one of `rnnvanish.cell.NONLINEARITIES`.

    Examples:
        >>> cell = SLSTM(input_size=2, hidden_size=8)
        >>> x = torch.zeros(4, 2)
        >>> h, c, n, m = cell(x, cell.initial_state(x))
        >>> h.shape
        torch.Size([4, 8])
    """

    paper = PAPER
    checked = "authors' code, NX-AI/xlstm xlstm/blocks/slstm @ 032a6fb8ee"
    state_names = ("h", "c", "n", "m")
    helpers = ("m",)
    gate_names = {"from_x": ("i", "f", "z", "o")}
    keeps = Keeps("f", "c", called="forget", memory="cell", writes="i")
    small = {"heads": 1}

    def __init__(self, input_size: int, hidden_size: int, heads: int = 4, nonlinearity: str = "tanh") -> None:
        super().__init__(input_size, hidden_size)
        self.nonlinearity = self.activation(nonlinearity)
        width = head_width(self, heads)
        self.from_x = nn.Linear(input_size, 4 * hidden_size)
        self.from_h = nn.Parameter(torch.zeros(4, heads, width, width))
        nn.init.normal_(self.from_x.weight, std=math.sqrt(2 / (5 * input_size)))
        nn.init.zeros_(self.from_x.bias)
        place = torch.arange(width) / max(width - 1, 1)  # of a unit in its head
        with torch.no_grad():
            self.from_x.bias[hidden_size : 2 * hidden_size] = (5 - 12 * place**0.3).repeat(heads)

    def forward(self, x: Float[Tensor, "batch input"], state: State) -> State:
        """Take one step."""
        h, c, n, m = state
        r = torch.cat([torch.block_diag(*gate) for gate in self.from_h])
        i, f, z, o = (self.from_x(x) + h @ r.T).chunk(4, dim=-1)
        kept = logsigmoid(f) + m
        m = torch.maximum(kept, i)
        i, f = torch.exp(i - m), torch.exp(kept - m)
        c, n = f * c + i * self.nonlinearity(z), f * n + i
        return torch.sigmoid(o) * c / n, c, n, m

    def scales(self, state: State) -> tuple[Tensor | float, ...]:
        """Return what makes c and n what they stand for: eᵐ."""
        scale = torch.exp(state[3])
        return 1.0, scale, scale, 1.0


@final
class MLSTM(Cell):
    """The mLSTM, without the block around it; it has σ(o) of the paper, and not its code's 10⁻⁶ beside the divisor.

    Args:
        input_size: Features read at each step.
        hidden_size: Width of the output.
        heads: Memories; they divide the hidden size. `C` is (batch, heads, width, width), values by keys.

    Examples:
        >>> cell = MLSTM(input_size=2, hidden_size=8)
        >>> x = torch.zeros(4, 2)
        >>> C, n, m = cell(x, cell.initial_state(x))
        >>> C.shape, n.shape, m.shape
        (torch.Size([4, 4, 2, 2]), torch.Size([4, 4, 2]), torch.Size([4, 4]))
    """

    paper = PAPER
    checked = "authors' code, NX-AI/xlstm xlstm/blocks/mlstm and xlstm_large @ 032a6fb8ee"
    state_names = ("C", "n", "m")
    helpers = ("m",)
    gate_names = {"from_x": ("q", "k", "v", "o"), "from_x_i": ("i",), "from_x_f": ("f",)}
    keeps = Keeps("f", "C", called="forget", memory="matrix", writes="i")
    small = {"heads": 1}
    chunk = 64  # steps that the parallel form takes at once

    def __init__(self, input_size: int, hidden_size: int, heads: int = 4) -> None:
        super().__init__(input_size, hidden_size)
        self.heads, self.width = heads, head_width(self, heads)
        self.from_x = nn.Linear(input_size, 4 * hidden_size)
        self.from_x_i = nn.Linear(input_size, heads)
        self.from_x_f = nn.Linear(input_size, heads)
        nn.init.normal_(self.from_x.weight, std=math.sqrt(2 / (5 * input_size)))
        nn.init.zeros_(self.from_x.bias)
        nn.init.zeros_(self.from_x_i.weight)
        nn.init.zeros_(self.from_x_f.weight)
        nn.init.normal_(self.from_x_i.bias, std=0.1)
        with torch.no_grad():
            self.from_x_f.bias.copy_(torch.linspace(3, 6, heads))

    def initial_state(self, x: Inexact[Tensor, "batch input"]) -> State:
        """Return zeros."""
        shapes = (self.heads, self.width, self.width), (self.heads, self.width), (self.heads,)
        return tuple(x.new_zeros(x.shape[0], *shape) for shape in shapes)

    def _read(self, x: Float[Tensor, "*steps input"]) -> tuple[Float[Tensor, "*steps heads width"], ...]:
        """Compute q, k, v and o."""
        q, k, v, o = self.from_x(x).unflatten(-1, (4, self.heads, self.width)).unbind(-3)
        return q, k / math.sqrt(self.width), v, torch.sigmoid(o)

    def forward(self, x: Float[Tensor, "batch input"], state: State) -> State:
        """Take one step."""
        C, n, m = state
        _, k, v, _ = self._read(x)
        i, kept = self.from_x_i(x), logsigmoid(self.from_x_f(x)) + m
        m = torch.maximum(kept, i)
        i, f = torch.exp(i - m)[:, :, None], torch.exp(kept - m)[:, :, None]
        return f[..., None] * C + (i * v)[..., None] * k[:, :, None], f * n + i * k, m

    def output(self, x: Float[Tensor, "batch input"], before: State, after: State) -> Float[Tensor, "batch hidden"]:
        """Look up what is stored under q."""
        C, n, m = after
        q, *_, o = self._read(x)
        norm = torch.maximum((n * q).sum(-1).abs(), torch.exp(-m))
        return (o * (C * q[:, :, None]).sum(-1) / norm[..., None]).flatten(1)

    def parallel(self, x: Float[Tensor, "time batch input"], state: State) -> tuple[Tensor, State]:
        """Take all steps, some of them at once: every pair of theirs is a key and a query."""
        outputs = []
        for steps in x.split(self.chunk):
            y, state = self._take(steps, state)
            outputs.append(y)
        return torch.cat(outputs), state

    def _take(self, x: Float[Tensor, "time batch input"], state: State) -> tuple[Tensor, State]:
        C, n, m = state
        q, k, v, o = (a.movedim(0, 2) for a in self._read(x))
        i = self.from_x_i(x).movedim(0, 2)[:, :, None]
        f = logsigmoid(self.from_x_f(x)).movedim(0, 2).cumsum(-1)[..., None]
        later = torch.ones(x.shape[0], x.shape[0], dtype=torch.bool, device=x.device).triu(1)
        written, kept = (f - f.mT + i).masked_fill(later, -math.inf), f + m[..., None, None]
        m = torch.maximum(kept, written.amax(-1, keepdim=True))
        written, kept = torch.exp(written - m), torch.exp(kept - m)
        fit = written * (q @ k.mT)
        norm = torch.maximum((fit.sum(-1, keepdim=True) + kept * (q @ n[..., None])).abs(), torch.exp(-m))
        y = o * (fit @ v + kept * (q @ C.mT)) / norm
        written, kept = written[:, :, -1, :, None], kept[:, :, -1]
        C, n = kept[..., None] * C + (written * v).mT @ k, kept * n + (written * k).sum(-2)
        return y.movedim(2, 0).flatten(2), (C, n, m[:, :, -1, 0])

    def scales(self, state: State) -> tuple[Tensor | float, ...]:
        """Return what makes C and n what they stand for: eᵐ."""
        scale = torch.exp(state[2])
        return scale[..., None, None], scale[..., None], 1.0
