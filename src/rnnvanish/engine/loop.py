"""A staged step over time as one operation of autograd: the loop there, and the loop back."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from rnnvanish.engine.differentiable import differentiable
from rnnvanish.engine.evaluate import evaluate
from rnnvanish.engine.phases import Loop, Place
from rnnvanish.engine.staging import Staged
from rnnvanish.engine.values import Kind, Unsupported, Value


class Compiled(Protocol):
    """A loop that a printer has made."""

    def __call__(
        self, steps: int, batch: int, buffers: Mapping[str, Tensor], matrices: Mapping[Value, Tensor], mask: int
    ) -> None:
        """Run over all steps."""
        ...


#: What makes a loop from its phases, the widths of the buffers, the direction and the dtype.
Print = Callable[[Loop, Mapping[str, int], bool, torch.dtype], Compiled]


class Program:
    """A staged step, printed for one device and dtype.

    Args:
        staged: The step.
        prints: The printer.
        dtype: Of its numbers.
        part: Numbers that the widest buffer may have at a time: longer loops are worked on part after part, in memory
            that is used again. None for all at once.
    """

    def __init__(self, staged: Staged, prints: Print, dtype: torch.dtype, part: int | None = None) -> None:
        self.staged, self.part = staged, part
        lying = {place.buffer: value.width for value, place in staged.at.items()}
        self.tapes = {name: width for name, width in lying.items() if name.startswith("tape")}
        self.widest = max([*lying.values(), *staged.forward.widths.values()])
        # Each loop numbers its scratch buffers for itself.
        self.there = prints(staged.forward, lying | staged.forward.widths, False, dtype)
        self.back = prints(staged.backward, lying | staged.backward.widths, True, dtype)
        self.matrices = {
            product.matrix
            for loop in (staged.forward, staged.backward)
            for phase in loop.phases
            for product in phase.products
        }

    def __call__(
        self,
        x: Tensor,
        ended: Tensor | None,
        onces: Sequence[Tensor],
        state: Sequence[Tensor],
        trace: list[Tensor] | None,
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Run over time.

        Args:
            x: Input, (time, batch, features).
            ended: Which sequences have ended, (time, batch, 1).
            onces: What is computed once.
            state: State before the first step.
            trace: Is given, on the way back, the gradients of the state at every step: (time + 1, batch, width) a part.

        Returns:
            The first part of the state after each step, and the whole state after the last.
        """
        steps, batch, _ = x.shape
        draws = self.staged.traced.draws
        # One step's numbers after the other's, as the step itself would draw them.
        drawn = [[draw(batch, x) for draw in draws] for _ in range(steps)] if draws else []
        noise = [torch.stack(each) for each in zip(*drawn, strict=True)]
        if ended is None:
            ended = x.new_zeros(0, dtype=torch.bool)
        tensors = (x, ended, *noise, *onces, *state)
        learns = torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors)
        y, *final = _Loop.apply(self, trace, learns, len(noise), len(onces), *tensors)
        return y, tuple(final)

    def parts(self, steps: int, batch: int) -> list[tuple[int, int]]:
        """Stretches of time to work on one after the other: even, but for the last, as two slots of carries take turns."""
        if self.part is None:
            return [(0, steps)]
        length = max(self.part // (2 * batch * self.widest), 1) * 2
        return [(start, min(start + length, steps)) for start in range(0, steps, length)]

    def given(self, onces: Sequence[Tensor]) -> dict[Value, Tensor]:
        """What is computed once: matrices, and lines as (1, width)."""
        return {
            value: tensor if value.kind == Kind.MATRIX else tensor.reshape(1, -1)
            for value, tensor in zip(self.staged.onces, onces, strict=True)
        }

    def rows(self, buffers: Mapping[str, Tensor]) -> dict[Value, Tensor]:
        """The inputs, a row for each step and sequence."""
        places = ((value, buffers[self.staged.at[value].buffer]) for value in self.staged.inputs)
        return {value: tensor.reshape(-1, value.width) for value, tensor in places if tensor.numel()}

    def operands(self, given: Mapping[Value, Tensor]) -> tuple[dict[str, Tensor], dict[Value, Tensor]]:
        """Lines and matrices as they lie in memory for a loop."""
        lines = {
            f"once{value.detail[0]}": tensor.contiguous() for value, tensor in given.items() if value.kind == Kind.LINE
        }
        matrices = zip(self.matrices, evaluate(self.matrices, given, 0), strict=True)
        return lines, {value: tensor if 1 in tensor.stride() else tensor.contiguous() for value, tensor in matrices}


class _Loop(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, program: Program, trace: list[Tensor] | None, learns: bool, draws: int, count: int, *tensors: Tensor
    ) -> Any:
        x, ended, noise, onces, state = _apart(tensors, draws, count)
        staged, (steps, batch, _) = program.staged, x.shape
        given = program.given(onces)
        lines, matrices = program.operands(given)
        whole = _inputs(x, ended, noise)
        for index, part in enumerate(state):
            whole[f"state{index}"] = states = x.new_empty(steps + 1, *part.shape)
            states[0] = part
        kept: list[dict[str, Tensor]] = []
        for start, stop in program.parts(steps, batch):
            buffers, rows = _between(whole, start, stop) | lines, (stop - start) * batch
            early = evaluate([value for value, _ in staged.early], given | program.rows(buffers), rows)
            own = {
                name: tensor.expand(rows, -1).contiguous()
                for (_, name), tensor in zip(staged.early, early, strict=True)
            } | _empty(x, staged.forward.widths, batch, rows)
            program.there(stop - start, batch, buffers | own, matrices, 1)
            kept.append({name: each for name, each in own.items() if name in staged.saved} if learns else {})
        ctx.program, ctx.trace, ctx.counts = program, trace, (draws, count)
        states = {name: each for name, each in whole.items() if name.startswith("state") and name in staged.saved}
        ctx.names = list(states), list(kept[0])
        ctx.save_for_backward(*tensors, *states.values(), *(each for part in kept for each in part.values()))
        ctx.set_materialize_grads(False)
        return whole["state0"][1:], *(whole[f"state{index}"][-1].clone() for index in range(len(state)))

    @staticmethod
    def backward(ctx: Any, outputs: Tensor | None, *final: Tensor | None) -> Any:
        program, (draws, count), (states, names) = ctx.program, ctx.counts, ctx.names
        staged, saved = program.staged, ctx.saved_tensors  # once: checkpointing gives them a single time
        steps, batch, _ = saved[0].shape
        parts = program.parts(steps, batch)
        end = len(saved) - len(parts) * len(names)
        kept = [dict(zip(names, saved[end + at * len(names) :], strict=False)) for at in range(len(parts))]
        x, ended, noise, onces, state = _apart(saved[: end - len(states)], draws, count)
        given = program.given(onces)
        if torch.is_grad_enabled():
            if ctx.trace is not None:
                raise Unsupported("trace of a double backward")
            return *[None] * 5, *differentiable(staged, given, x, ended, noise, onces, state, outputs, final)
        lines, matrices = program.operands(given)
        whole = _inputs(x, ended, noise) | dict(zip(states, saved[end - len(states) : end], strict=True))
        if outputs is not None:
            whole["outputs"] = outputs.contiguous()
        # The gradients of the states at every step, or those of two steps in turn.
        mask = -1 if staged.keeps_carries or ctx.trace is not None else 1
        carries = {}
        for index, (part, gradient) in enumerate(zip(state, final, strict=True)):
            carries[f"carry{index}"] = carry = x.new_empty(steps + 1 if mask == -1 else 2, *part.shape)
            carry[steps & mask] = 0.0 if gradient is None else gradient
        longest = max(stop - start for start, stop in parts)
        own = _empty(x, program.tapes | staged.backward.widths, batch, longest * batch)
        floating = iter(staged.once_gradients)
        every = [staged.input_gradient, *(next(floating) if each else None for each in staged.traced.floating)]
        needed = [ctx.needs_input_grad[5], *ctx.needs_input_grad[7 + draws : 7 + draws + count]]
        wanted = [value if need else None for value, need in zip(every, needed, strict=True)]
        of_x = torch.empty_like(x) if needed[0] else None
        of_onces: list[Any] = [0] * count
        for (start, stop), mine in zip(reversed(parts), reversed(kept), strict=True):
            buffers = _between(whole, start, stop) | lines | mine | own
            buffers |= carries if mask == 1 else _between(carries, start, stop)
            program.back(stop - start, batch, buffers, matrices, mask)
            known, rows = given | program.rows(buffers), (stop - start) * batch
            for value, place in staged.at.items():
                there = place.buffer in buffers and (mask == -1 or not place.buffer.startswith("carry"))
                if there and value not in known:
                    known[value] = _rows_at(place, buffers[place.buffer], value.width, stop - start, rows)
            found = iter(evaluate([value for value in wanted if value is not None], known, rows))
            if of_x is not None:
                of_x[start:stop] = _shaped(next(found), x[start:stop])
            of_onces = [
                None if value is None else before + next(found)
                for before, value in zip(of_onces, wanted[1:], strict=True)
            ]
        if ctx.trace is not None:
            ctx.trace.extend(carries.values())
        of_onces = [
            None if gradient is None else _shaped(gradient, like)
            for gradient, like in zip(of_onces, onces, strict=True)
        ]
        return *[None] * 5, of_x, None, *[None] * draws, *of_onces, *(carry[0] for carry in carries.values())


def _apart(tensors: Sequence[Tensor], draws: int, count: int) -> tuple[Any, ...]:
    """x, ended, noise, what is computed once, and the state, out of one list."""
    x, ended, *rest = tensors
    return x.contiguous(), ended, rest[:draws], rest[draws : draws + count], rest[draws + count :]


def _inputs(x: Tensor, ended: Tensor, noise: Sequence[Tensor]) -> dict[str, Tensor]:
    """Buffers of what comes from outside, for all steps."""
    return {"x": x, "ended": ended} | {f"draw{index}": each for index, each in enumerate(noise)}


def _between(buffers: Mapping[str, Tensor], start: int, stop: int) -> dict[str, Tensor]:
    """Buffers for a stretch of time; of states, those before and after it too."""
    return {
        name: buffer[start : stop + name.startswith(("state", "carry"))] if buffer.numel() else buffer
        for name, buffer in buffers.items()
    }


def _empty(like: Tensor, widths: Mapping[str, int], batch: int, rows: int) -> dict[str, Tensor]:
    """Memory for a loop's own: a row for each sequence of what is scratch, and of the rest one for each step too."""
    return {
        name: like.new_empty(batch if name.startswith("scratch") else rows, width) for name, width in widths.items()
    }


def _rows_at(place: Place, buffer: Tensor, width: int, steps: int, rows: int) -> Tensor:
    """The rows of a stretch of steps that lie at a place."""
    if place.buffer.startswith(("state", "carry")):
        buffer = buffer[place.shift : place.shift + steps]
    return buffer.reshape(-1, width)[:rows]


def _shaped(gradient: Tensor, like: Tensor) -> Tensor:
    """A gradient in the shape of what it belongs to."""
    if gradient.numel() == like.numel():
        return gradient.reshape(like.shape)
    return gradient.expand(like.numel() // like.shape[-1], like.shape[-1]).reshape(like.shape)
