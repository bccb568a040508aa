"""The recurrent layers and steps of a user's model, and a cell over the live weights of each of their loops."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, cast

import torch
from torch import Tensor, nn

from rnnvanish.cell import Cell
from rnnvanish.compat.modules import COMPILED
from rnnvanish.names import did_you_mean, listed
from rnnvanish.recurrent import Recurrent
from rnnvanish.torch_bridge import TORCH_LAYERS, TORCH_NAMES, TORCH_STEPS, cell_for, torch_mode, weight_place


class RecurrentStep(nn.RNNCellBase):
    """A cell called like `torch.nn.RNNCell`, `LSTMCell` and `GRUCell`, whose place it can take.

    Weights have torch's names, too: `weight_hh` is the parameter that the cell keeps, and `load_state_dict` takes both.

    Args:
        cell: The cell.

    Shapes:
        `input` is (batch, input_size), or (input_size,) for a single sequence. The state has a tensor (batch, hidden_size)
        for each of the cell's `state_names`: a tuple where these are several, the tensor itself where it is one; zeros
        where none is given.

    Examples:
        >>> from rnnvanish import cells
        >>> step = RecurrentStep(cells.LSTM(3, 5))
        >>> h, c = step(torch.zeros(4, 3))
        >>> h, c = step(torch.zeros(4, 3), (h, c))
    """

    def __init__(self, cell: Cell) -> None:
        nn.Module.__init__(self)
        self.cell = cell
        self.input_size, self.hidden_size = cell.input_size, cell.hidden_size

    def forward(self, input: Tensor, hx: Any = None) -> Tensor | tuple[Tensor, ...]:
        """Take one step."""
        single = input.dim() == 1
        x = input[None] if single else input
        if hx is None:
            state = self.cell.initial_state(x)
        else:
            state = tuple(part[None] if single else part for part in ((hx,) if isinstance(hx, Tensor) else hx))
        after: tuple[Tensor, ...] = tuple(part[0] if single else part for part in self.cell(x, state))
        return after if len(after) > 1 else after[0]

    def __getattr__(self, name: str) -> Any:
        """Look up what the cell keeps: weights by torch's names."""
        place = None
        if (name in TORCH_NAMES or name == "bias") and "cell" in self._modules:
            place = weight_place(self.cell.innermost, "bias_hh" if name == "bias" else name)
        if place is not None:
            return getattr(*place) is not None if name == "bias" else getattr(*place)
        return super().__getattr__(name)

    def reset_parameters(self) -> None:
        """Draw every weight anew, as torch does: from U(-1/√hidden, 1/√hidden)."""
        for weight in self.parameters():
            nn.init.uniform_(weight, -(self.hidden_size**-0.5), self.hidden_size**-0.5)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        """Load what is named as torch names it, too; what a cure has added stays as it is."""
        own = self.cell.state_dict(prefix=prefix + "cell.", keep_vars=True)
        given = [
            theirs
            for theirs in TORCH_NAMES
            if prefix + theirs in state_dict and weight_place(self.cell.innermost, theirs)
        ]
        for theirs in given:
            (place,) = (key for key in own if key.endswith(f".{TORCH_NAMES[theirs]}"))
            state_dict[place] = state_dict.pop(prefix + theirs)
        for key, value in own.items() if given else ():
            state_dict.setdefault(key, value)
        super()._load_from_state_dict(state_dict, prefix, *args)


RECURRENT = (nn.RNNBase, Recurrent)
#: The forwards of torch's layers and cells, and ours.
FORWARDS = {each.forward for each in (*TORCH_LAYERS, *TORCH_STEPS, Recurrent, RecurrentStep)}

#: Torch's normalisations by statistics of the batch.
BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)
#: What spreads a module over devices or processes, and holds it as `module`.
WRAPPERS = (nn.DataParallel, nn.parallel.DistributedDataParallel)

#: Modules that are one step of a user's own loop: their classes, the modules themselves, or their names in the model.
Cells = Sequence[type[nn.Module] | nn.Module | str]


def unwrapped(model: nn.Module) -> nn.Module:
    """The module that `torch.compile`, `DataParallel` or `DistributedDataParallel` was given; another as it is."""
    inner = getattr(model, COMPILED, model.module if isinstance(model, WRAPPERS) else model)
    return model if inner is model else unwrapped(cast(nn.Module, inner))


def plain_name(name: str, model: nn.Module) -> str:
    """The name of a module as its user knows it: without what wrappers add; `model` itself by its class."""
    parts, module = list[str](), cast(Any, model)
    for part in filter(None, name.split(".")):
        if part != COMPILED and not (part == "module" and isinstance(module, WRAPPERS)):
            parts.append(part)
        module = getattr(module, part, None)
    return ".".join(parts) or type(unwrapped(model)).__name__


def recurrent_modules(model: nn.Module) -> dict[str, nn.Module]:
    """The recurrent modules in `model` by name; one that stands alone is named by its class."""
    named = model.named_modules()
    return {plain_name(name, model): module for name, module in named if isinstance(module, RECURRENT)}


def step_modules(model: nn.Module, cells: Cells = ()) -> dict[str, nn.Module]:
    """The modules in `model` that are one step of a loop: torch's cells, and those that `cells` names.

    Raises:
        ValueError: Where `cells` names what `model` has not.
    """
    named = {plain_name(name, model): module for name, module in model.named_modules()}
    classes = tuple(cell for cell in cells if isinstance(cell, type))
    chosen = [cell for cell in cells if not isinstance(cell, type)]
    for wanted in cells:
        found = (
            (isinstance(wanted, type) and any(isinstance(module, wanted) for module in named.values()))
            or (isinstance(wanted, str) and wanted in named)
            or any(module is wanted for module in named.values())
        )
        if not found:
            what = wanted if isinstance(wanted, str) else getattr(wanted, "__name__", type(wanted).__name__)
            kinds = {type(module).__name__ for module in named.values()}
            raise ValueError(
                f"cells= names {what!r}, which this {type(model).__name__} has not.{did_you_mean(what, [*named, *kinds])} "
                f"It has the modules {listed(named)}; of the classes {listed(kinds)}."
            )
    return {
        name: module
        for name, module in named.items()
        if not isinstance(module, RECURRENT)
        and (isinstance(module, (nn.RNNCellBase, *classes)) or any(each is module or each == name for each in chosen))
    }


def live_cells(model: nn.Module) -> list[Cell]:
    """A cell for every loop of `model`, layer by layer, forward before reverse: what is written to it, the model has.

    A `Cell` that the model calls in a loop of its own is one, too.

    Examples:
        >>> layer = nn.LSTM(2, 3)
        >>> (cell,) = live_cells(layer)
        >>> cell.from_h.weight is layer.weight_hh_l0
        True
        >>> (cell,) = live_cells(nn.GRUCell(2, 3))
    """
    return [cell for module in model.modules() for cell in (cells_of(module) or _own_step(module, model))]


def _own_step(module: nn.Module, model: nn.Module) -> list[Cell]:
    """The module itself, where it is a cell that no layer and no other cell holds."""
    if not isinstance(module, Cell):
        return []
    holders = [each for each in model.modules() if isinstance(each, Cell | Recurrent | RecurrentStep)]
    held = any(module is inner for each in holders for inner in each.modules() if each is not module)
    return [] if held else [module]


def kind_of(cell: Cell) -> str:
    """What a cell is known as: by the layer that torch has of it, and what a plain one is made of."""
    twin = type(cell).torch_twin
    name = type(cell).__name__ if twin is None else twin.__name__
    return f"{name} ({type(cell.nonlinearity).__name__.lower()})" if cell.plain else name


def replace_module(model: nn.Module, module: nn.Module, other: nn.Module) -> None:
    """Put another module in the place of one, wherever `model` holds it."""
    for parent in list(model.modules()):
        for attribute in [name for name, child in parent._modules.items() if child is module]:
            setattr(parent, attribute, other)


def torch_suffixes(module: nn.RNNBase) -> list[str]:
    """What torch appends to the names of the weights of each loop."""
    sides = ("", "_reverse") if module.bidirectional else ("",)
    return [f"_l{layer}{side}" for layer in range(module.num_layers) for side in sides]


def has_own_forward(module: nn.Module) -> bool:
    """Whether a torch layer or cell, or `Recurrent`, is called by another forward than its own: a subclass's, for instance."""
    return "forward" in vars(module) or type(module).forward not in FORWARDS


def cells_of(module: nn.Module, weights: Mapping[str, Tensor] | None = None) -> list[Cell]:
    """The cells of one module, none where it is not recurrent itself; over other weights than the attributes of torch's."""
    if isinstance(module, RecurrentStep):
        return [module.cell]
    if isinstance(module, nn.RNNCellBase):
        return [_cell_over_weights(module, "", weights)]
    if isinstance(module, nn.RNNBase):
        return [_cell_over_weights(module, suffix, weights) for suffix in torch_suffixes(module)]
    return module.running_cells() if isinstance(module, Recurrent) else []


def _cell_over_weights(module: nn.RNNBase | nn.RNNCellBase, suffix: str, weights: Mapping[str, Tensor] | None) -> Cell:
    """The cell with the equations of torch's module, over the module's own weights."""
    projected = module.proj_size if isinstance(module, nn.RNNBase) else 0
    cell = cast(Cell, _copy_structure(_empty_cell(torch_mode(module), module.hidden_size, projected)))
    if not suffix:  # a step's
        cell.input_size = cast(nn.Linear, cell.from_x).in_features = module.input_size
    for theirs in TORCH_NAMES:
        place = weight_place(cell, theirs)
        if place is None:
            continue
        linear, parameter = place
        delattr(linear, parameter)
        there = module.bias or not theirs.startswith("bias")
        # A weight at another precision, or a parametrized one, is no nn.Parameter; it is one of the cell's all the same.
        # One that is made anew at each forward (weight drop) may not be there.
        name = theirs + suffix
        weight = getattr(module, name, None) if weights is None else weights.get(name)
        linear._parameters[parameter] = cast(nn.Parameter, weight) if there else None
    return cell


def _copy_structure(module: nn.Module) -> nn.Module:
    """The same module over the same tensors, with tables of its own; copy.deepcopy takes as long as to build one."""
    other = module.__new__(type(module))
    own = {name: type(each)(each) if isinstance(each, dict) else each for name, each in vars(module).items()}
    own["_modules"] = {name: child and _copy_structure(child) for name, child in module._modules.items()}
    vars(other).update(own)
    return other


@cache
def _empty_cell(mode: str, hidden_size: int, projected: int) -> Cell:
    """A cell with no weights: to build one takes many times as long as to copy it."""
    with torch.device("meta"):  # weights of its own are never drawn
        return cell_for(mode, projected)(1, hidden_size)
