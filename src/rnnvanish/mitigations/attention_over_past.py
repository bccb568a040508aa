r"""Attention over past states: each step looks back at all steps so far, and reads those that match.

    context_t = Σ_{s ≤ t} w_{ts} h_s        w_t = softmax over s ≤ t of score(h_t, h_s)

    additive:  score(q, k) = vᵀ tanh(W q + U k)
    dot:       score(q, k) = (W q)ᵀ (U k) / √d

The way back to any past step is one step long, whatever lies in between. The price is time squared.
"""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from rnnvanish.cell import Paper
from rnnvanish.engine.reference import padding_mask
from rnnvanish.layers import Sequences
from rnnvanish.mitigation import Build
from rnnvanish.recurrent import Recurrent

SCORES = ("additive", "dot")


class Attention(nn.Module):
    """Causal attention of a sequence of states over itself; a step sees itself and what came before.

    The additive score is that of Bahdanau et al. (2015), and keeps time² × batch × size numbers; the scaled dot
    product that of Vaswani et al. (2017), with one head. What is read are the states themselves.

    Args:
        size: Features of a state.
        score: "additive" or "dot".

    Raises:
        ValueError: For another score.

    Examples:
        >>> attention = Attention(8)
        >>> context, weights = attention(torch.randn(5, 2, 8))
        >>> context.shape, weights.shape
        (torch.Size([5, 2, 8]), torch.Size([2, 5, 5]))
    """

    def __init__(self, size: int, score: str = "additive") -> None:
        super().__init__()
        if score not in SCORES:
            raise ValueError(f"Attention needs a score of {', '.join(SCORES)}, got {score!r}.")
        self.score = score
        self.query = nn.Linear(size, size, bias=False)
        self.key = nn.Linear(size, size, bias=False)
        self.match = nn.Linear(size, 1, bias=False) if score == "additive" else None

    def forward(
        self, states: Float[Tensor, "time batch size"], lengths: Int[Tensor, " batch"] | None = None
    ) -> tuple[Float[Tensor, "time batch size"], Float[Tensor, "batch time past"]]:
        """Read the past at every step.

        Returns:
            What is read, and with which weights: they sum to 1 over the past; beyond a sequence's end both are zero.
        """
        scores = self._scores(self.query(states).transpose(0, 1), self.key(states).transpose(0, 1))
        time = len(states)
        future = torch.ones(time, time, dtype=torch.bool, device=states.device).triu(1)
        weights = scores.masked_fill(future, -torch.inf).softmax(-1)
        if lengths is not None:  # what is padding lies in the future of every step that is not
            weights = weights.masked_fill(padding_mask(time, lengths).T[:, :, None], 0.0)
            states = states.masked_fill(padding_mask(time, lengths)[:, :, None], 0.0)
        context: Tensor = torch.einsum("bts,sbf->tbf", weights, states)
        return context, weights

    def _scores(
        self, queries: Float[Tensor, "batch time size"], keys: Float[Tensor, "batch time size"]
    ) -> Float[Tensor, "batch time past"]:
        scores: Tensor
        if self.match is None:
            scores = queries @ keys.mT / queries.shape[-1] ** 0.5
        else:
            scores = self.match(torch.tanh(queries[:, :, None] + keys[:, None, :])).squeeze(-1)
        return scores


class Attending(nn.Module):
    """A recurrent layer whose output is its own plus what attention reads from its past outputs; called like it.

    The final state is that of the layer alone. A reverse direction has read the end of the sequence before it is
    attended to; attention itself adds nothing from the future. What it has not itself, such as `hidden_size` or
    `weight_hh_l0`, is the layer's; a checkpoint of the layer alone loads, too.
    """

    def __init__(self, layer: Recurrent, score: str) -> None:
        super().__init__()
        self.layer = layer
        self.attention = Attention(layer.output_size * (2 if layer.bidirectional else 1), score)

    def __getattr__(self, name: str) -> Any:
        """Look up what is the layer's."""
        if name in ("layer", "attention") or name.startswith("__"):
            return super().__getattr__(name)
        return getattr(self.layer, name)

    def __setattr__(self, name: str, value: Any) -> None:
        """Set what is the layer's there."""
        layer = vars(self).get("_modules", {}).get("layer")
        own = name in vars(self) or name in ("layer", "attention") or hasattr(type(self), name)
        if own or not hasattr(layer, name):
            super().__setattr__(name, value)
        else:
            setattr(layer, name, value)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        given = [key for key in state_dict if key.startswith(prefix)]
        if given and not any(key.startswith((prefix + "layer.", prefix + "attention.")) for key in given):
            for key in given:
                state_dict[f"{prefix}layer.{key.removeprefix(prefix)}"] = state_dict.pop(key)
            state_dict.update(self.attention.state_dict(prefix=prefix + "attention.", keep_vars=True))
        super()._load_from_state_dict(state_dict, prefix, *args)

    def forward(
        self,
        x: Any = None,
        state: Any = None,
        lengths: Any = None,
        *,
        input: Any = None,
        hx: Any = None,
        **per_step: Any,
    ) -> tuple[Any, Any]:
        """Run over whole sequences; returns the output of the top layer with its context, and the final state.

        Attention reads the whole past, also where `resets` has the layer begin anew.
        """
        output, final = self.layer(x, state, lengths, input=input, hx=hx, **per_step)
        steps = None if lengths is None else torch.as_tensor(lengths, device=output.device).long()
        sequences = Sequences.read(output, steps, self.batch_first)
        context, _ = self.attention(sequences.x, sequences.lengths)
        return sequences.restore(sequences.x + context), final


@dataclass(frozen=True)
class AttentionOverPast(Build):
    """Add to each output of a layer what attention reads from all outputs so far.

    Attributes:
        score: "additive" (Bahdanau et al. 2015) or "dot" (Vaswani et al. 2017).

    Raises:
        ValueError: For another score.
    """

    paper = Paper(
        "Bahdanau, Cho & Bengio",
        2015,
        "Neural Machine Translation by Jointly Learning to Align and Translate",
        "https://arxiv.org/abs/1409.0473",
    )
    checked = (
        "the paper for the additive score; torch's scaled_dot_product_attention for the "
        "other. The paper attends to another network's states, this to the past of its own"
    )
    invariant = "The weights of each step are at least 0, sum to 1, and are 0 for every later step."
    score: str = "additive"

    def build(self, layer: Recurrent) -> Attending:
        """Put attention on top of `layer`."""
        attending = Attending(layer, self.score)
        return attending.to(next(layer.parameters())).train(layer.training)
