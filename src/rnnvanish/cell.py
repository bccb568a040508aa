"""A cell: one step of a recurrence, written as its paper writes it."""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar

import torch
from jaxtyping import Inexact, Shaped
from torch import Tensor, nn

#: The whole recurrent state: one tensor for each of a cell's `state_names`, of any width and any number of axes.
State = tuple[Shaped[Tensor, "batch ..."], ...]


@dataclass(frozen=True)
class Paper:
    """Where a cell, a cure or a task comes from."""

    authors: str
    year: int
    title: str
    link: str
    where: str = ""

    def __str__(self) -> str:
        where = f", {self.where}" if self.where else ""
        return f"{self.authors} ({self.year}). {self.title}{where}. {self.link}"


class ModReLU(nn.Module):
    """sign(a) max(|a| + b, 0), with a b for each unit that is learnt, from 0: Arjovsky, Shah & Bengio (2016)."""

    def __init__(self, units: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(units))

    def forward(self, a: Tensor) -> Tensor:
        """Bring each number nearer to 0, or further away, by the b of its unit."""
        return torch.sign(a) * torch.relu(a.abs() + self.bias)


class SoftsignGate(nn.Module):
    """(1 + a / (1 + |a|)) / 2: a gate whose slope falls with the square of a, where that of a sigmoid falls with its power."""

    def forward(self, a: Tensor) -> Tensor:
        """Squash to between 0 and 1."""
        return 0.5 + 0.5 * nn.functional.softsign(a)


class Hardsigmoid(nn.Module):
    """That of `torch.nn`, a/6 + 1/2 between 0 and 1, as a hardtanh: of that a loop can be compiled."""

    def forward(self, a: Tensor) -> Tensor:
        """Squash to between 0 and 1."""
        return nn.functional.hardtanh(a / 6 + 0.5, 0.0, 1.0)


#: The functions of units, by torch's names; what each is made for is the number of units.
NONLINEARITIES: Mapping[str, Callable[[int], nn.Module]] = {
    "tanh": lambda units: nn.Tanh(),
    "sigmoid": lambda units: nn.Sigmoid(),
    "relu": lambda units: nn.ReLU(),
    "leaky_relu": lambda units: nn.LeakyReLU(),
    "prelu": lambda units: nn.PReLU(),  # its slope below zero is learnt, one for all units, and starts at 1/4
    "selu": lambda units: nn.SELU(),
    "gelu": lambda units: nn.GELU(),
    "softsign": lambda units: nn.Softsign(),
    "hardsigmoid": lambda units: Hardsigmoid(),
    "hardtanh": lambda units: nn.Hardtanh(),
    "modrelu": ModReLU,
}
#: Those of gates. A gate of ReLU has no upper end, so that a state can grow: Chandar et al. (2019).
GATES: Mapping[str, Callable[[], nn.Module]] = {
    "sigmoid": nn.Sigmoid,
    "hardsigmoid": Hardsigmoid,
    "softsign": SoftsignGate,
    "relu": nn.ReLU,
}


@dataclass(frozen=True)
class Keeps:
    """The gate that keeps a cell's state: where it is 1 (or, `closed`, 0), a step hands a part of the state on as it is.

    Attributes:
        gate: Its name in `gate_names`.
        part: The part of the state that it keeps.
        called: What the field calls the gate, "forget" or "update".
        memory: What the field calls that part, in a sentence.
        writes: The gate that lets new values in, where that is another one.
        closed: Whether it keeps where it is 0.
    """

    gate: str
    part: str
    called: str
    memory: str = "state"
    writes: str = ""
    closed: bool = False


class Cell(nn.Module):
    """One step of a recurrence.

    A subclass declares `paper` and `state_names` and writes `forward`. It knows nothing of time, layers, sequence
    lengths or speed: `Recurrent` and the engine see to those. What else it may say of itself is read by measures, causes
    and cures; where it says nothing they take it as a whole. What follows from an option an instance says for itself.

    Attributes:
        checked: With what its equations and defaults were compared: authors' code with its commit, or the paper.
        helpers: Parts of the state that are carried but are no memory: a clock, a stabiliser. No measure counts them.
        gate_names: Its linear layers and for each which gate or unit every block of its rows makes, in their order. Those
            named `from_x`, or beginning so, read the input; all others read the state.
        keeps: The gate that keeps the state.
        skew: Parameters whose part above the diagonal, minus its transpose, makes an orthogonal matrix, and by what map:
            "exp", or "cayley", (I + S)⁻¹ (I − S).
        plain: Whether a step is `nonlinearity(from_x(x) + from_h(h))` and nothing else.
        torch_twin: The class of `torch.nn` with the same equations, whose weights are those of `from_x` and `from_h`.
        wants: What a step also takes, by keyword: "times", what has passed since the step before, (batch, 1); "observed",
            which values of `x` were seen, (batch, input); "running", 1 where a step belongs to its sequence and 0 behind its
            end, (batch, 1). Each is None where the caller of a layer does not give it, the last where all fill the batch.
        small: Options with which tests build it at hidden size 3 to 8.

    Args:
        input_size: Features read at each step.
        hidden_size: Width of the output, and of each part of the state where `initial_state` does not say otherwise.
    """

    paper: Paper
    checked: ClassVar[str] = ""
    state_names: tuple[str, ...] = ("h",)
    helpers: tuple[str, ...] = ()
    gate_names: Mapping[str, tuple[str, ...]] = MappingProxyType({})
    keeps: Keeps | None = None
    skew: ClassVar[Mapping[str, str]] = MappingProxyType({})
    plain: ClassVar[bool] = False
    torch_twin: ClassVar[type[nn.RNNBase] | None] = None
    wants: tuple[str, ...] = ()
    small: ClassVar[Mapping[str, Any]] = MappingProxyType({})

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        for name, size in {"input_size": input_size, "hidden_size": hidden_size}.items():
            if size < 1:
                raise ValueError(f"{type(self).__name__} needs {name} >= 1, got {size}.")
        self.input_size = input_size
        self.hidden_size = hidden_size

    def activation(self, name: str) -> nn.Module:
        """Make the function of its units, one of `NONLINEARITIES`; a ValueError for another name."""
        if name not in NONLINEARITIES:
            raise ValueError(
                f"{type(self).__name__} needs a nonlinearity of {', '.join(NONLINEARITIES)}, got {name!r}."
            )
        return NONLINEARITIES[name](self.hidden_size)

    def gate_function(self, name: str) -> nn.Module:
        """Make the function of its gates, one of `GATES`; a ValueError for another name."""
        if name not in GATES:
            raise ValueError(f"{type(self).__name__} needs a gate_nonlinearity of {', '.join(GATES)}, got {name!r}.")
        return GATES[name]()

    @property
    def innermost(self) -> "Cell":
        """The cell itself; of one that is wrapped around another the innermost."""
        return self

    @property
    def output_size(self) -> int:
        """Width of the output."""
        return self.hidden_size

    @property
    def hands_back_derivative(self) -> bool:
        """Whether what a step hands back is its derivative, the same whenever it is taken again; a cure may change that."""
        return True

    def forward(self, x: Inexact[Tensor, "batch input"], state: State) -> State:
        """Take one step: the state that follows `state` when `x` is read."""
        raise NotImplementedError(f"{type(self).__name__} needs a forward(x, state) -> state.")

    def output(self, x: Inexact[Tensor, "batch input"], before: State, after: State) -> Inexact[Tensor, "batch output"]:
        """What a step hands on, of what it read and the state before and after it; nothing of it is fed back."""
        return after[0]

    def initial_state(self, x: Inexact[Tensor, "batch input"]) -> State:
        """Return the state before the first step: zeros.

        A cell with other parts, wider ones, complex ones (`x.new_zeros(..., dtype=x.dtype.to_complex())`) or some of
        several axes, overrides it: this is where their shapes are said. They may depend on the hidden size and on options,
        never on the width of the input.
        """
        return tuple(x.new_zeros(x.shape[0], self.hidden_size) for _ in self.state_names)

    def scales(self, state: State) -> tuple[Tensor | float, ...]:
        """What each part of the state is to be multiplied with to be what it stands for, of `helpers` alone: 1.

        A cell that divides a memory by a stabiliser, to keep its numbers small, overrides it.
        """
        return (1.0,) * len(state)

    def parallel(self, x: Inexact[Tensor, "time batch input"], state: State) -> tuple[Tensor, State]:
        """Take all steps at once: their outputs, and the last state. Only a cell that can overrides it."""
        raise NotImplementedError(f"{type(self).__name__} has no parallel form.")


def require_cell(built: object) -> Cell:
    """Return what a layer is built of, where it is a whole cell.

    Raises:
        ValueError: For anything else: says what came.
    """
    name = type(built).__name__
    if not isinstance(built, Cell):
        raise ValueError(
            f"Recurrent needs a cell's class, one derived from rnnvanish.cell.Cell; what it was given makes a {name}. A loop "
            "of your own is measured where it stands: diagnose(model, inputs, cells=[...])."
        )
    if not hasattr(built, "hidden_size"):
        raise ValueError(f"{name} needs super().__init__(input_size, hidden_size) at the head of its __init__.")
    return built


def has_output(cell: object) -> bool:
    """Whether what a cell hands on is other than the first part of its state."""
    return isinstance(cell, Cell) and type(cell.innermost).output is not Cell.output


def has_parallel_form(cell: object) -> bool:
    """Whether a cell can take all steps at once."""
    return isinstance(cell, Cell) and type(cell).parallel is not Cell.parallel


def recurrent_layers(cell: nn.Module) -> dict[str, tuple[str, ...]]:
    """The layers of a cell that multiply the state, with the names of their blocks; none where it does not say."""
    layers = cell.gate_names if isinstance(cell, Cell) else {}
    return {layer: names for layer, names in layers.items() if not layer.startswith("from_x")}


def gates_of(cell: nn.Module) -> tuple[str, ...]:
    """The names of all gates and units of a cell, in its order; none where it does not say."""
    layers = cell.gate_names if isinstance(cell, Cell) else {}
    return tuple(dict.fromkeys(name for names in layers.values() for name in names))


def draw_uniform(bound: float, *layers: nn.Module) -> None:
    """Draw every weight and bias from U(-bound, bound)."""
    for layer in layers:
        for parameter in layer.parameters():
            nn.init.uniform_(parameter, -bound, bound)


def draw_as_torch(hidden_size: int, *layers: nn.Module) -> None:
    """Draw every weight and bias from U(-1/sqrt(hidden), 1/sqrt(hidden)), as `torch.nn.RNN`, `LSTM` and `GRU` do."""
    draw_uniform(1 / math.sqrt(hidden_size), *layers)


def draw_glorot(rows: int, *layers: nn.Linear) -> None:
    """Draw every weight from U(-b, b), b = √(6 / (columns + rows)), as TensorFlow and Keras do; biases are 0.

    Args:
        rows: The rows of what a cell's authors draw as one matrix: of a gate, or of all of them.
        layers: The layers whose columns stand side by side in it.
    """
    draw_uniform(math.sqrt(6 / (sum(layer.in_features for layer in layers) + rows)), *layers)
    _clear_biases(layers)


@torch.no_grad()
def draw_orthogonal(hidden_size: int, *layers: nn.Linear) -> None:
    """Draw the rows of every gate as an orthogonal matrix; biases are 0."""
    for layer in layers:
        for block in layer.weight.split(hidden_size):
            nn.init.orthogonal_(block)
    _clear_biases(layers)


def _clear_biases(layers: Iterable[nn.Linear]) -> None:
    for layer in layers:
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)


def head_width(cell: Cell, heads: int) -> int:
    """Units of each of the heads that a cell's hidden units are dealt out to."""
    if heads < 1 or cell.hidden_size % heads:
        raise ValueError(
            f"{type(cell).__name__} needs a hidden_size that is a multiple of its {heads} heads, got {cell.hidden_size}: "
            "give another, or another number of heads=..."
        )
    return cell.hidden_size // heads


def gates(cell: Cell, weight: str = "from_h.weight") -> tuple[Tensor, ...]:
    """What each gate of a cell has of a weight: live views, in the order of the cell's `gate_names`.

    Args:
        cell: The cell.
        weight: A layer of the cell and its weight or bias, such as "from_x.bias".

    Returns:
        (hidden, inputs) or (hidden,) a gate; nothing where the cell does not name its gates, has no such weight, or
        computes it from others (a parametrization): what is written into it would be lost.

    Examples:
        >>> from rnnvanish import cells
        >>> [tuple(gate.shape) for gate in gates(cells.LSTM(2, 3))]
        [(3, 3), (3, 3), (3, 3), (3, 3)]
    """
    layer, _, name = weight.partition(".")
    whole = getattr(cell.get_submodule(layer), name) if layer in cell.gate_names else None
    return whole.chunk(len(cell.gate_names[layer])) if isinstance(whole, nn.Parameter) else ()


def keeping_bias(cell: Cell) -> Tensor | None:
    """The bias of the gate that keeps the state, a live view; None where a cell has none that could be written to.

    Where several layers have one they add up; this is the last one's.
    """
    biases = _biases(cell, cell.keeps.gate) if cell.keeps else []
    return biases[-1] if biases else None


def keep_by(cell: Cell, bias: Tensor | float, write: bool = False) -> None:
    """Set how far the gate that keeps the state is open: before the sigmoid, as the sum of all biases.

    Args:
        cell: A cell that has a `keeping_bias`.
        bias: Larger keeps more, whichever way the gate is open.
        write: Whether the gate that lets new values in becomes the opposite, where it is another one.
    """
    assert cell.keeps is not None
    _set_bias(cell, cell.keeps.gate, -bias if cell.keeps.closed else bias)
    if write and cell.keeps.writes:
        _set_bias(cell, cell.keeps.writes, -bias)


def _set_bias(cell: Cell, gate: str, value: Tensor | float) -> None:
    *others, last = _biases(cell, gate)
    for bias in others:
        bias.zero_()
    last.copy_(torch.as_tensor(value))


def _biases(cell: Cell, gate: str) -> list[Tensor]:
    """The biases of a gate in all layers that have one; none where one of them is computed from others."""
    layers = [layer for layer, names in cell.gate_names.items() if gate in names]
    biased = [layer for layer in layers if getattr(cell.get_submodule(layer), "bias", None) is not None]
    found = [(cell.gate_names[layer], gates(cell, f"{layer}.bias")) for layer in biased]
    return [views[names.index(gate)] for names, views in found] if all(views for _, views in found) else []
