"""A staged step over time as one operation of autograd: the forward loop, and the backward loop."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from rnnvanish.compat.tensors import lazy_clone
from rnnvanish.engine.autograd.distinct_gradients import copy_shared
from rnnvanish.engine.double_backward import differentiable_gradients
from rnnvanish.engine.ir.interpret import Interpreter, as_rows
from rnnvanish.engine.ir.unsupported import Unsupported
from rnnvanish.engine.ir.values import Kind, Value, walk
from rnnvanish.engine.large_pages import in_large_pages
from rnnvanish.engine.plan.phases import LoopPlan, Place
from rnnvanish.engine.plan.staged_step import StagedStep
from rnnvanish.engine.state_record import StateRecord
from rnnvanish.numerics.real_view import pack, pack_part, unpack_part


class CompiledLoop(Protocol):
    """A loop that a backend has compiled."""

    def __call__(
        self, steps: int, batch: int, buffers: Mapping[str, Tensor], matrices: Mapping[Value, Tensor], mask: int
    ) -> None:
        """Run over all steps.

        Args:
            steps: How many.
            batch: Sequences.
            buffers: Memory by its name: contiguous.
            matrices: What rows are multiplied by.
            mask: Of the slots of carries: 1 for two of them in turn, -1 for one a step.
        """
        ...


#: What compiles a loop from its plan, the widths of the buffers, the direction and the dtype.
Backend = Callable[[LoopPlan, Mapping[str, int], bool, torch.dtype], CompiledLoop]


class Program:
    """A staged step, compiled for one device and dtype.

    Args:
        staged: The step.
        backend: Compiles its two loops.
        dtype: Of its numbers.
        chunk: Numbers that the widest buffer may have at a time: longer loops are run chunk after chunk, in memory that
            is used again. None for all at once.
    """

    def __init__(self, staged: StagedStep, backend: Backend, dtype: torch.dtype, chunk: int | None = None) -> None:
        self.staged, self.chunk = staged, chunk
        widths: dict[str, int] = {}
        for value, place in staged.at.items():
            widths[place.buffer] = max(widths.get(place.buffer, 0), place.lane + value.width)
        self.tapes = {name: width for name, width in widths.items() if name.startswith(("tape", "total"))}
        self.widest = max([*widths.values(), *staged.forward.widths.values()])
        # Each loop numbers its scratch buffers for itself.
        self.forward_loop = backend(staged.forward, widths | staged.forward.widths, False, dtype)
        self.backward_loop = backend(staged.backward, widths | staged.backward.widths, True, dtype)
        products = (
            product.matrix
            for loop in (staged.forward, staged.backward)
            for phase in loop.phases
            for product in phase.products
        )
        self.matrices = list(dict.fromkeys(products))
        computed = walk([*staged.new, *(value for phase in staged.backward.phases for value, _ in phase.stores)], ())
        self.flat = {value.args[0] for value in computed if value.op == "flat"}
        self.matrix_interpreter = Interpreter(self.matrices, staged.invariants)
        self.early = Interpreter([value for value, _ in staged.early], {*staged.invariants, *staged.inputs})
        self._gradients: dict[tuple[bool, ...], Interpreter] = {}

    def __call__(
        self,
        x: Tensor,
        ended: Tensor | None,
        invariants: Sequence[Tensor],
        state: Sequence[Tensor],
        record: StateRecord | None,
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Run over time.

        Args:
            x: Input, (time, batch, features).
            ended: Which sequences have ended, (time, batch, 1).
            invariants: What is computed once.
            state: State before the first step.
            record: Is given the states of every step, and in the backward pass the gradients by them.

        Returns:
            The first part of the state after each step, and the whole state after the last.
        """
        steps, batch, _ = x.shape
        state = list(map(pack_part, state))
        draws = self.staged.draws
        # One step's numbers after the other's, as the step itself would draw them.
        drawn = [[draw(batch, x) for draw in draws] for _ in range(steps)] if draws else []
        noise = [torch.stack(each) for each in zip(*drawn, strict=True)]
        invariants, others = invariants[: len(self.staged.invariants)], invariants[len(self.staged.invariants) :]
        if self.staged.input_stage.results:
            x = self.staged.input_stage.for_all_steps(others, [x, *noise])
        x = pack(x)
        differentiated = torch.is_grad_enabled() and any(tensor.requires_grad for tensor in (x, *invariants, *state))
        y, *final = _LoopFunction.apply(
            self, record, differentiated, len(noise), len(invariants), x, ended, *noise, *invariants, *state
        )
        parts = self.unpack_state(final)
        if not torch.is_grad_enabled():  # no views: torch would refuse to have them changed by what learns
            parts = tuple(part.clone() if part.dim() > 2 else part for part in parts)
        return self.unpack_state([y])[0], parts

    def unpack_state(self, rows: Iterable[Tensor]) -> tuple[Tensor, ...]:
        """The parts of a state, or as many of them as there are, in their own shapes and dtypes."""
        return tuple(map(unpack_part, rows, self.staged.shapes, self.staged.complex))

    def chunks(self, steps: int, batch: int) -> list[tuple[int, int]]:
        """First and end of each chunk of time: of even length, but for the last, as two slots of carries take turns."""
        if self.chunk is None:
            return [(0, steps)]
        length = max(self.chunk // (2 * batch * self.widest), 1) * 2
        return [(start, min(start + length, steps)) for start in range(0, steps, length)]

    def invariant_tensors(self, invariants: Sequence[Tensor]) -> dict[Value, Tensor]:
        """What is computed once: matrices, and vectors as (1, width)."""
        return {
            value: tensor.reshape(value.shape) for value, tensor in zip(self.staged.invariants, invariants, strict=True)
        }

    def operands(self, known: Mapping[Value, Tensor], like: Tensor) -> tuple[dict[str, Tensor], dict[Value, Tensor]]:
        """Vectors and matrices as they lie in memory for a loop."""
        vectors = {
            f"invariant{value.detail[0]}": tensor.to(like.dtype).contiguous()
            for value, tensor in known.items()
            if value.kind == Kind.VECTOR or value in self.flat
        }
        found = self.matrix_interpreter([known[value] for value in self.matrix_interpreter.reads], 0, like)
        matrices = zip(self.matrices, found, strict=True)
        return vectors, {value: tensor if 1 in tensor.stride() else tensor.contiguous() for value, tensor in matrices}

    def gradients(self, needed: tuple[bool, ...]) -> Interpreter:
        """How to compute, after the backward loop, those gradients of x and of the invariants that are needed."""
        if needed not in self._gradients:
            staged = self.staged
            floating = iter(staged.invariant_gradients)
            every = [staged.input_gradient, *(next(floating) if each else None for each in staged.floating)]
            wanted = [value for value, need in zip(every, needed, strict=True) if need and value is not None]
            there = {*staged.invariants, *staged.inputs} | {
                value
                for value, place in staged.at.items()
                if place.buffer in staged.saved
                or place.buffer in self.tapes
                or (staged.keeps_carries and place.buffer.startswith("carry"))
            }
            self._gradients[needed] = Interpreter(wanted, there)
        return self._gradients[needed]

    def compute(
        self,
        interpreter: Interpreter,
        known: Mapping[Value, Tensor],
        buffers: Mapping[str, Tensor],
        steps: int,
        batch: int,
    ) -> list[Tensor]:
        """Compute values for all rows of a stretch of steps at once."""
        rows = steps * batch
        tensors = [
            known[value] if value in known else _rows_at(self.staged.at[value], buffers, value.width, steps, rows)
            for value in interpreter.reads
        ]
        return interpreter(tensors, rows, buffers["x"])


class _LoopFunction(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        program: Program,
        record: StateRecord | None,
        differentiated: bool,
        draws: int,
        count: int,
        *tensors: Tensor | None,
    ) -> Any:
        x, ended, noise, invariants, state = _split_tensors(tensors, draws, count)
        staged, (steps, batch, _) = program.staged, x.shape
        known = program.invariant_tensors(invariants)
        vectors, matrices = program.operands(known, x)
        all_steps, chunks = _input_buffers(x, ended, noise), program.chunks(steps, batch)
        names = [f"state{index}" for index in range(len(state))]
        kept = {"state0", *(names if record is not None else staged.saved if differentiated else ())}
        carried: dict[str, Tensor] = {}  # what the next step alone reads lies in the same memory for every chunk
        for name, part in zip(names, state, strict=True):
            length = steps if name in kept else chunks[0][1]
            (all_steps if name in kept else carried)[name] = states = in_large_pages(
                x.new_empty(length + 1, *part.shape)
            )
            states[0] = part
        saved_chunks: list[dict[str, Tensor]] = []
        for start, stop in chunks:
            buffers, rows = _buffers_between(all_steps, start, stop) | carried | vectors, (stop - start) * batch
            early = program.compute(program.early, known, buffers, stop - start, batch)
            own = {
                name: as_rows(tensor, rows).contiguous() for (_, name), tensor in zip(staged.early, early, strict=True)
            } | _allocate(x, staged.forward.widths, batch, rows)
            program.forward_loop(stop - start, batch, buffers | own, matrices, 1)
            for states in carried.values():
                states[0] = states[stop - start]
            saved_chunks.append(
                {name: each for name, each in own.items() if name in staged.saved} if differentiated else {}
            )
        ctx.program, ctx.record, ctx.counts = program, record, (draws, count)
        if record is not None:
            record.states = program.unpack_state(all_steps[name] for name in names)
        saved = {name: all_steps[name] for name in names if name in all_steps and name in staged.saved}
        ctx.names = list(saved), list(saved_chunks[0])
        ctx.save_for_backward(*tensors, *saved.values(), *(each for part in saved_chunks for each in part.values()))
        ctx.set_materialize_grads(False)
        y = all_steps["state0"][1:]
        # Its user may change it in any way, also by `.data` or as a numpy array: it is copied then, and not before.
        # What the backward pass does not read is theirs as it is, but no view: torch would refuse to have it changed.
        y = lazy_clone(y) if differentiated and "state0" in saved else y.data
        return y, *((carried[name][0] if name in carried else all_steps[name][-1]).clone() for name in names)

    @staticmethod
    def backward(ctx: Any, outputs: Tensor | None, *final: Tensor | None) -> Any:
        program, (draws, count), (states, names) = ctx.program, ctx.counts, ctx.names
        staged, saved = program.staged, ctx.saved_tensors  # once: checkpointing gives them a single time
        steps, batch, _ = saved[0].shape
        chunks = program.chunks(steps, batch)
        end = len(saved) - len(chunks) * len(names)
        saved_chunks = [dict(zip(names, saved[end + at * len(names) :], strict=False)) for at in range(len(chunks))]
        with torch.set_grad_enabled(torch.is_grad_enabled() or not all(map(_has_memory, (outputs, *final)))):
            x, ended, noise, invariants, state = _split_tensors(saved[: end - len(states)], draws, count)
            known = program.invariant_tensors(invariants)
            if torch.is_grad_enabled():
                if ctx.record is not None:
                    raise Unsupported("record of a double backward")
                return *[None] * 5, *differentiable_gradients(
                    staged, known, x, ended, noise, invariants, state, outputs, final
                )
        vectors, matrices = program.operands(known, x)
        all_steps = _input_buffers(x, ended, noise) | dict(zip(states, saved[end - len(states) : end], strict=True))
        if outputs is not None:
            all_steps["outputs"] = outputs.contiguous()
        # The gradients of the states at every step, or those of two steps in turn.
        mask = -1 if staged.keeps_carries or ctx.record is not None else 1
        carries = {}
        for index, (part, gradient) in enumerate(zip(state, final, strict=True)):
            carries[f"carry{index}"] = carry = in_large_pages(x.new_empty(steps + 1 if mask == -1 else 2, *part.shape))
            carry[steps & mask] = 0.0 if gradient is None else gradient
        longest = max(stop - start for start, stop in chunks)
        own = _allocate(x, program.tapes | staged.backward.widths, batch, longest * batch)
        needed = (ctx.needs_input_grad[5], *ctx.needs_input_grad[7 + draws : 7 + draws + count])
        interpreter = program.gradients(needed)
        x_gradient = torch.empty_like(x) if needed[0] and len(chunks) > 1 else None
        sums: list[Tensor] | None = None
        for (start, stop), mine in zip(reversed(chunks), reversed(saved_chunks), strict=True):
            buffers = _buffers_between(all_steps, start, stop) | vectors | mine | own
            buffers |= carries if mask == 1 else _buffers_between(carries, start, stop)
            for name, buffer in own.items():
                if name.startswith("total"):
                    buffer.zero_()
            program.backward_loop(stop - start, batch, buffers, matrices, mask)
            found = program.compute(interpreter, known, buffers, stop - start, batch)
            if needed[0]:
                here = _in_shape_of(found.pop(0), x[start:stop])
                if x_gradient is None:
                    x_gradient = here
                else:  # the memory that it lies in is used again
                    x_gradient[start:stop] = here
            sums = found if sums is None else [one + other for one, other in zip(sums, found, strict=True)]
        if ctx.record is not None:
            ctx.record.gradients.append(program.unpack_state(carries.values()))
        each = iter(sums or [])
        invariant_gradients = [
            _in_shape_of(next(each), like) if need and floating else None
            for need, floating, like in zip(needed[1:], staged.floating, invariants, strict=True)
        ]
        state_gradients = [carry[0] for carry in carries.values()]
        x_gradient, *rest = copy_shared([x_gradient, *invariant_gradients, *state_gradients], carries.values())
        return *[None] * 5, x_gradient, None, *[None] * draws, *rest


def _split_tensors(tensors: Sequence[Any], draws: int, count: int) -> tuple[Any, ...]:
    """x, ended, noise, what is computed once, and the state, out of one list."""
    x, ended, *rest = tensors
    return x.contiguous(), ended, rest[:draws], rest[draws : draws + count], rest[draws + count :]


def _input_buffers(x: Tensor, ended: Tensor | None, noise: Sequence[Tensor]) -> dict[str, Tensor]:
    """Buffers of what comes from outside, for all steps."""
    buffers = {"x": x} | {f"draw{index}": each for index, each in enumerate(noise)}
    return buffers if ended is None else buffers | {"ended": ended}


def _buffers_between(buffers: Mapping[str, Tensor], start: int, stop: int) -> dict[str, Tensor]:
    """Buffers for a stretch of time; of states, those before and after it too."""
    if not start and stop == len(buffers.get("x", ())):
        return dict(buffers)
    return {name: buffer[start : stop + name.startswith(("state", "carry"))] for name, buffer in buffers.items()}


def _allocate(like: Tensor, widths: Mapping[str, int], batch: int, rows: int) -> dict[str, Tensor]:
    """Memory for a loop's own: a row for each sequence of what is scratch, and of the rest one for each step too."""
    return {
        name: in_large_pages(like.new_empty(batch if name.startswith(("scratch", "total")) else rows, width))
        for name, width in widths.items()
    }


def _rows_at(place: Place, buffers: Mapping[str, Tensor], width: int, steps: int, rows: int) -> Tensor:
    """The rows of a stretch of steps that lie at a place."""
    buffer = buffers[place.buffer]
    if place.sums:
        return buffer.sum(0, keepdim=True)
    if place.buffer.startswith(("state", "carry")):
        buffer = buffer[place.shift : place.shift + steps]
    buffer = buffer.reshape(-1, buffer.shape[-1])
    return buffer if buffer.shape == (rows, width) else buffer[:rows, place.lane : place.lane + width]


def _has_memory(gradient: Tensor | None) -> bool:
    """Whether a gradient, if there is one, has numbers to read: many at once (`is_grads_batched`) have none."""
    try:
        return gradient is None or gradient.untyped_storage() is not None
    except NotImplementedError:
        return False


def _in_shape_of(gradient: Tensor, like: Tensor) -> Tensor:
    """A gradient in the shape of what it belongs to."""
    if gradient.numel() == like.numel():
        return gradient.reshape(like.shape)
    return gradient.expand(like.numel() // like.shape[-1], like.shape[-1]).reshape(like.shape)
