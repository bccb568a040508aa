"""The end point: the one step of what a model returns from which a gradient starts, of each loop its own.

Of a loop that is each sequence's last step that the loss reads, in the order in which the loop runs: of a backward direction
the first. The gradient starts there, dL/d output with all other steps zero, and goes back through the whole model. What a loss
adds at other steps would hide what is lost on the way. An output without steps is one end point. Where only a number comes
out, or the loss reads a loop by another way than what the model returns, there is no such place.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool
from torch import Tensor, nn
from torch.autograd.graph import get_gradient_edge

from rnnvanish.backward.episodes import Episodes
from rnnvanish.backward.loss import Loss, evaluate_loss, final_states
from rnnvanish.backward.output_steps import OutputSteps, direct_gradients, output_steps
from rnnvanish.backward.state_gradients import Source
from rnnvanish.compat.tensors import add_hook
from rnnvanish.live import unwrapped
from rnnvanish.observe.agreement import tensors_in
from rnnvanish.observe.call import Call
from rnnvanish.observe.record import Run

SEVERAL = "{} {} steps: the gradient starts from one of them alone, the {}{}."
NO_STEPS = "No steps were found in what the model returns: the gradient starts from all of it."


@dataclass(frozen=True, eq=False)
class EndPoints:
    """Where gradients start.

    Attributes:
        whole: The loss.
        sources: Places that a gradient may start from.
        of_run: Of each loop which of these, to be tried in this order; none where there is no place in an output.
        says: Of each loop what is differentiated, where that is not plain.
        reads_more: Of each loop whether the loss, which the user named, reads more than that.
    """

    whole: Source
    sources: Sequence[Source]
    of_run: Sequence[Sequence[int]]
    says: Sequence[str]
    reads_more: Sequence[bool]


@dataclass(frozen=True, eq=False)
class _Output:
    """One tensor that the model returned, and the gradient of the loss by it alone.

    Attributes:
        tensor: The tensor.
        edge: Its place in the graph, whatever the loss writes to it.
        gradient: What the loss sends there itself, and not by way of another output; empty where nothing.
    """

    tensor: Tensor
    edge: Any
    gradient: list[Tensor]


def find_end_points(model: nn.Module, call: Call, output: Any, runs: list[Run], loss: Loss) -> EndPoints:
    """Find where the gradient of each loop starts.

    Args:
        model: What ran.
        call: How it was called.
        output: What it returned.
        runs: Its loops.
        loss: What the user differentiates.

    Raises:
        ValueError: Of a loss that gives no number.
    """
    if loss is None and final_states(unwrapped(model), output) is not None:
        whole = Source([evaluate_loss(model, call, output, loss)], [None])
        return EndPoints(whole, [whole], [(0,)] * len(runs), [""] * len(runs), [False] * len(runs))
    # A number is no place to start from: the gradient goes through it, to whatever else the model returns.
    tensors = {id(each): each for each in tensors_in(output) if each.dim() and each.grad_fn is not None}
    outputs = [_Output(each, get_gradient_edge(each), []) for each in tensors.values()]
    hooks = [add_hook(each.tensor, _Catch(each.gradient)) for each in outputs]
    read: list[_Output] = []
    try:
        value = evaluate_loss(model, call, output, loss)
        if outputs and value.requires_grad:
            edges = [each.edge for each in outputs]
            found = torch.autograd.grad(value, edges, retain_graph=True, allow_unused=True)
            for each, hook, gradient in zip(outputs, hooks, found, strict=True):
                if hook is None and gradient is not None:
                    each.gradient.append(gradient)
        read = [each for each in outputs if each.gradient and bool(each.gradient[0].any())]
        other_ways = direct_gradients(value, None, runs) if read and loss is not None else []
        if any(bool(direct.any()) for direct in other_ways):
            read = []  # then outputs are no place to start from
    finally:
        for hook in filter(None, hooks):
            hook.remove()
    whole = Source([value], [None])
    if not read:
        sources = [whole] if _reads_one_step(value, runs) else []
        places = [tuple(range(len(sources)))] * len(runs)
        return EndPoints(whole, sources, places, [""] * len(runs), [not sources] * len(runs))
    return _Steps(read, runs).end_points(whole, named=loss is not None)


def _reads_one_step(value: Tensor, runs: Sequence[Run]) -> bool:
    """Whether a loss reads no more than one step of each episode directly: then it is an end point itself."""
    if not value.requires_grad:
        return True
    found = zip(map(Episodes.of, runs), direct_gradients(value, None, runs), strict=True)
    return all(bool((each.split(direct).any(-1).sum(0) <= 1).all()) for each, direct in found)


@dataclass(frozen=True)
class _Catch:
    """A hook that takes what comes, and lets nothing pass."""

    caught: list[Tensor]

    def __call__(self, gradient: Tensor) -> Tensor:
        self.caught.append(gradient)
        return torch.zeros_like(gradient)


class _Steps:
    """Which steps of each loop the outputs read, as far as the loss reads these."""

    def __init__(self, outputs: Sequence[_Output], runs: Sequence[Run]) -> None:
        self.outputs, self.runs = outputs, runs
        by_output = [output_steps(each.tensor, each.edge, runs) for each in outputs]
        self.found: list[list[OutputSteps | None]] = [list(each) for each in zip(*by_output, strict=True)]
        self.read = [[self._rows_read(*pair) for pair in zip(outputs, own, strict=True)] for own in self.found]
        self.last = [self._last_steps(*each) for each in zip(runs, self.found, self.read, strict=True)]
        #: How many steps are told apart, over all sequences, beyond one of each.
        self.apart = [self._told_apart(*pair) for pair in zip(self.found, self.read, strict=True)]

    def end_points(self, whole: Source, named: bool) -> EndPoints:
        """Where the gradient of each loop starts; the loss is the user's own if `named`."""
        masks: list[list[Tensor | None]] = []
        first = [self._index(masks, self._masks(index)) for index in range(len(self.runs))]
        # A loop whose gradient is cut off from later ones (windows between which the state is detached) ends before these.
        later = list(dict.fromkeys(reversed(first)))
        sources = [self._source(each) for each in masks]
        less = [
            any(m is not None and bool((each.gradient[0].masked_fill(m, 0) != 0).any())
                for each, m in zip(self.outputs, own, strict=True)) for own in masks
        ]  # fmt: skip
        return EndPoints(
            whole,
            sources,
            [[own, *(other for other in later if other != own)] for own in first],
            [self._says(index, less[own], named) for index, own in enumerate(first)],
            [named and less[own] for own in first],
        )

    @staticmethod
    def _rows_read(output: _Output, steps: OutputSteps | None) -> Tensor | None:
        """Which rows the loss reads."""
        if steps is None:
            return None
        there = output.gradient[0] != 0
        return there.sum_to_size(steps.step.shape) > 0 if there.shape != steps.step.shape else there

    @staticmethod
    def _last_steps(
        run: Run, found: Sequence[OutputSteps | None], read: Sequence[Tensor | None]
    ) -> Bool[Tensor, "time sequences"]:
        """The last step of each episode that the loss reads, by whatever output."""
        where = torch.zeros(run.x.shape[:2], dtype=torch.bool, device=run.x.device)
        for steps, rows in zip(found, read, strict=True):
            if steps is not None and rows is not None:
                rows = rows & (steps.step >= 0)
                where[steps.step[rows], steps.sequence[rows]] = True
        episodes = Episodes.of(run)
        step = torch.arange(len(where), device=where.device)[:, None]
        inside = (step >= episodes.start) & (step <= episodes.last)
        last = torch.where(where[:, episodes.row] & inside, step, -1).amax(0)
        return torch.zeros_like(where).index_put(
            (last[last >= 0], episodes.row[last >= 0]), torch.tensor(True, device=where.device)
        )

    @staticmethod
    def _told_apart(found: Sequence[OutputSteps | None], read: Sequence[Tensor | None]) -> int:
        pairs = [
            torch.stack([steps.step[rows & (steps.step >= 0)], steps.sequence[rows & (steps.step >= 0)]])
            for steps, rows in zip(found, read, strict=True)
            if steps is not None and rows is not None
        ]
        if not pairs:
            return 0
        both = torch.cat(pairs, dim=1).unique(dim=1)
        return int(both.shape[1]) - len(both[1].unique())

    def _masks(self, index: int) -> list[Tensor | None]:
        """Of each output the rows from which the gradient of a loop starts; None for all."""
        return [self._mask(place, self._order(index)) for place in range(len(self.outputs))]

    def _order(self, index: int) -> list[int]:
        """The loops by whose steps it is told where a loop ends: the first that reads a row decides on it."""
        reverse = self.runs[index].name.endswith("reverse")

        def rank(other: int) -> tuple[bool, bool, bool, int, int]:
            # A loop that all rows read alike (an encoder under attention) ends where those do that its readers end at.
            alike, turned = not self.apart[other], self.runs[other].name.endswith("reverse") != reverse
            return alike, other != index, turned, -self.apart[other], -other

        return sorted(range(len(self.runs)), key=rank)

    def _mask(self, place: int, order: Sequence[int]) -> Tensor | None:
        """The rows of one output that are the last of the first loop of `order` that reads them."""
        mask = taken = None
        for index in order:
            steps = self.found[index][place]
            if steps is not None:
                own = self.last[index][steps.step.clamp(min=0), steps.sequence] & (steps.step >= 0)
                mask = own if mask is None or taken is None else torch.where(taken, mask, own)
                taken = steps.step >= 0 if taken is None else taken | (steps.step >= 0)
        return mask

    @staticmethod
    def _index(known: list[list[Tensor | None]], masks: list[Tensor | None]) -> int:
        for index, other in enumerate(known):
            pairs = list(zip(masks, other, strict=True))
            if all(a is b or (a is not None and b is not None and a.equal(b)) for a, b in pairs):
                return index
        known.append(masks)
        return len(known) - 1

    def _source(self, masks: Sequence[Tensor | None]) -> Source:
        gradients = [
            each.gradient[0] if mask is None else torch.where(mask, each.gradient[0], 0)
            for each, mask in zip(self.outputs, masks, strict=True)
        ]
        return Source([each.edge for each in self.outputs], gradients)

    def _says(self, index: int, less: bool, named: bool) -> str:
        """What is differentiated."""
        if all(own[place] is None for place in range(len(self.outputs)) for own in self.found):
            return NO_STEPS
        if not less:
            return ""
        finest = max(range(len(self.runs)), key=lambda other: (self.apart[other], other == index))
        count = len(torch.cat([
            steps.step[rows & (steps.step >= 0)]
            for steps, rows in zip(self.found[finest], self.read[finest], strict=True)
            if steps is not None and rows is not None
        ]).unique())  # fmt: skip
        first = self.runs[self._order(index)[0]]
        end = "first" if first.name.endswith("reverse") else "last"
        reads, of = (
            "The loss reads" if named else "The model returns",
            "" if first.resets is None else " of each episode",
        )
        return SEVERAL.format(reads, count, end, of)
