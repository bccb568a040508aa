"""Replay: a recorded loop's steps computed again, many at once, since where all states are known no step waits for another.

`probes.shares`, `depth`, `sensitivity`, the Jacobians and the faults take their numbers from it: `replay_all` and
`replay_by_lag` give the steps of a `Run`, and `ReplayedSteps.vjp` and `jvp` the products with their Jacobians.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any, cast

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from rnnvanish.backward.coordinates import TOO_LARGE, Coordinates
from rnnvanish.cell import Cell, State
from rnnvanish.engine.reference import Step
from rnnvanish.engine.step_form import features_of
from rnnvanish.mitigation import innermost
from rnnvanish.numerics.real_view import pack
from rnnvanish.observe import compiled_loops
from rnnvanish.observe.checks import Unmeasurable
from rnnvanish.observe.record import Series
from rnnvanish.observe.watch import Run

#: Numbers of the state that are replayed at once: a bound on memory, whatever the model's size.
CHUNK_NUMBERS = 2**18
#: A step in coordinates: of what it reads, the coordinates of the state before it and its helpers.
RealStep = Callable[[Tensor, State, State], State]


@dataclass
class InnermostCall:
    """What the innermost cell read and returned in a replayed step: the cell itself, whatever is wrapped around it.

    Attributes:
        cell: The cell.
        x: What it read, (rows, features).
        before: The state that it was handed, tensors of the graph.
        after: The state that it gave, tensors of the graph.
        reads: What each linear layer that it names read, tensors of the graph.
        sums: What each of them gave.
        calls: How often it was called.
        wanted: What else it was given, by keyword.
        gates: What `gate_values` read of it, once it did.
    """

    cell: nn.Module
    x: Tensor = field(default_factory=lambda: torch.empty(0))
    before: State = ()
    after: State = ()
    reads: dict[str, Tensor] = field(default_factory=dict)
    sums: dict[str, Tensor] = field(default_factory=dict)
    calls: int = 0
    wanted: dict[str, Any] = field(default_factory=dict)
    gates: dict[str, Any] | None = None

    @property
    def complete(self) -> bool:
        """Whether the cell names its layers, and took one step with all of them."""
        layers = self.cell.gate_names if isinstance(self.cell, Cell) else {}
        return bool(layers) and self.calls == 1 and self.sums.keys() == layers.keys()

    def record_input(self, cell: nn.Module, args: tuple[Any, ...], wanted: dict[str, Any]) -> None:
        """As a hook before the cell: keep what it reads."""
        (self.x, self.before), self.wanted = args, wanted
        self.calls += 1

    def record_output(self, cell: nn.Module, args: tuple[Any, ...], output: State) -> State:
        """As a hook behind the cell: copies of what it gave, so that its parts are independent: an LSTM's h reads its c."""
        self.after = tuple(part.clone() for part in output)
        return self.after

    def record_read(self, name: str, linear: nn.Module, args: tuple[Any, ...]) -> None:
        """As a hook before a linear layer of the cell: keep what it reads."""
        (self.reads[name],) = args

    def record_sum(self, name: str, linear: nn.Module, args: tuple[Any, ...], output: Tensor) -> None:
        """As a hook behind a linear layer of the cell: keep what it gave."""
        self.sums[name] = output


@dataclass(frozen=True, eq=False)
class LinearCall:
    """A call of a linear layer in replayed steps: what it read and returned, a row for each step."""

    layer: nn.Linear
    x: Tensor
    y: Tensor


@dataclass(frozen=True, eq=False)
class StepBackward:
    """The total gradient, scaled to a length of 1 to 2, taken back through every replayed step: rows that no format loses.

    Attributes:
        scale: A power of two for each step: what is here times it is the gradient itself, with no rounding of its own, so
            that a difference of two such gradients is zero where they are equal. 1 where the total gradient is zero, or
            has a square that no format holds.
        scaled: The total gradient by the state after each step, over `scale`.
        x: What comes back to the features that the step read.
        before: What comes back to the state before it.
        linears: What comes back to what each linear layer returned.
    """

    scale: Float[Tensor, " rows"]
    scaled: State
    x: Tensor
    before: State
    linears: tuple[Tensor, ...]

    @cached_property
    def x_norms(self) -> Float[Tensor, " rows"]:
        """Norm of the gradient by what each step read, in double precision."""
        size: Tensor = torch.linalg.vector_norm(pack(self.x).double(), dim=-1)
        return size * self.scale


@dataclass(frozen=True, eq=False)
class ReplayedSteps:
    """Steps computed again, with their graph; a row is one step of one sequence, padding has none.

    Attributes:
        step: Which step it was, as the loop runs.
        sequence: Which sequence.
        lag: How many steps back from the sequence's own last one.
        x: What the step read, a leaf of the graph.
        features: How many of its columns are features; what else a step is told stands behind them.
        before: The state before it in `Coordinates`, leaves of the graph.
        after: The state after it, likewise.
        inner: The call of the innermost cell.
        helpers: Helpers of the state before it, as the cell has them.
        linears: The calls of all linear layers.
        total: Of `replay_all` with gradients: the total gradient by the state after each step.
    """

    step: Int[Tensor, " rows"]
    sequence: Int[Tensor, " rows"]
    lag: Int[Tensor, " rows"]
    x: Float[Tensor, "rows columns"]
    features: int
    before: State
    after: State
    inner: InnermostCall
    helpers: State = ()
    linears: list[LinearCall] = field(default_factory=list)
    total: State = ()

    def rows_of(self, parts: Series) -> State:
        """Take the rows of these steps."""
        return tuple(part[self.step, self.sequence] for part in parts)

    def vjp(self, gradient: State, to: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Vector-Jacobian product: a gradient by the state after each step, taken back to the tensors `to`; zeros elsewhere."""
        return vjp(self.after, gradient, to)

    @cached_property
    def backward(self) -> StepBackward:
        """One vector-Jacobian product of the total gradient, for all that is measured of it."""
        size = torch.linalg.vector_norm(torch.cat(self.total, dim=-1), dim=-1).double()
        scale = torch.where((size > 0) & size.isfinite(), torch.exp2(size.log2().floor()), 1.0)
        scaled = tuple(part / scale[:, None].to(part.dtype) for part in self.total)
        x, *found = self.vjp(scaled, (self.x, *self.before, *(call.y for call in self.linears)))
        parts = len(self.before)
        return StepBackward(scale, scaled, x[..., : self.features], tuple(found[:parts]), tuple(found[parts:]))

    def jvp(self) -> Callable[[State], State]:
        """Jacobian-vector product: the function that takes a change of the state before each step to the state after it."""
        gradient = tuple(torch.zeros_like(part, requires_grad=True) for part in self.after)
        # A vector-Jacobian product is linear in its gradient: its derivative by that is the Jacobian-vector product.
        with torch.enable_grad():
            found = torch.autograd.grad(self.after, self.before, gradient, create_graph=True, allow_unused=True)
        inside = [place for place, part in enumerate(found) if part is not None and part.requires_grad]

        def push(change: State) -> State:
            back, changes = [found[place] for place in inside], [change[place] for place in inside]
            onward = torch.autograd.grad(back, gradient, changes, retain_graph=True, allow_unused=True) if back else ()
            return tuple(
                torch.zeros_like(part) if v is None else v
                for v, part in zip(onward or (None,) * len(gradient), self.after, strict=True)
            )

        return push


def vjp(outputs: State, gradient: State, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """Vector-Jacobian product: a gradient by `outputs`, taken back to `inputs`; zeros where nothing leads."""
    reached = [(part, g) for part, g in zip(outputs, gradient, strict=True) if part.requires_grad]
    wanted = [tensor for tensor in inputs if tensor.requires_grad]
    found: dict[int, Tensor | None] = {}
    if reached and wanted:
        parts, gradients = zip(*reached, strict=True)
        passed = torch.autograd.grad(parts, wanted, gradients, retain_graph=True, allow_unused=True)
        found = dict(zip(map(id, wanted), passed, strict=True))
    return tuple(torch.zeros_like(tensor) if (g := found.get(id(tensor))) is None else g for tensor in inputs)


class UnrepeatableStep(RuntimeError):
    """A step replayed from the same state gives another one: nothing of it can be measured step by step."""


class Replay:
    """A loop whose steps can be computed again, each from the state that it read.

    Attributes:
        run: The loop.
        coordinates: Those that states are written in.
        before: The state before every step.
        helpers: Its helpers, as the cell has them.
        after: The state after every step.

    Raises:
        UnrepeatableStep: Where a step hands back anything but its derivative, or draws that anew; or was rounded by autocast.
    """

    def __init__(self, run: Run) -> None:
        if run.autocast and not run.in_double:
            raise UnrepeatableStep(
                f"{run.name}: it runs under torch.autocast, which rounds each step in a way of its own, and something in the model "
                "refuses double precision. Let it take that (no .float() on the way), or switch autocast off here."
            )
        changed = [each for each in run.cell.modules() if isinstance(each, Cell) and not each.hands_back_derivative]
        if changed:
            raise UnrepeatableStep(
                f"{run.name}: a cure changes what its steps hand back, {type(changed[0]).__name__.lstrip('_')}: no Jacobian says what "
                "training gets. Measure its retention, the model without that cure or, where it acts in training alone, model.eval()."
            )
        self.run, self.coordinates = run, Coordinates.of(run)
        before, after = recorded_states(run)
        self.before, self.after = self.coordinates.rows(before), self.coordinates.rows(after)
        self.helpers = self.coordinates.helpers(before)
        if self.coordinates.scaled and not all(bool(part.isfinite().all()) for part in (*self.before, *self.after)):
            raise Unmeasurable(TOO_LARGE.format(run.name, str(run.x.dtype).removeprefix("torch.")))

    def steps_at(
        self, step: Int[Tensor, " rows"], sequence: Int[Tensor, " rows"], gradients: Series = ()
    ) -> ReplayedSteps:
        """Compute these steps of these sequences again, all at once.

        Args:
            step: Which steps.
            sequence: Of which sequences.
            gradients: The total gradient of every state, where what comes of it is asked for.

        Raises:
            UnrepeatableStep: Where a step does not give again what it gave: it draws random numbers, or mixes sequences.
        """
        run = self.run
        x = run.x[step, sequence].detach().requires_grad_()
        before = tuple(part[step, sequence].requires_grad_() for part in self.before)
        with torch.enable_grad():
            helpers = tuple(part[step, sequence] for part in self.helpers)
            after, inner, linears = self._call_step(x, before, helpers)
        for name, new, old in zip(self.coordinates.names, after, self.after, strict=True):
            was = old[step, sequence]
            if not torch.allclose(new.detach(), was, rtol=0, atol=_tolerance(was)):
                raise UnrepeatableStep(
                    f"{run.name}: taken again from the same state, a step gives another {name}. Does it draw random "
                    "numbers, or mix the sequences of a batch? Measure it with model.eval()."
                )
        total = tuple(part[step, sequence] for part in gradients)
        lag, features = run.ends[sequence] - step, features_of(run.step, x).shape[-1]
        return ReplayedSteps(step, sequence, lag, x, features, before, after, inner, helpers, linears, total)

    def _call_step(self, x: Tensor, before: State, helpers: State) -> tuple[State, InnermostCall, list[LinearCall]]:
        try:
            return call_step(self.run, x, before, helpers)
        except RuntimeError:  # written for as many sequences as there are: then step by step, sequence by sequence
            count = self.run.x.shape[1]
            rows = [torch.arange(start, start + count, device=x.device) for start in range(0, len(x), count)]
            if len(x) % count:
                raise
            each = [
                call_step(self.run, x[row], tuple(part[row] for part in before), tuple(part[row] for part in helpers))
                for row in rows
            ]
            after = tuple(torch.cat(parts) for parts in zip(*(after for after, *_ in each), strict=True))
            return after, InnermostCall(each[0][1].cell), []


def recorded_states(run: Run) -> tuple[Series, Series]:
    """The states of a loop before and after every step, as its cell has them."""
    if not run.compiled_calls:
        # A step that makes its own first state has read none.
        return stack_steps(run, [entry or run.initial for entry in run.entries]), stack_steps(run, run.states)
    return compiled_loops.recorded_states(run)


def stack_steps(run: Run, states: Sequence[State]) -> Series:
    """States of every step, a tensor for each part; zero for a sequence that has left the batch."""
    batch = run.x.shape[1]
    like = run.states[-1]
    whole = (
        [_pad_batch(_to_complex(part.detach(), one), batch) for part, one in zip(s, like, strict=True)] for s in states
    )
    return tuple(torch.stack(parts) for parts in zip(*whole, strict=True))


def _to_complex(part: Tensor, like: Tensor) -> Tensor:
    """A real number that stands for a complex one, such as the zero that a loop begins with, as a complex one."""
    return part.to(like.dtype) if like.is_complex() else part


def _pad_batch(part: Tensor, batch: int) -> Tensor:
    return part if len(part) == batch else torch.cat([part, part.new_zeros(batch - len(part), *part.shape[1:])])


def replay_all(run: Run, gradients: Series = (), chunk_numbers: int = CHUNK_NUMBERS) -> Iterator[ReplayedSteps]:
    """Replay every step of `run`, all sequences at some lags from their own ends at a time: 0, 1, 2, ... first.

    Args and errors are those of `Replay.steps_at`.
    """
    batch, replay = run.x.shape[1], Replay(run)
    stride = max(1, chunk_numbers // (batch * sum(part.shape[-1] for part in replay.before)))
    for start in range(0, int(run.ends.max()) + 1, stride):
        lag = torch.arange(start, start + stride, device=run.x.device)
        row, sequence = (lag[:, None] <= run.ends).nonzero().unbind(1)
        yield replay.steps_at(run.ends[sequence] - lag[row], sequence, gradients)


def replay_by_lag(run: Run) -> Iterator[ReplayedSteps]:
    """Replay every step of `run`, all sequences at the same lag from their own ends: 0, 1, 2, ..."""
    replay = Replay(run)
    for lag in range(int(run.ends.max()) + 1):
        sequence = (run.ends >= lag).nonzero()[:, 0]
        yield replay.steps_at(run.ends[sequence] - lag, sequence)


def call_step(run: Run, x: Tensor, before: State, helpers: State) -> tuple[State, InnermostCall, list[LinearCall]]:
    """Call the step of `run` from given states, with hooks that record what its innermost cell and linear layers do."""
    cell = innermost(run.cell)
    inner, linears = InnermostCall(cell), list[LinearCall]()

    def record_linear(layer: nn.Module, args: tuple[Any, ...], output: Tensor) -> None:
        if output.requires_grad:
            linears.append(LinearCall(cast(nn.Linear, layer), args[0], output))

    with ExitStack() as hooks:
        if isinstance(cell, Cell):
            hooks.enter_context(cell.register_forward_pre_hook(inner.record_input, with_kwargs=True))
            hooks.enter_context(cell.register_forward_hook(inner.record_output))
            for name in cell.gate_names:
                linear = cell.get_submodule(name)
                hooks.enter_context(linear.register_forward_pre_hook(partial(inner.record_read, name), prepend=True))
                hooks.enter_context(linear.register_forward_hook(partial(inner.record_sum, name)))
        for module in run.cell.modules():
            if isinstance(module, nn.Linear):
                hooks.enter_context(module.register_forward_hook(record_linear))
        return real_step(run)(x, before, helpers), inner, linears


def real_step(run: Run) -> RealStep:
    """The step of a loop from coordinates to coordinates."""
    step, coordinates = step_in_precision(run), Coordinates.of(run)
    return lambda x, before, helpers: coordinates.rows(step(x, coordinates.state(before, helpers)))


def step_in_precision(run: Run) -> Step:
    """The step in the precision of the run, which may be double where the weights are single."""
    return in_precision(run.step, run.x.dtype.to_real()) if isinstance(run.step, nn.Module) else run.step


def in_precision(cell: nn.Module, dtype: torch.dtype) -> Step:
    """The step of a cell with weights of another precision."""
    weights = dict(cell.named_parameters())
    cast_ones = {
        name: weight.to(dtype)
        for name, weight in weights.items()
        if weight.is_floating_point() and weight.dtype != dtype
    }
    if not cast_ones:
        return cell

    def step(x: Tensor, state: State, **wanted: Tensor) -> State:
        return cast(State, torch.func.functional_call(cell, cast_ones, (x, state), wanted))

    return step


def _tolerance(was: Tensor) -> float:
    relative = {torch.float64: 1e-9, torch.float32: 1e-4}.get(was.dtype, 3e-2)
    return relative * float(was.abs().max()) + torch.finfo(was.dtype).eps
