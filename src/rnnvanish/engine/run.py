"""Which engine runs a cell: the fastest that can, and a line in the log where that is the plain loop."""

import logging
from collections.abc import Iterable, Mapping
from typing import Any, cast

import torch
from torch import Tensor, nn

from rnnvanish.cell import Cell, State, has_parallel_form
from rnnvanish.compat.modes import (
    has_dispatch_mode,
    has_function_mode,
    has_hooks,
    in_forward_mode,
    in_jit_trace,
    in_transform,
)
from rnnvanish.compat.modules import may_be_compiled
from rnnvanish.compat.private_names import Missing
from rnnvanish.engine import reference
from rnnvanish.engine.ir.parameters import named_weights, parametrized_weights, substitute_weights
from rnnvanish.engine.ir.unsupported import Unsupported
from rnnvanish.engine.programs import Programs, Request, is_compiling, program_for
from rnnvanish.engine.state_record import StateRecord
from rnnvanish.engine.step_form import Columns, StepForm

logger = logging.getLogger("rnnvanish.engine")
ENGINES = ("auto", "reference", "cpu", "gpu")
#: A loop over fewer numbers (steps x sequences x width of the state) is not worth compiling.
SMALLEST = 2048
#: From so many steps on a parallel form is faster than a plain loop.
PARALLEL_STEPS = 4
#: Up to so many it is faster than a compiled one, which takes longer to begin.
SHORT_STEPS = 16
#: From so many real numbers of state on, more than a core's cache holds, it is faster than that over any steps.
PARALLEL_NUMBERS = 2**18

_programs: Programs = {}
_logged: set[tuple[str, str]] = set()


def run(
    cell: Cell,
    x: Tensor,
    state: State,
    lengths: Tensor | None,
    engine: str = "auto",
    record: StateRecord | None = None,
    parametrized: Mapping[str, Tensor] | None = None,
    columns: Columns = (),
) -> tuple[Tensor, State]:
    """Run a cell over time.

    Args:
        cell: The step.
        x: Input, (time, batch, features and columns).
        state: State before the first step.
        lengths: Steps in each sequence, or None where all fill the batch.
        engine: One of `ENGINES`.
        record: See `Program`; `Unsupported` is raised where no compiled engine can give it.
        parametrized: The weights that are computed from others, see `parametrized_weights`; None: computed here.
        columns: What stands behind the features of `x`, see `StepForm`.

    Returns:
        The output of each step, and the state after the last.

    Raises:
        RuntimeError: Where an engine is named that cannot run this cell.
    """
    modules = dict(cell.named_modules())
    parametrized = parametrized_weights(modules) if parametrized is None else parametrized
    form = StepForm.of(cell, columns)
    wants_program = _wants_program(engine, x, state, record)
    at_once = engine == "auto" and record is None and lengths is None and not columns
    at_once = at_once and _has_all_steps_at_once(cell, modules, x)
    if at_once and (not wants_program or _is_slow_step_by_step(x, state)):
        return cast(Cell, substitute_weights(cell, parametrized)).parallel(x, state)
    given, state = state, form.begin(cell, x, state)
    if wants_program:
        try:
            run_program = _run_program_outside_compiler() if may_be_compiled() else _run_program
            return form.split(cell, *run_program(cell, modules, parametrized, x, state, lengths, engine, record, form))
        except Unsupported as reason:
            name = type(cell.innermost).__name__  # that of a cure around it says less
            if record is not None:
                raise
            if engine != "auto":
                raise RuntimeError(f"engine={engine!r} cannot run {name}: {reason}. engine='auto' can.") from None
            if at_once:
                return cast(Cell, substitute_weights(cell, parametrized)).parallel(x, given)
            if (name, str(reason)) not in _logged:
                _logged.add((name, str(reason)))
                logger.warning("%s runs as a plain Python loop: the compiled engine has no %s.", name, str(reason))
    states = reference.plain_loop(form.step(substitute_weights(cell, parametrized)), x, state, lengths)
    return form.split(cell, torch.stack([parts[0] for parts in states]), states[-1])


def _has_all_steps_at_once(cell: Cell, modules: Mapping[str, nn.Module], x: Tensor) -> bool:
    """Whether a cell has a parallel form for these steps, and a faster one than a plain loop; none calls a step's hooks.

    In numbers of 16 bits it would not be the step: triangular systems are not solved in them, nor are their sums exact.
    """
    if not has_parallel_form(cell) or len(x) < PARALLEL_STEPS:
        return False
    if x.dtype.itemsize < 4 or torch.is_autocast_enabled(x.device.type):
        return False
    try:
        return not has_hooks(modules.values())
    except Missing:  # nobody knows
        return False


def _is_slow_step_by_step(x: Tensor, state: State) -> bool:
    """Whether all steps at once are faster than a compiled loop, by what `bench.goals` found on a CPU."""
    numbers = sum(part.numel() << part.is_complex() for part in state)
    return x.device.type != "cpu" or len(x) <= SHORT_STEPS or numbers >= PARALLEL_NUMBERS


def _wants_program(engine: str, x: Tensor, state: State, record: StateRecord | None) -> bool:
    """Whether to try a compiled loop: not while one is compiled, nor for an export, which wants torch's operations."""
    if is_compiling() or engine == "reference":
        return False
    if engine != "auto":
        return True
    if torch.compiler.is_exporting():  # first: to ask for a size would fix it
        return False
    numbers = x.shape[0] * sum(part.numel() for part in state)  # tensors where torch traces
    return record is not None or bool(numbers >= SMALLEST)


_outside_compiler: Any = None


def _run_program_outside_compiler() -> Any:
    """`_run_program`, into which torch's own compiler does not look.

    Not by a decorator: that would import this compiler, two seconds, for everybody who imports this package. Nor kept
    by `functools.cache`, of which it warns.
    """
    global _outside_compiler
    if _outside_compiler is None:
        _outside_compiler = torch.compiler.disable(_run_program)
    return _outside_compiler


def _run_program(
    cell: Cell,
    modules: Mapping[str, nn.Module],
    parametrized: Mapping[str, Tensor],
    x: Tensor,
    state: State,
    lengths: Tensor | None,
    engine: str,
    record: StateRecord | None,
    form: StepForm,
) -> tuple[Tensor, State]:
    """Run a cell by a program; `Unsupported` where there can be none, with the reason."""
    weights = named_weights(modules, parametrized)
    try:
        _check(modules.values(), (x, *state, *weights.values()), x, state, engine)
    except Missing as name:
        raise Unsupported(str(name)) from None
    inputs = (
        *((name, weight.shape, weight.dtype) for name, weight in weights.items()),
        *((part.shape[1:], part.dtype) for part in state),
        (x.shape[2:], x.dtype, x.device.type, lengths is not None, form),
        (torch.get_default_dtype(), torch.are_deterministic_algorithms_enabled()),
    )
    program = program_for(_programs, Request(cell, form, parametrized, inputs, x, state, lengths is not None))
    ended = None if lengths is None else reference.padding_mask(len(x), lengths).unsqueeze(-1)
    invariants = program.staged.prologue(*weights.values())
    if record is not None:  # the gradients of the states are asked for, not those of the weights
        invariants = [value.detach() for value in invariants]
    return program(x, ended, invariants, state, record)


def _check(modules: Iterable[nn.Module], tensors: Iterable[Tensor], x: Tensor, state: State, engine: str) -> None:
    """Refuse what a compiled loop would silently do otherwise than the plain one."""
    device = x.device.type
    if device not in ("cpu", "cuda"):
        raise Unsupported(f"code generator for {device}")
    if engine not in ("auto", {"cuda": "gpu"}.get(device, device)):
        missing = ", and torch sees no GPU here" if engine == "gpu" and not torch.cuda.is_available() else ""
        raise Unsupported(f"way with tensors on {device}{missing}")
    for tensor in tensors:
        if type(tensor) not in (Tensor, nn.Parameter):
            raise Unsupported(f"tensors of class {type(tensor).__name__}")
        if tensor.layout != torch.strided:
            raise Unsupported(f"tensors of layout {tensor.layout}")
    if in_jit_trace():
        raise Unsupported("torch.jit.trace")
    if in_transform():
        raise Unsupported("torch.func transforms (vmap, grad)")
    if in_forward_mode():
        raise Unsupported("forward mode of automatic differentiation")
    if torch.is_autocast_enabled(device):
        raise Unsupported("autocast")
    if has_dispatch_mode():
        raise Unsupported("dispatch modes")
    if has_function_mode(device):
        raise Unsupported("modes of torch functions")
    if any(tensor.dtype.to_real() != x.dtype.to_real() for tensor in state):
        raise Unsupported("a state of another dtype than its input")
    if has_hooks(modules):
        raise Unsupported("hooks")
