r"""Sparse attentive backtracking: a step is reminded of a few past states, and the gradient goes back through these alone.

    h_t ← h_t + Σ a_i m_i        m_i past outputs, a few of them with a weight that is not zero
    s_i = wᵀ tanh([h_t, m_i])    a_i = max(0, s_i − s) / Σ,  s the largest score but `top`

Between its reminders the gradient is cut every few steps, as truncation does. A past step that is attended to is one
step away, however long ago it was, and few are.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from rnnvanish.cell import Cell, Paper, State
from rnnvanish.mitigation import Build, Wrapper, innermost, run_as_plain_loop, wrap
from rnnvanish.mitigations.truncated_backpropagation import detach_where
from rnnvanish.recurrent import Recurrent


class _Reminded(Wrapper):
    """Its state carries past outputs, the newest first, and counts: steps since the cut and since one was kept, and those kept."""

    def __init__(self, cell: Cell, window: int, top: int, every: int, remembered: int) -> None:
        super().__init__(cell, ("past", "counts"), helpers=("counts",))
        h = cell.initial_state(torch.zeros(1, cell.input_size))[0]
        if h.dim() != 2 or h.is_complex():
            raise ValueError(
                "SparseAttentiveBacktracking needs a cell whose state begins with a row of real numbers, got "
                f"{type(innermost(cell)).__name__}."
            )
        self.window, self.top, self.every, self.remembered = window, top, every, remembered
        self.match = nn.Linear(2 * h.shape[1], 1, bias=False)
        nn.init.normal_(self.match.weight, std=0.01)

    def forward(self, x: Float[Tensor, "batch input"], state: State, **wanted: Tensor | None) -> State:
        *own, past, counts = state
        since_cut, since_kept, filled = counts.detach().split(1, dim=-1)
        cut = since_cut >= self.window
        own = [detach_where(cut, part) for part in own]
        h, *rest = self.cell(x, tuple(own), **wanted)
        scores = self.match(torch.tanh(torch.cat([h[:, None].expand_as(past), past], dim=-1))).squeeze(-1)
        there = torch.arange(self.remembered, device=h.device) < filled
        h = h + (sparse_weights(scores, there, self.top)[..., None] * past).sum(1)
        keep = since_kept + 1 >= self.every
        past = torch.where(keep[..., None], torch.cat([h[:, None], past[:, :-1]], dim=1), past)
        since_cut, since_kept = torch.where(cut, 1.0, since_cut + 1), torch.where(keep, 0.0, since_kept + 1)
        filled = torch.where(keep, filled + 1, filled).clamp(max=self.remembered)
        return (h, *rest, past, torch.cat([since_cut, since_kept, filled], dim=-1))

    def initial_state(self, x: Float[Tensor, "batch input"]) -> State:
        own = self.cell.initial_state(x)
        return (*own, own[0].new_zeros(len(x), self.remembered, own[0].shape[1]), x.new_zeros(len(x), 3))


def sparse_weights(
    scores: Float[Tensor, "batch memories"], there: Bool[Tensor, "batch memories"], top: int
) -> Float[Tensor, "batch memories"]:
    """What each memory counts: of more than `top` that are there the best `top`, together 1; of fewer their scores."""
    few = there.sum(-1, keepdim=True) <= top
    ordered = scores.masked_fill(~there, -torch.inf).sort(dim=-1, descending=True).values
    least = ordered[:, top : top + 1] if scores.shape[1] > top else ordered[:, :1]
    above = torch.where(there, (scores - torch.where(few, 0.0, least)).clamp(min=0), 0.0)
    return torch.where(few, torch.where(there, scores, 0.0), above / (above.sum(-1, keepdim=True) + 1e-7))


@dataclass(frozen=True)
class SparseAttentiveBacktracking(Build):
    """Add to each output a few past ones, and cut every other way back after `window` steps.

    Past outputs are a part of the state, "past": so the state of a `Recurrent` becomes a tuple, and memory grows with
    `remembered`. The layer runs as a plain loop. What is remembered reaches `every` times `remembered` steps back.

    Attributes:
        window: Steps from one cut to the next: the paper's k_trunc.
        top: Past outputs that a step is reminded of: k_top.
        every: Steps from one output that is remembered to the next: k_att.
        remembered: How many are; the oldest is forgotten.

    Raises:
        ValueError: For a number below 1.
    """

    paper = Paper(
        "Ke et al.",
        2018,
        "Sparse Attentive Backtracking: Temporal Credit Assignment Through Reminding",
        "https://arxiv.org/abs/1809.03702",
    )
    checked = (
        "authors' code, nke001/sparse_attentive_backtracking_release layers_torch.py @ aba9d76: scores, and raw ones where no more "
        "than k_top are there. It takes off the k_top-th score, which leaves one fewer, keeps all outputs and a zero before "
        "them, and has its read-out see the reminder, too; the paper takes off the one behind, as here"
    )
    needs = "a state that begins with a row of real numbers"
    invariant = "A step is reminded of `top` past outputs at most, and beyond a cut no gradient goes but through them."
    window: int = 10
    top: int = 5
    every: int = 5
    remembered: int = 20

    def __post_init__(self) -> None:
        for name in ("window", "top", "every", "remembered"):
            if getattr(self, name) < 1:
                raise ValueError(f"SparseAttentiveBacktracking needs {name} >= 1, got {getattr(self, name)}.")

    def build(self, layer: Recurrent) -> Recurrent:
        """Wrap each cell.

        Raises:
            ValueError: For a cell whose state begins otherwise, and a layer that is told to run compiled.
        """
        numbers = {"window": self.window, "top": self.top, "every": self.every, "remembered": self.remembered}
        run_as_plain_loop(layer, "SparseAttentiveBacktracking")
        return wrap(layer, lambda cell: _Reminded(cell, **numbers).to(next(cell.parameters())).train(cell.training))
