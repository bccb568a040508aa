"""Which steps of a loop are padding, found in what the model was given: one and the same step at one end of the sequences."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Bool
from torch import Tensor, nn

from rnnvanish.compat.pytree import tree_leaves
from rnnvanish.observe.call import Call
from rnnvanish.observe.record import Run

#: Equal steps from which on they are taken for padding; where all sequences have as many, also the steps that are left.
LEAST = 3
#: Part of all steps that may have the index of padding and be text.
SELDOM = 0.1


@dataclass(frozen=True)
class Padding:
    """The padding of a batch.

    Attributes:
        in_order: Which steps are padding, (time, sequences), in the order of the sequence.
        reverse: Whether the loop runs from the end of the sequence.
        front: Whether it stands before the text.
        certain: Whether it can hardly be anything else.
        exact: Whether no word of the text may look like it.
    """

    in_order: Bool[Tensor, "time sequences"]
    reverse: bool
    front: bool
    certain: bool
    exact: bool

    @property
    def steps(self) -> Bool[Tensor, "time sequences"]:
        """Which steps are padding, as the loop runs."""
        return self.in_order.flip(0) if self.reverse else self.in_order

    @property
    def inner(self) -> Bool[Tensor, "time sequences"]:
        """Those of them, as the loop runs, that are not next to the text."""
        turned = self.in_order.flip(0) if self.front else self.in_order
        found = turned.clone()
        for back in range(1, LEAST):
            found[back:] &= turned[:-back]
            found[:back] = False
        return found.flip(0) if self.front != self.reverse else found

    @property
    def deep(self) -> Bool[Tensor, "time sequences"]:
        """Those that cannot be text: where its last word may look like padding, none next to it."""
        return self.steps if self.exact else self.inner

    @property
    def behind(self) -> Bool[Tensor, "time sequences"]:
        """Those of the deep ones that the loop comes to when it has read the text."""
        return self.deep & (self.reverse == self.front)

    @property
    def doubt(self) -> str:
        """What to say where it may be something else."""
        return "" if self.certain else " Nothing says that these are padding: they may be data, too."


def find_padding(model: nn.Module, call: Call, run: Run) -> Padding | None:
    """Find the padding that a loop runs over; None of a packed one, and where nothing tells.

    Looked at is what the model was given, then what the loop reads: after dropout, or with positions added, no two steps are
    equal there.
    """
    if run.lengths is not None or run.resets is not None or len(run.x) <= LEAST or run.x.is_complex():
        return None
    time, batch = run.x.shape[:2]
    reverse = run.name.endswith("reverse")
    own = run.x.detach().flip(0) if reverse else run.x.detach()
    given = [value.detach().to(own.device) for value in _given(call) if not value.is_complex()]
    whole = [value for value in given if not value.is_floating_point() and value.dtype != torch.bool]
    lengths = [value.long() for value in whole if value.shape == (batch,)]
    pads = {each.padding_idx for each in model.modules() if isinstance(each, nn.Embedding | nn.EmbeddingBag)}
    candidates = [steps for value in given for steps in _as_steps(value, time, batch, run)]
    masks = sum(_where_masked(steps) is not None for steps in candidates)
    several = max(masks, len(candidates) - masks) > 1
    for steps in (*candidates, own):
        for front in (False, True):
            turned = steps.flip(0) if front else steps
            found = _where_masked(turned) if len(candidates) > 1 else None
            found = found or _at_end(turned, pads, lengths)
            if found is not None:
                padded, *known = found
                padded = padded.flip(0) if front else padded
                if not several or _is_alike(own, padded):
                    return Padding(padded, reverse, front, *known)
    return None


def _is_alike(own: Tensor, padded: Bool[Tensor, "time sequences"]) -> bool:
    """Whether a loop reads the same at these steps, as far as dropout leaves it: in all sequences at a time, or at all times.

    Of several inputs of a model another loop may read this one.
    """
    there = padded[..., None] & (own != 0)
    most, least = own.masked_fill(~there, -torch.inf), own.masked_fill(~there, torch.inf)
    close = 1e-5 * own.abs().max()
    alike = [bool(((most.amax(axis) - least.amin(axis)) <= close).all()) for axis in (0, 1)]
    return (alike[1] and int(padded.sum(1).max()) > 1) or alike[0]


def _where_masked(steps: Tensor) -> tuple[Tensor, bool, bool] | None:
    """Which steps at the end of sequences a mask of ones and zeros leaves out, where this is one."""
    if steps.is_floating_point() or steps.shape[-1] != 1:
        return None
    there = steps[..., 0] == 1
    falls = bool((there | (steps[..., 0] == 0)).all() and there[0].all() and (there[1:] <= there[:-1]).all())
    return (~there, True, True) if falls and int((~there).sum(0).max()) >= LEAST else None


def _given(call: Call) -> Iterator[Tensor]:
    """The tensors that the model was called with; of a whole batch all but the last, its targets."""
    args = call.args
    if call.method != "forward" and args and isinstance(args[0], tuple | list) and len(args[0]) > 1:
        args = (args[0][:-1],)
    for leaf in tree_leaves((args, call.kwargs)):
        if isinstance(leaf, Tensor):
            yield leaf


def _as_steps(value: Tensor, time: int, batch: int, run: Run) -> Iterator[Tensor]:
    """An input as (time, batch, features), by every reading of its shape that fits."""
    if not value.dim():
        return
    if batch == 1 and value.shape[:1] == (time,):
        yield value.reshape(time, 1, -1)
    if value.dim() < 2:
        return
    first = value.shape[:2] == (batch, time)
    if first and (time != batch or getattr(run.module, "batch_first", True)):
        yield value.transpose(0, 1).reshape(time, batch, -1)
    elif value.shape[:2] == (time, batch):
        yield value.reshape(time, batch, -1)


def _at_end(steps: Tensor, pads: set[int | None], lengths: list[Tensor]) -> tuple[Tensor, bool, bool] | None:
    """Which steps at the end of sequences are padding, whether that is certain, and whether it is exact.

    Padding is one and the same step, again and again up to the end, and nowhere else, but for a word now and then that has
    its index. It is certain where the lengths were given, where an embedding says so, and where most sequences have it, of
    several lengths. Zeros at the end of a few, or
    equally many in all, may be data; the index 0 of an embedding may not.
    """
    time = len(steps)
    longest = (steps == steps[-1]).all(-1).flip(0).cumprod(0).sum(0).argmax()
    pad = steps[-1, longest]
    same = (steps == pad).all(-1)
    trailing = same.flip(0).cumprod(0).sum(0)
    most, least = int(trailing.max()), int(trailing.min())
    text = steps[~same]
    if not LEAST <= most < time or len(text) < LEAST or bool((text == text[0]).all()):
        return None
    index = pad.numel() == 1 and not steps.is_floating_point()
    declared = index and int(pad) in pads
    padded = torch.arange(time, device=steps.device)[:, None] >= time - trailing
    if not declared and not _may_be_text(same & ~padded, index):
        return None
    for each in lengths:
        beside = each - (time - trailing)  # the last words of a text may have the index of padding, too
        if bool((beside >= 0).all()) and int(beside.max()) < LEAST and int(each.min()) <= time - LEAST:
            return torch.arange(time, device=steps.device)[:, None] >= each, True, True
    alone = not bool((same & ~padded).any())
    if declared:
        return padded, True, alone
    zero, several = not bool(pad.any()), pad.numel() > 1
    if least < most and float((trailing >= LEAST).double().mean()) >= 0.5:
        # Of one number that is not zero it may be a signal that has come to an end.
        return (padded, True, alone) if zero or several or index else None
    if least < most:  # in a few sequences alone
        return (padded, index, alone) if zero else None
    return (padded, index and zero, alone) if (zero or index) and time - most >= LEAST else None


def _may_be_text(same: Bool[Tensor, "time sequences"], index: bool) -> bool:
    """Whether there are so few steps like padding within the text that a word may have its index; nowhere two beside a third."""
    if not index:
        return not bool(same.any())
    run = same[2:] & same[1:-1] & same[:-2]
    return not bool(run.any()) and float(same.double().mean()) < SELDOM
