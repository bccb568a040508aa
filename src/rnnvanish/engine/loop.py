"""A staged step over time as one operation of autograd: the loop there, and the loop back."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from rnnvanish.engine.evaluate import evaluate
from rnnvanish.engine.phases import Loop, Place
from rnnvanish.engine.staging import Staged
from rnnvanish.engine.values import Kind, Value


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
    """

    def __init__(self, staged: Staged, prints: Print, dtype: torch.dtype) -> None:
        self.staged = staged
        lying = {place.buffer: value.width for value, place in staged.at.items()}
        self.tapes = {name: width for name, width in lying.items() if name.startswith("tape")}
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
        y, *final = _Loop.apply(self, trace, len(noise), len(onces), x, ended, *noise, *onces, *state)
        return y, tuple(final)

    def given(self, onces: Sequence[Tensor]) -> dict[Value, Tensor]:
        """What is computed once: matrices, and lines as (1, width)."""
        return {
            value: tensor if value.kind == Kind.MATRIX else tensor.reshape(1, -1)
            for value, tensor in zip(self.staged.onces, onces, strict=True)
        }

    def rows(self, x: Tensor, ended: Tensor, noise: Sequence[Tensor]) -> dict[Value, Tensor]:
        """The inputs, a row for each step and sequence."""
        return {
            value: tensor.reshape(-1, value.width)
            for value, tensor in zip(self.staged.inputs, (x, ended, *noise), strict=True)
            if tensor.numel()
        }

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
        ctx: Any, program: Program, trace: list[Tensor] | None, draws: int, count: int, *tensors: Tensor
    ) -> Any:
        (x, ended, *noise), onces, state = (
            tensors[: 2 + draws],
            tensors[2 + draws : 2 + draws + count],
            tensors[2 + draws + count :],
        )
        staged, (steps, batch, _) = program.staged, x.shape
        x = x.contiguous()
        given = program.given(onces)
        rows = program.rows(x, ended, noise)
        early = evaluate([value for value, _ in staged.early], given | rows, steps * batch)
        lines, matrices = program.operands(given)
        buffers = {"x": x, "ended": ended} | {f"draw{index}": each for index, each in enumerate(noise)} | lines
        buffers |= {
            name: tensor.expand(steps * batch, -1).contiguous()
            for (_, name), tensor in zip(staged.early, early, strict=True)
        }
        for index, part in enumerate(state):
            states = x.new_empty(steps + 1, *part.shape)
            states[0] = part
            buffers[f"state{index}"] = states
        for name, width in staged.forward.widths.items():
            rows_there = batch if name.startswith("scratch") else steps * batch
            buffers[name] = x.new_empty(rows_there, width)
        program.there(steps, batch, buffers, matrices, 1)
        ctx.program, ctx.trace, ctx.counts = program, trace, (draws, count)
        own = ("early", "kept", "state")
        kept = {name: each for name, each in buffers.items() if name.startswith(own) and name in staged.saved}
        ctx.kept = list(kept)
        ctx.save_for_backward(*tensors, *kept.values())
        ctx.set_materialize_grads(False)
        return buffers["state0"][1:], *(buffers[f"state{index}"][-1].clone() for index in range(len(state)))

    @staticmethod
    def backward(ctx: Any, outputs: Tensor | None, *final: Tensor | None) -> Any:
        program, (draws, count) = ctx.program, ctx.counts
        staged = program.staged
        saved = ctx.saved_tensors  # once: checkpointing gives them a single time
        tensors = saved[: len(saved) - len(ctx.kept)]
        (x, ended, *noise), onces, state = (
            tensors[: 2 + draws],
            tensors[2 + draws : 2 + draws + count],
            tensors[2 + draws + count :],
        )
        if torch.is_grad_enabled():
            return None, None, None, None, *_differentiable(program, x, ended, noise, onces, state, outputs, final)
        steps, batch, _ = x.shape
        given = program.given(onces)
        lines, matrices = program.operands(given)
        buffers = dict(zip(ctx.kept, saved[len(tensors) :], strict=True)) | lines
        buffers |= {"x": x.contiguous(), "ended": ended} | {f"draw{index}": each for index, each in enumerate(noise)}
        if outputs is not None:
            buffers["outputs"] = outputs.contiguous()
        mask = -1 if staged.keeps_carries or ctx.trace is not None else 1
        slots = steps + 1 if mask == -1 else 2
        for index, (part, gradient) in enumerate(zip(state, final, strict=True)):
            carry = x.new_empty(slots, *part.shape)
            carry[steps & mask] = 0.0 if gradient is None else gradient
            buffers[f"carry{index}"] = carry
        for name, width in program.tapes.items():
            buffers[name] = x.new_empty(steps, batch, width)
        for name, width in staged.backward.widths.items():
            buffers[name] = x.new_empty(batch if name.startswith("scratch") else steps * batch, width)
        program.back(steps, batch, buffers, matrices, mask)
        carries = [buffers[f"carry{index}"] for index in range(len(state))]
        if ctx.trace is not None:
            ctx.trace.extend(carries)
        known = given | program.rows(x, ended, noise)
        for value, place in staged.at.items():
            if value not in known and place.buffer in buffers and (mask == -1 or not place.buffer.startswith("carry")):
                known[value] = _rows_at(place, buffers[place.buffer], value.width, steps)
        floating = iter(staged.once_gradients)
        wanted = [staged.input_gradient if ctx.needs_input_grad[4] else None]
        wanted += [next(floating) if is_float else None for is_float in staged.traced.floating]
        wanted[1:] = [
            value if ctx.needs_input_grad[6 + draws + index] else None for index, value in enumerate(wanted[1:])
        ]
        found = iter(evaluate([value for value in wanted if value is not None], known, steps * batch))
        of_x, *of_onces = [
            None if value is None else _shaped(next(found), like)
            for value, like in zip(wanted, (x, *onces), strict=True)
        ]
        of_state = [carry[0] for carry in carries]
        return None, None, None, None, of_x, None, *[None] * draws, *of_onces, *of_state


def _rows_at(place: Place, buffer: Tensor, width: int, steps: int) -> Tensor:
    """The rows of all steps that lie at a place."""
    if place.buffer.startswith(("state", "carry")):
        buffer = buffer[place.shift : place.shift + steps]
    return buffer.reshape(-1, width)


def _shaped(gradient: Tensor, like: Tensor) -> Tensor:
    """A gradient in the shape of what it belongs to."""
    if gradient.numel() == like.numel():
        return gradient.reshape(like.shape)
    return gradient.expand(like.numel() // like.shape[-1], like.shape[-1]).reshape(like.shape)


def _differentiable(
    program: Program,
    x: Tensor,
    ended: Tensor,
    noise: Sequence[Tensor],
    onces: Sequence[Tensor],
    state: Sequence[Tensor],
    outputs: Tensor | None,
    final: Sequence[Tensor | None],
) -> list[Tensor | None]:
    """The gradients once more, by operations of torch that can themselves be differentiated."""
    staged, given, now, first = program.staged, program.given(onces), tuple(state), []
    for t in range(len(x)):
        rows = dict(
            zip(staged.inputs, (x[t], ended[t] if ended.numel() else ended, *(each[t] for each in noise)), strict=True)
        )
        now = tuple(evaluate(staged.new, given | rows | dict(zip(staged.states, now, strict=True)), x.shape[1]))
        first.append(now[0])
    ends = [(torch.stack(first), outputs), *zip(now, final, strict=True)]
    ends = [(end, gradient) for end, gradient in ends if gradient is not None]
    inputs = [x, *onces, *state]
    wanted = [tensor for tensor in inputs if tensor.requires_grad]
    found = iter(
        torch.autograd.grad(
            [end for end, _ in ends], wanted, [gradient for _, gradient in ends], create_graph=True, allow_unused=True
        )
    )
    of_x, *rest = [next(found) if tensor.requires_grad else None for tensor in inputs]
    return [of_x, None, *[None] * len(noise), *rest]
