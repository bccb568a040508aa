"""A mitigation: something that is said to help, and the one moment at which it acts.

There are five moments and so five kinds: when weights are drawn (`Draw`), when a network is built (`Build`), as a part
of the loss (`Penalty`), on the gradient before the step (`Rule`), and from step to step of a training (`Regime`). Each
works on `Recurrent` and on a user's `torch.nn.RNN`, `LSTM` and `GRU`, wherever they stand in a model.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from rnnvanish.cell import Cell, Paper, State, gates, recurrent_layers
from rnnvanish.live import (
    RecurrentStep,
    cells_of,
    has_own_forward,
    kind_of,
    live_cells,
    recurrent_modules,
    replace_module,
    step_modules,
)
from rnnvanish.numerics.norms import gain_for_slope, spectral_radius
from rnnvanish.recurrent import Recurrent


@dataclass(frozen=True)
class Mitigation:
    """What all mitigations say of themselves; a subclass is a frozen dataclass whose fields are its numbers.

    Attributes:
        paper: Where it comes from.
        checked: With what its equations and defaults were compared: authors' code with its commit, torch, or the paper; where
            these disagree, and where it departs from them.
        invariant: What is true of a network while it is treated, in words; a test trains a little and measures it.
        moment: When it acts, in words; the five kinds say so.
        needs: What a model must have for it, in words.
        usage: What a user types, with the cure itself in the place of {}, and `model`, `inputs`, `loss` for their own.
    """

    paper: ClassVar[Paper]
    checked: ClassVar[str]
    invariant: ClassVar[str]
    moment: ClassVar[str]
    needs: ClassVar[str] = "a recurrent layer"
    usage: ClassVar[str] = "model = {}(model)"


@dataclass(frozen=True)
class Draw(Mitigation):
    """Acts when weights are drawn; what it needs is one cell's."""

    moment = "when weights are drawn"
    needs = "weights that it can write to"
    #: Whether it is drawn from data: then it is called with them, as `inputs`.
    reads_inputs: ClassVar[bool] = False

    def draw(self, cell: Cell) -> bool:
        """Write new values into the weights of `cell`, without gradient; False where this does not suit the cell."""
        raise NotImplementedError(f"{type(self).__name__} needs a draw(cell) -> bool.")

    @torch.no_grad()
    def __call__(self, model: nn.Module, inputs: Any = None) -> nn.Module:
        """Draw anew in every recurrent layer, and every step of a loop, of `model` that this suits, and return `model`.

        Args:
            model: The model.
            inputs: What it is called with; read by a draw from data alone.

        Raises:
            ValueError: Where it suits none.
        """
        cells = [innermost(cell) for cell in live_cells(model)]
        treated = [self.draw(cell) for cell in cells]
        if not any(treated):
            kinds = sorted({kind_of(cell) for cell in cells}) or ["no recurrent layer"]
            raise ValueError(
                f"{type(self).__name__} suits no layer of this model, which has {', '.join(kinds)}: it needs {self.needs}."
            )
        return model


@dataclass(frozen=True, repr=False)
class MatrixDraw(Draw):
    """Draws recurrent matrices, and may scale them after it. A subclass writes `draw_matrices`.

    Args:
        radius: The spectral radius, the largest absolute eigenvalue, that each gate's recurrent matrix is scaled to
            (Jaeger 2001, for echo states); None leaves it as it is drawn.
        slope_gain: Whether each is multiplied by what makes up for the slope of the activation: 1.47 for tanh, √2 for
            ReLU, and so for any other.

    Raises:
        ValueError: For a radius that is not above 0, and for both.
    """

    radius: float | None = field(default=None, kw_only=True)
    slope_gain: bool = field(default=False, kw_only=True)

    def __post_init__(self) -> None:
        if self.radius is not None and not (self.radius > 0 and math.isfinite(self.radius)):
            raise ValueError(f"{type(self).__name__} needs a radius > 0 or None, got {self.radius}.")
        if self.radius is not None and self.slope_gain:
            raise ValueError(
                f"{type(self).__name__} takes a radius or slope_gain=True: each says how large a matrix is."
            )

    def __repr__(self) -> str:
        """Write its numbers; of `radius` and `slope_gain` what is not the default."""
        first = sorted(fields(self), key=lambda each: bool(each.kw_only))
        shown = [each for each in first if not each.kw_only or getattr(self, each.name) != each.default]
        return f"{type(self).__name__}({', '.join(f'{each.name}={getattr(self, each.name)!r}' for each in shown)})"

    def draw_matrices(self, cell: Cell) -> bool:
        """Write new values into the recurrent matrices of `cell`, at least; False where this does not suit the cell."""
        raise NotImplementedError(f"{type(self).__name__} needs a draw_matrices(cell) -> bool.")

    def draw(self, cell: Cell) -> bool:
        """Draw, and scale the recurrent matrices.

        Raises:
            ValueError: Where what they are to be scaled to has no meaning for the cell.
        """
        if self.slope_gain and not cell.plain:
            raise ValueError(
                f"slope_gain=True needs a cell of one activation without gates, got {type(cell).__name__}."
            )
        gain = gain_for_slope(cast(nn.Module, cell.nonlinearity)) if self.slope_gain else 1.0
        matrices = free_matrices(cell)
        if self.radius is not None and any(len(matrix) != matrix.shape[1] for matrix in matrices):
            raise ValueError(f"{type(cell).__name__} has recurrent matrices that are not square: they have no radius.")
        if not self.draw_matrices(cell):
            return False
        for matrix in matrices:
            matrix.mul_(gain if self.radius is None else self.radius / spectral_radius(matrix))
        return True


def free_matrices(cell: Cell) -> list[Tensor]:
    """What each gate of a cell multiplies the state by: live views, none of a matrix that is computed from others."""
    return [block for layer in recurrent_layers(cell) for block in gates(cell, f"{layer}.weight")]


@dataclass(frozen=True)
class Build(Mitigation):
    """Acts when a network is built: it changes how its recurrent layers compute."""

    moment = "when a network is built"

    def build(self, layer: Recurrent) -> nn.Module:
        """Change `layer`, or wrap it; what is returned is called like it."""
        raise NotImplementedError(f"{type(self).__name__} needs a build(layer) -> module.")

    def __call__(self, model: nn.Module) -> nn.Module:
        """Change every recurrent layer of `model`, and every torch cell that it calls in a loop of its own.

        One of `torch.nn` becomes the same `Recurrent`, or `RecurrentStep`, first. A step stays as it is where what is
        changed does not fit a loop that hands on the state of its cell alone.

        Returns:
            `model`; where it is itself a recurrent layer, what takes its place.

        Raises:
            ValueError: For a layer that it does not suit, and where it suits no step.
        """
        modules = recurrent_modules(model)
        steps = {name: each for name, each in step_modules(model).items() if name not in modules}
        if not modules and not steps:
            raise ValueError(f"{type(self).__name__} needs a model with a recurrent layer.")
        for module in modules.values():
            layer = module if isinstance(module, Recurrent) else Recurrent.from_torch(cast(nn.RNNBase, module))
            changed = self.build(layer)
            if isinstance(module, Recurrent) and has_own_forward(module) and changed is not module:
                raise ValueError(
                    f"{type(module).__name__} has a forward of its own, which what {type(self).__name__} puts in its place would "
                    "not have: let it hold a Recurrent instead of being one."
                )
            layer.register_weights()  # what is changed may be no longer what torch can hold
            if module is model:
                return changed
            replace_module(model, module, changed)
        refused = []
        for name, module in steps.items():
            try:
                replace_module(model, module, self._changed_step(name, cast(nn.RNNCellBase, module)))
            except ValueError as error:
                refused.append(error)
        if steps and not modules and len(refused) == len(steps):
            raise refused[0]
        return model

    def _changed_step(self, name: str, module: nn.RNNCellBase) -> RecurrentStep:
        """What takes the place of one step."""
        own, title = type(self).__name__, f"{name}, of class {type(module).__name__},"
        if has_own_forward(module):
            raise ValueError(f"{title} has a forward of its own, which what {own} puts in its place would not have.")
        (cell,) = cells_of(module)
        held = [each for linear in cell.modules() for each in linear._parameters.items()]
        computed = [weight for weight, value in held if not isinstance(value, nn.Parameter | None)]
        if computed:
            raise ValueError(
                f"{title} computes its {', '.join(computed)} from other parameters, which {own} would lose."
            )
        layer = Recurrent(lambda *sizes: cell, cell.input_size, cell.hidden_size).train(module.training)
        changed = self.build(layer)
        if not isinstance(changed, Recurrent):
            raise ValueError(f"{own} reads whole sequences, and {title} is called step by step.")
        step = RecurrentStep(cast(Cell, changed.cells[0]))
        if len(step.cell.state_names) != len(cell.state_names):
            parts = step.cell.state_names if len(step.cell.state_names) < 4 else (*step.cell.state_names[:2], "...")
            raise ValueError(
                f"{own} does not fit {title} since its state would have {len(step.cell.state_names)} part(s), {', '.join(parts)}, "
                f"and the loop that calls it hands on {' and '.join(cell.state_names)}: change that loop, or use a layer."
            )
        return step.train(module.training)


class Wrapper(Cell):
    """A cell around a cell: what a `Build` that changes the step puts in its place. By itself it changes nothing.

    A part of the state that is added comes after those of the cell that is wrapped, which see and keep their own.

    Args:
        cell: What is wrapped.
        added: Names of the parts that are added to its state.
        helpers: Of these those that are no memory.
    """

    def __init__(self, cell: Cell, added: tuple[str, ...] = (), helpers: tuple[str, ...] = ()) -> None:
        super().__init__(cell.input_size, cell.hidden_size)
        self.cell = cell
        self.state_names = cell.state_names + added
        self.helpers = cell.helpers + helpers
        self.wants = cell.wants

    @property
    def innermost(self) -> Cell:
        """The cell that all wrappers are around."""
        return self.cell.innermost

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        """Load what was saved before the cell was wrapped, too."""
        if not any(key.startswith(prefix + "cell.") for key in state_dict):
            for key in [key for key in state_dict if key.startswith(prefix)]:
                state_dict[f"{prefix}cell.{key.removeprefix(prefix)}"] = state_dict.pop(key)
            state_dict.update({prefix + name: own for name, own in self._buffers.items()})
        super()._load_from_state_dict(state_dict, prefix, *args)

    def forward(self, x: Float[Tensor, "batch input"], state: State, **wanted: Tensor | None) -> State:
        """Take one step."""
        after: State = self.cell(x, state, **wanted)
        return after

    @property
    def output_size(self) -> int:
        """Width of the output."""
        return self.cell.output_size

    def output(self, x: Float[Tensor, "batch input"], before: State, after: State) -> Tensor:
        """What a step hands on."""
        own = len(self.cell.state_names)
        return self.cell.output(x, before[:own], after[:own])

    def initial_state(self, x: Float[Tensor, "batch input"]) -> State:
        """Return the state before the first step."""
        return self.cell.initial_state(x)

    def scales(self, state: State) -> tuple[Tensor | float, ...]:
        """What each part of the state is to be multiplied with to be what it stands for."""
        own = len(self.cell.state_names)
        return (*self.cell.scales(state[:own]), *(1.0 for _ in state[own:]))

    def rescaled(self, before: State, after: State) -> State:
        """The state before a step in the units of the one after it, so that the two can be mixed."""
        scales = zip(self.cell.scales(before), self.cell.scales(after), strict=True)
        return tuple(
            old if scale is now else old * (scale / now) for old, (scale, now) in zip(before, scales, strict=True)
        )


def wrap(layer: Recurrent, wrapper: Callable[[Cell], Cell]) -> Recurrent:
    """Put what `wrapper` builds around each cell of `layer` in its place."""
    for index, cell in enumerate(layer.cells):
        layer.cells[index] = wrapper(cast(Cell, cell))
    return layer


def run_as_plain_loop(layer: Recurrent, cure: str) -> None:
    """Have a layer run as a plain loop; a ValueError where it is told to run compiled."""
    if layer.engine not in ("auto", "reference"):
        raise ValueError(f"{cure} needs the plain loop, got engine={layer.engine!r}: engine='auto' has it.")
    layer.engine = "reference"


def innermost(cell: Cell) -> Cell:
    """Return the cell that all wrappers are around."""
    return cell.innermost if isinstance(cell, Wrapper) else cell


@dataclass(frozen=True)
class Penalty(Mitigation):
    """Acts as a part of the loss."""

    moment = "in the loss"
    usage = "(loss(model(inputs)) + {}.penalty(model, inputs, loss)).backward()"

    def penalty(self, model: nn.Module, inputs: Any, loss: Callable[[Any], Tensor]) -> Tensor:
        """Compute what is added to `loss(model(*inputs))`, with a graph that leads to the weights."""
        raise NotImplementedError(f"{type(self).__name__} needs a penalty(model, inputs, loss) -> tensor.")


@dataclass(frozen=True)
class Rule(Mitigation):
    """Acts on the gradient, between the backward pass and the step.

    Attributes:
        clips: Whether it bounds the gradient, so that nothing else has to.
        seen: What it keeps of the steps so far, if it does: numbers, and lists of them, that belong into a checkpoint.
    """

    moment = "on the gradient"
    needs = "a gradient, of any weights"
    clips: ClassVar[bool] = False
    usage = "{}.apply(model.parameters())  # before optimizer.step()"
    seen: dict[str, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    def scale(self, loss: Tensor) -> Tensor:
        """Return what the backward pass starts from in the place of `loss`."""
        return loss

    def apply(self, parameters: Tensor | Iterable[Tensor]) -> None:
        """Change the `grad` of `parameters`, an iterable or a single tensor, as `torch.nn.utils` takes them."""
        raise NotImplementedError(f"{type(self).__name__} needs an apply(parameters).")


@dataclass(frozen=True)
class Regime(Mitigation):
    """Acts while a network trains: on what a step reads, on the state it begins with, on how far it moves each weight.

    A subclass writes what it changes; all else stays as it is. Everything is a function of the number of the step, so that
    a training that was interrupted goes on as it would have.

    Attributes:
        period: Steps after which it begins anew; an epoch has to be a multiple of it.
    """

    moment = "while it trains"

    @property
    def period(self) -> int:
        """Steps after which it begins anew."""
        return 1

    def __call__(self, model: nn.Module) -> nn.Module:
        """Give `model` what the training needs of it; returns it, or what takes its place."""
        return model

    def batch(self, task: Any, step: int, draw: Callable[[Any, int], Any]) -> Any:
        """Return what a step reads.

        Args:
            task: A `Task`.
            step: Number of the step, from 0.
            draw: Draws a batch of a task: a function of the task, and of the number of a step.
        """
        return draw(task, step)

    def begin(self, model: nn.Module, step: int) -> None:
        """Say that the step of this number begins, on a model that this has been called with."""

    def observe(self, model: nn.Module, step: int, inputs: Any, loss: Callable[[Any], Tensor]) -> None:
        """Look at what the step reads: `inputs` as the model takes them, and the `loss` of what it returns."""

    def rates(self, model: nn.Module) -> dict[Tensor, float]:
        """By what the learning rate of a parameter is multiplied; one that is not named keeps its own."""
        return {}

    def parameter_groups(self, model: nn.Module, lr: float) -> list[dict[str, Any]]:
        """The parameters of `model` as `torch.optim` takes them: all that have one learning rate in a group."""
        return parameter_groups(model, lr, [self])


def parameter_groups(model: nn.Module, lr: float, regimes: Iterable[Regime]) -> list[dict[str, Any]]:
    """The parameters of `model` as `torch.optim` takes them, each with `lr` times what all regimes say of it."""
    factors = dict.fromkeys(model.parameters(), 1.0)
    for regime in regimes:
        for parameter, factor in regime.rates(model).items():
            factors[cast(nn.Parameter, parameter)] *= factor
    return [
        {"params": [each for each, own in factors.items() if own == factor], "lr": lr * factor}
        for factor in dict.fromkeys(factors.values())
    ]
