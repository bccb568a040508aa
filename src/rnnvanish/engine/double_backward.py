"""The gradients of a loop once more, by operations that can themselves be differentiated: for double backward."""

from collections.abc import Sequence

import torch
from torch import Tensor

from rnnvanish.engine.ir.interpret import Interpreter
from rnnvanish.engine.ir.values import Value
from rnnvanish.engine.plan.staged_step import StagedStep


def differentiable_gradients(
    staged: StagedStep,
    given: dict[Value, Tensor],
    x: Tensor,
    ended: Tensor | None,
    noise: Sequence[Tensor],
    invariants: Sequence[Tensor],
    state: Sequence[Tensor],
    outputs: Tensor | None,
    final: Sequence[Tensor | None],
) -> list[Tensor | None]:
    """The gradients once more, by operations of torch that can themselves be differentiated."""
    current, outputs_so_far = tuple(state), []
    step = Interpreter(staged.new, {*given, *staged.inputs, *staged.states})
    for t in range(len(x)):
        rows = (x[t], x if ended is None else ended[t], *(each[t] for each in noise))
        known = given | dict(zip(staged.inputs, rows, strict=True)) | dict(zip(staged.states, current, strict=True))
        current = tuple(step([known[value] for value in step.reads], x.shape[1], x))
        outputs_so_far.append(current[0])
    ends = [(torch.stack(outputs_so_far), outputs), *zip(current, final, strict=True)]
    ends = [(end, gradient) for end, gradient in ends if gradient is not None]
    inputs = [x, *invariants, *state]
    wanted = [tensor for tensor in inputs if tensor.requires_grad]
    found = iter(
        torch.autograd.grad(
            [end for end, _ in ends], wanted, [gradient for _, gradient in ends], create_graph=True, allow_unused=True
        )
    )
    of_x, *rest = [next(found) if tensor.requires_grad else None for tensor in inputs]
    return [of_x, None, *[None] * len(noise), *rest]
