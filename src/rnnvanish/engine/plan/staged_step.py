"""A cell's step in stages: all that a loop needs of it, and nothing of how it was found."""

from dataclasses import dataclass

from rnnvanish.engine.ir.prologue import Draw, Prologue
from rnnvanish.engine.ir.values import Value
from rnnvanish.engine.plan.phases import LoopPlan, Place


@dataclass(frozen=True)
class StagedStep:
    """A cell's step, in stages.

    Attributes:
        prologue: Parameters and buffers -> what the step needs of them.
        input_stage: What it needs of the input alone, where that is ordinary torch: the last results of `prologue`, x
            and draws of one sequence -> what takes the place of x. Without results, x itself does.
        draws: What draws each random number of a step.
        floating: Which of the `invariants` are floating-point.
        complex: Which parts of the state are complex.
        shapes: Those of the parts of the state behind the batch; a loop has each as one row, see `pack_part`.
        invariants: What is computed once, the first results of `prologue`.
        inputs: Values of x, ended and the draws.
        early: What is computed for all time steps at once, and its buffer.
        forward: The loop from the first step to the last.
        backward: The loop from the last step to the first.
        states: Values of the state before a step.
        new: Values of the state after it.
        at: Where the rows of forward and backward lie, after both.
        input_gradient: The gradient of x, for all time steps at once; None where x is not read.
        invariant_gradients: Those of the floating `invariants`, summed over time.
        saved: Buffers of the forward loop that the backward pass reads.
        keeps_carries: Whether these need the gradients of the states at every step.
    """

    prologue: Prologue
    input_stage: Prologue
    draws: tuple[Draw, ...]
    floating: tuple[bool, ...]
    complex: tuple[bool, ...]
    shapes: tuple[tuple[int, ...], ...]
    invariants: tuple[Value, ...]
    inputs: tuple[Value, ...]
    early: tuple[tuple[Value, str], ...]
    forward: LoopPlan
    backward: LoopPlan
    states: tuple[Value, ...]
    new: tuple[Value, ...]
    at: dict[Value, Place]
    input_gradient: Value
    invariant_gradients: tuple[Value, ...]
    saved: frozenset[str]
    keeps_carries: bool
