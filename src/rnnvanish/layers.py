"""What `torch.nn.RNN`, `LSTM`, `GRU` and `Recurrent` share: the forms of their input, and the order of their layers.

A layer computes in one form: time first, batched, padded, with lengths. `Sequences` brings an input into it and
an output back; `run_layers` runs the loops of a stack in that form, each by whatever `run_loop` it is given.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, cast, runtime_checkable

import torch
from jaxtyping import Inexact, Int, Shaped
from torch import Tensor, nn
from torch.nn.functional import dropout
from torch.nn.utils.rnn import PackedSequence, pad_packed_sequence

from rnnvanish.cell import State
from rnnvanish.engine.reference import padding_mask
from rnnvanish.engine.step_form import Columns

#: The states of all loops of a stack.
StackState = tuple[Shaped[Tensor, "loops batch ..."], ...]

#: One loop over time: (index of the loop, input, its columns, initial state or None, lengths) -> (outputs, final state).
#: Loops are counted layer by layer, forward before reverse; a reverse loop is given its input reversed.
RunLoop = Callable[[int, Tensor, Columns, State | None, Tensor | None], tuple[Tensor, State]]


@runtime_checkable
class LayerStack(Protocol):
    """The attributes that torch's recurrent modules and `Recurrent` have in common."""

    num_layers: int
    bidirectional: bool
    batch_first: bool
    dropout: float
    training: bool


@dataclass(frozen=True)
class Sequences:
    """A batch of sequences in the one form that layers compute in, and the form that they came in.

    Attributes:
        x: Features, padded.
        lengths: Steps in each sequence; None where all fill the batch.
        packed: The packed form that `x` came in: then the batch stands in its sorted order.
    """

    x: Inexact[Tensor, "time batch features"]
    lengths: Int[Tensor, " batch"] | None
    packed: PackedSequence | None
    unbatched: bool
    batch_first: bool

    @classmethod
    def read(cls, x: Tensor | PackedSequence, lengths: Tensor | None, batch_first: bool) -> "Sequences":
        """Bring an input into the common form."""
        if isinstance(x, PackedSequence):
            padded, lengths = pad_packed_sequence(PackedSequence(x.data, x.batch_sizes))
            return cls(padded, lengths.to(padded.device), x, unbatched=False, batch_first=False)
        if x.dim() == 2:
            return cls(x.unsqueeze(1), None, None, unbatched=True, batch_first=False)
        x = x.transpose(0, 1) if batch_first else x
        return cls(x, lengths, None, unbatched=False, batch_first=batch_first)

    def restore(self, y: Inexact[Tensor, "time batch outputs"]) -> Tensor | PackedSequence:
        """Give an output the form that the input came in."""
        if self.packed is not None:
            return PackedSequence(y[self.valid()], *self.packed[1:])
        if self.unbatched:
            return y.squeeze(1)
        return y.transpose(0, 1) if self.batch_first else y

    def read_state(self, state: Any) -> StackState | None:
        """Bring an initial state, a tensor or a tuple of them, into the common form."""
        if state is None:
            return None
        parts = state_parts(state)
        if self.unbatched:
            return tuple(part.unsqueeze(1) for part in parts)
        if self.packed is not None and self.packed.sorted_indices is not None:
            return tuple(part.index_select(1, self.packed.sorted_indices) for part in parts)
        return parts

    def restore_state(self, parts: StackState, count: int) -> Tensor | tuple[Tensor, ...]:
        """Give a final state the caller's form, as `torch.nn` does: a tensor for one part, a tuple for more.

        Where the caller counts on fewer parts than there are, the first carries the others, see `state_parts`; where on
        more, it is a tuple, so that taking it apart fails.
        """
        if self.unbatched:
            parts = tuple(part.squeeze(1) for part in parts)
        elif self.packed is not None and self.packed.unsorted_indices is not None:
            parts = tuple(part.index_select(1, self.packed.unsorted_indices) for part in parts)
        if count < len(parts):
            parts[0].carried = parts[count:]  # type: ignore[attr-defined]  # tensors take attributes
        return parts[:count] if count > 1 else parts[0]

    def valid(self) -> Tensor:
        """Which steps belong to a sequence, shape (time, batch)."""
        assert self.lengths is not None
        return ~padding_mask(len(self.x), self.lengths)

    def drop(self, y: Tensor, probability: float) -> Tensor:
        """Apply dropout as torch does, to the packed rows where the input was packed: the same masks for a seed."""
        if self.packed is None:
            return dropout(y, probability)
        valid = self.valid()
        return torch.zeros_like(y).index_put((valid,), dropout(y[valid], probability))


@dataclass(frozen=True)
class PerStep:
    """What a caller gives for every step beside `x`, time first; None where it does not.

    Attributes:
        resets: Where a sequence begins anew, (time, batch).
        times: When each step is, (time, batch).
        observed: Which features were seen, (time, batch, features).
        running: Whether loops are told which steps belong to a sequence, where some end early.
    """

    resets: Tensor | None = None
    times: Tensor | None = None
    observed: Tensor | None = None
    running: bool = False

    @classmethod
    def read(
        cls, x: Tensor | PackedSequence, batch_first: bool, lengths: Tensor | None, running: bool = False, **given: Any
    ) -> "PerStep":
        """Bring what came into the common form: for `x` as it came, in the order of its axes.

        Raises:
            ValueError: For a wrong shape, or times that go back.
        """
        found = {}
        for name, value in given.items():
            if value is None:
                continue
            if isinstance(x, PackedSequence):
                raise ValueError(f"Recurrent takes {name} for a padded batch: give x padded, with lengths=.")
            tensor = torch.as_tensor(value, device=x.device)
            if name == "times" and not tensor.dtype.is_signed:  # differences would wrap around
                tensor = tensor.long()
            shape = tuple(x.shape if name == "observed" else x.shape[:-1])
            if tuple(tensor.shape) != shape:
                raise ValueError(f"Recurrent needs {name} of shape {shape}, as x has it, got {tuple(tensor.shape)}.")
            tensor = tensor.unsqueeze(1) if x.dim() == 2 else tensor
            found[name] = tensor.transpose(0, 1) if batch_first and x.dim() == 3 else tensor
        per_step = cls(**found, running=running)
        per_step._check_times(lengths)
        return per_step

    def _check_times(self, lengths: Tensor | None) -> None:
        if self.times is None:
            return
        back = ~(self.times.diff(dim=0) >= 0)  # nor is it known of what is no number
        if self.resets is not None:
            back &= self.resets[1:] == 0
        if lengths is not None:
            back &= ~padding_mask(len(self.times), lengths)[1:]
        if back.any():
            step, sequence = back.nonzero()[0].tolist()
            raise ValueError(
                f"Recurrent needs times that never decrease; those of sequence {sequence} do after step {step}: sort its "
                "steps, or say by resets where another sequence begins."
            )

    def columns(self, x: Tensor, layer: int, reverse: bool, lengths: Tensor | None) -> tuple[Tensor, Columns]:
        """What a loop reads: its input `x`, in the loop's direction, with all that is given beside it, and what that is."""
        found: dict[str, Tensor] = {}
        if self.resets is not None:
            found["resets"] = self._begins(reverse, lengths).unsqueeze(-1)
        if self.times is not None:
            found["times"] = self._passed(reverse, lengths).unsqueeze(-1)
        if self.observed is not None and layer == 0:
            found["observed"] = reverse_time(self.observed, lengths) if reverse else self.observed
        if self.running and lengths is not None:
            found["running"] = ~padding_mask(len(x), lengths).unsqueeze(-1)
        columns = tuple((name, value.shape[-1]) for name, value in found.items())
        return torch.cat([x, *(value.to(x.dtype) for value in found.values())], dim=-1) if found else x, columns

    def _begins(self, reverse: bool, lengths: Tensor | None) -> Tensor:
        """Before which of its steps a loop begins anew: one that runs backward ends a piece where the piece begins."""
        resets = cast(Tensor, self.resets) != 0
        if not reverse:
            return resets
        ahead = reverse_time(resets.unsqueeze(-1), lengths).squeeze(-1)
        return torch.cat([torch.zeros_like(ahead[:1]), ahead[:-1]])

    def _passed(self, reverse: bool, lengths: Tensor | None) -> Tensor:
        """What has passed since the step before, in the loop's direction: 0 where it begins."""
        times = cast(Tensor, self.times)
        if reverse:
            times = reverse_time(times.unsqueeze(-1), lengths).squeeze(-1)
        passed = torch.cat([torch.zeros_like(times[:1]), times.diff(dim=0).abs()])
        return passed if self.resets is None else passed.masked_fill(self._begins(reverse, lengths), 0)


def check_lengths(
    x: Tensor | PackedSequence, lengths: Tensor | Sequence[int] | None, batch_first: bool
) -> Int[Tensor, " batch"] | None:
    """Return the steps in each sequence of a padded batch as a tensor beside it; a ValueError where they do not fit."""
    if lengths is None:
        return None
    if isinstance(x, PackedSequence) or x.dim() != 3:
        raise ValueError("Recurrent takes lengths for a padded batch only; a PackedSequence has its own.")
    time, batch = (x.shape[1], x.shape[0]) if batch_first else x.shape[:2]
    steps = torch.as_tensor(lengths, device=x.device)
    if steps.shape != (batch,) or steps.is_floating_point() or steps.dtype == torch.bool:
        raise ValueError(f"Recurrent needs {batch} whole numbers as lengths, one a sequence, got {lengths}.")
    if batch and (steps.min() < 1 or steps.max() > time):
        raise ValueError(f"Recurrent needs lengths from 1 to {time}, the steps in x, got {steps.tolist()}.")
    return steps.long()


def run_layers(
    stack: LayerStack,
    run_loop: RunLoop,
    x: Tensor | PackedSequence,
    state: Any = None,
    lengths: Tensor | None = None,
    per_step: PerStep = PerStep(),
) -> tuple[Tensor | PackedSequence, Tensor | tuple[Tensor, ...]]:
    """Run every loop of a stack of layers; returns output and final state in the caller's form."""
    sequences = Sequences.read(x, lengths, stack.batch_first)
    initial = sequences.read_state(state)
    directions = 2 if stack.bidirectional else 1
    y, finals = sequences.x, []
    for layer in range(stack.num_layers):
        if layer > 0 and stack.dropout > 0 and stack.training:
            y = sequences.drop(y, stack.dropout)
        outputs = []
        for direction in range(directions):
            index = layer * directions + direction
            before = None if initial is None else tuple(part[index] for part in initial)
            ahead = reverse_time(y, sequences.lengths) if direction else y
            row, columns = per_step.columns(ahead, layer, direction == 1, sequences.lengths)
            states, final = run_loop(index, row, columns, before, sequences.lengths)
            outputs.append(reverse_time(states, sequences.lengths) if direction else states)
            finals.append(final)
        joined = torch.cat(outputs, dim=-1) if directions > 1 else outputs[0]
        if sequences.lengths is not None:
            joined = joined.masked_fill(padding_mask(len(joined), sequences.lengths).unsqueeze(-1), 0.0)
        output, y = apply_skip(stack, layer, y, joined)
    final_state = tuple(map(_stacked, zip(*finals, strict=True)))
    count = getattr(stack, "torch_parts", None) or len(final_state)
    return sequences.restore(output), sequences.restore_state(final_state, count)


def _stacked(parts: tuple[Tensor, ...]) -> Tensor:
    """A part of the state of all loops."""
    shapes = {tuple(part.shape[1:]): None for part in parts}
    if len(shapes) > 1:
        raise ValueError(
            f"A part of the state needs the same shape in every layer, got {' and '.join(map(str, shapes))}: it may depend on "
            "the hidden size and on options of the cell, not on the width of its input."
        )
    return torch.stack(parts)


def state_parts(state: Any) -> tuple[Any, ...]:
    """All parts of a state as callers hand it over, those among them that torch's form has no place for.

    These come back as long as the tensor that a layer returned does; a copy of it, `detach()` for one, is without them.
    """
    parts = tuple(state) if isinstance(state, tuple | list) else (state,)
    return (*parts, *getattr(parts[0], "carried", ())) if parts else parts


def one_argument(name: str, value: Any, theirs: str, other: Any) -> Any:
    """Take an argument that goes by two names, ours and torch's.

    Raises:
        TypeError: Where it is given under both.
    """
    if value is not None and other is not None:
        raise TypeError(f"{theirs} is another word for {name}: give one of them.")
    return other if value is None else value


def complete_state(names: tuple[str, ...], zeros: Callable[[Tensor], State], x: Tensor, state: State | None) -> State:
    """A state of all the parts of `names`: those that are not given are as `zeros` has them before the first step `x`.

    So a wrapped cell takes the state of the cell itself, as torch has it.

    Raises:
        ValueError: Where `zeros` returns no such parts.
    """
    given = state or ()
    if len(given) == len(names):
        return given
    begun = zeros(x)
    if isinstance(begun, Tensor) or len(begun) != len(names):
        got = "a tensor" if isinstance(begun, Tensor) else len(begun)
        raise ValueError(
            f"initial_state needs to return a tuple of {len(names)} part(s) ({', '.join(names)}), got {got}."
        )
    return (*given, *begun[len(given) :])


def apply_skip(stack: LayerStack, layer: int, read: Tensor, output: Tensor) -> tuple[Tensor, Tensor]:
    """Apply the skip connections of a stack, if it has any: the output of a layer, and what the next one reads."""
    skip = getattr(stack, "skip", None)
    if skip == "dense":
        return output, torch.cat([read, output], dim=-1)
    if layer > 0 and skip == "residual":
        output = output + read
    if layer > 0 and skip == "highway":
        transform = torch.sigmoid(cast(nn.ModuleList, cast(Any, stack).transforms)[layer - 1](read))
        output = transform * output + (1 - transform) * read
    return output, output


def reverse_time(x: Tensor, lengths: Tensor | None) -> Tensor:
    """Reverse each sequence within its own length; its padding stays behind it."""
    if lengths is None:
        return x.flip(0)
    t = torch.arange(len(x), device=x.device)[:, None]
    source = torch.where(t < lengths, lengths - 1 - t, t)
    return x.gather(0, source.unsqueeze(-1).expand_as(x))
