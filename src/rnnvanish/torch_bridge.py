"""What makes `Recurrent` pass for a `torch.nn.RNN`, `LSTM` or `GRU`: its attributes, and torch's names of its weights.

The cells keep the weights. Under torch's names the same parameters can be read, set, taken away (as weight norm and
pruning do) and loaded. A layer that came from torch.nn registers them under these names, as long as torch could hold
it: so recipes that go by names, checkpoints and the order of an optimiser's parameters are those of torch.
"""

import re
from collections.abc import Callable, Iterator
from functools import partial
from itertools import groupby
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from rnnvanish import cells
from rnnvanish.cell import Cell
from rnnvanish.compat.modules import is_replica
from rnnvanish.engine.ir.parameters import with_weights

#: Torch's recurrent layers, and its cells; a class of somebody else's is none of them.
TORCH_LAYERS = (nn.RNN, nn.LSTM, nn.GRU)
TORCH_STEPS = (nn.RNNCell, nn.LSTMCell, nn.GRUCell)
#: Their names, where only a name is left of a class: in what was scripted or quantized.
TORCH_CLASS_NAMES = {*(kind.__name__ for kind in (*TORCH_LAYERS, *TORCH_STEPS)), "QuantizedLSTM"}
#: Torch's recurrent operations: what a layer calls with its input, state, weights and options; how they begin in a graph.
TORCH_OPERATIONS = {torch.lstm, torch.gru, torch.rnn_tanh, torch.rnn_relu}
TORCH_OPERATION_PREFIXES = ("aten.lstm", "aten.gru", "aten.rnn_", "aten.mkldnn_rnn_layer")
#: Torch's recurrent layers by their `mode`, and the cell with the equations of each.
TORCH_MODULES: dict[str, Callable[..., nn.RNNBase]] = {
    "RNN_TANH": partial(nn.RNN, nonlinearity="tanh"),
    "RNN_RELU": partial(nn.RNN, nonlinearity="relu"),
    "LSTM": nn.LSTM,
    "GRU": nn.GRU,
}
_TWINS: dict[Any, Callable[..., Cell]] = {cell.torch_twin: cell for cell in cells.ALL.values()}
TORCH_CELLS: dict[str, Callable[..., Cell]] = {
    "RNN_TANH": partial(_TWINS[nn.RNN], nonlinearity="tanh"),
    "RNN_RELU": partial(_TWINS[nn.RNN], nonlinearity="relu"),
    "LSTM": _TWINS[nn.LSTM],
    "GRU": _TWINS[nn.GRU],
}
#: The parameters of a torch recurrent module, in its order, and where the cells here keep them.
TORCH_NAMES = {
    "weight_ih": "from_x.weight",
    "weight_hh": "from_h.weight",
    "bias_ih": "from_x.bias",
    "bias_hh": "from_h.bias",
    "weight_hr": "project.weight",  # of an LSTM with a projection alone
}
#: A name that torch gives to a weight.
WEIGHT = re.compile(r"(weight|bias)_(ih|hh|hr)_l\d+(_reverse)?")

#: Where a weight is: the linear layer of a cell, and its name there.
WeightPlace = tuple[nn.Module, str]


def mode_of(cell: nn.Module) -> str | None:
    """The `mode` of torch's module with the equations of `cell`; None for a cell that torch has not."""
    if not _is_torchs(cell):
        return None
    if type(cell) is cells.ProjectedLSTM:
        return "LSTM"
    twin = vars(type(cell)).get("torch_twin")  # a subclass may compute something else
    if twin is nn.RNN:
        return {nn.Tanh: "RNN_TANH", nn.ReLU: "RNN_RELU"}.get(type(cell.nonlinearity))
    return None if twin is None else twin.__name__


def _is_torchs(cell: nn.Module) -> bool:
    """Whether units and gates of a cell are squashed as torch's are."""
    unit, gate = (type(getattr(cell, name, None)) for name in ("nonlinearity", "gate"))
    return gate is type(None) or (unit is nn.Tanh and gate is nn.Sigmoid)


def torch_mode(module: nn.RNNBase | nn.RNNCellBase) -> str:
    """The `mode` of torch's layer, or of the layer that repeats torch's cell."""
    if isinstance(module, nn.RNNBase):
        return module.mode
    if isinstance(module, nn.RNNCell):
        return f"RNN_{module.nonlinearity.upper()}"
    return "LSTM" if isinstance(module, nn.LSTMCell) else "GRU"


def cell_for(mode: str, proj_size: int = 0) -> Callable[..., Cell]:
    """What builds the cell with the equations of torch's module of this `mode` and projection."""
    return partial(cells.ProjectedLSTM, proj_size=proj_size) if proj_size else TORCH_CELLS[mode]


def weight_place(cell: nn.Module, kind: str) -> WeightPlace | None:
    """Where a cell keeps the weight of one of the `TORCH_NAMES`; None where it has no layer for it."""
    owner, _, name = TORCH_NAMES[kind].partition(".")
    modules = dict(cell.named_modules())
    return (modules[owner], name) if owner in modules else None


class TorchShaped(nn.Module):
    """What `Recurrent` has of `torch.nn.RNNBase`, beside the run itself."""

    cells: nn.ModuleList
    bidirectional: bool
    hidden_size: int
    skip: str | None
    #: Whether weights are registered by torch's names.
    named_as_torch = False
    #: Parts of the state that those who call it count on, as it stands in for a torch module; None for all there are.
    torch_parts: int | None = None
    #: The names that are registered, in torch's order.
    _registered: tuple[str, ...] = ()

    # What torch's modules know of themselves

    def __getattr__(self, name: str) -> Any:
        """Look up what is kept elsewhere: attributes of torch's modules, and weights by torch's names."""
        if WEIGHT.fullmatch(name):
            linear, own = self._places().get(name, (None, ""))
            found = getattr(linear, own, None)
        elif name in ATTRIBUTES:
            found = ATTRIBUTES[name](self) if self._mode() else None
        else:
            return super().__getattr__(name)
        if found is None:
            raise AttributeError(self._missing(name))
        return found

    def __setattr__(self, name: str, value: Any) -> None:
        """Set a weight where its cell keeps it."""
        if name in ATTRIBUTES:
            raise AttributeError(f"{name} of a Recurrent follows from its cells: build another layer.")
        if WEIGHT.fullmatch(name) and not hasattr(type(self), name):  # a parametrization has a property there
            self._put(name, value)
        else:
            super().__setattr__(name, value)
            if name == "named_as_torch":
                self.register_weights()

    def __delattr__(self, name: str) -> None:
        """Take a weight away, so that another tensor can be set in its place."""
        if WEIGHT.fullmatch(name) and name not in vars(self):
            if name not in self._places():
                raise AttributeError(self._missing(name))
            self._take_away(name, *self._places()[name])
        else:
            super().__delattr__(name)

    def flatten_parameters(self) -> None:
        """Do nothing: weights lie here as the loops read them."""

    def reset_parameters(self) -> None:
        """Draw every weight anew, as torch does: from U(-1/√hidden, 1/√hidden), in torch's order.

        Raises:
            ValueError: For a layer with other parameters than a torch module's.
        """
        places = list(self._places().values())
        if len(places) != len(list(self.parameters())):
            raise ValueError(
                "Recurrent draws anew what torch.nn has: the weights of an RNN, LSTM or GRU. This layer has other "
                "parameters; build another one."
            )
        for linear, name in places:
            bound = self.hidden_size**-0.5
            drawn = torch.empty_like(getattr(linear, name)).uniform_(-bound, bound)
            with torch.no_grad():
                if parametrize.is_parametrized(linear, name):
                    setattr(linear, name, drawn)
                else:
                    getattr(linear, name).copy_(drawn)

    def running_cells(self) -> list[Cell]:
        """The cells as a run reads them: where a weight was taken away, over the tensor that now has its name."""
        found = list(cast(list[Cell], self.cells))
        names = (theirs + self._suffix(index) for index in range(len(self.cells)) for theirs in TORCH_NAMES)
        if "parametrizations" in self._modules or any(isinstance(vars(self).get(name), Tensor) for name in names):
            places = self._places()
            stands_for = {places[name]: getattr(self, name) for name in places if self._is_taken(name)}
            found = [cast(Cell, with_weights(cell, stands_for)) for cell in found]
        return found

    # Weights by torch's names

    def _mode(self) -> str | None:
        """The mode that all cells have, under whatever is wrapped around them."""
        modes = {mode_of(getattr(cell, "innermost", cell)) for cell in self.cells}
        return modes.pop() if len(modes) == 1 else None

    def _places(self) -> dict[str, WeightPlace]:
        """Where the cells keep each weight, by its name in torch and in torch's order; none for other cells."""
        found = {}
        for index, cell in enumerate(self.cells if self._mode() else ()):
            suffix = self._suffix(index)
            for theirs in TORCH_NAMES:
                place = weight_place(cast(Cell, cell).innermost, theirs)
                if place and (getattr(*place, None) is not None or self._is_taken(theirs + suffix)):
                    found[theirs + suffix] = place
        return found

    def _suffix(self, index: int) -> str:
        """What torch's names of a cell's weights end with: its layer, and its direction."""
        directions = 2 if self.bidirectional else 1
        return f"_l{index // directions}" + ("_reverse" if index % directions else "")

    def _is_taken(self, name: str) -> bool:
        """Whether something else stands for a weight: a tensor that was set, or a parametrization of this module."""
        return name in vars(self) or parametrize.is_parametrized(self, name)

    def _missing(self, name: str) -> str:
        if self._mode():
            return f"This Recurrent has no {name}; its weights are {', '.join(self._places())}."
        kinds = sorted({type(cell).__name__ for cell in self.cells})
        return (
            f"{name} is an attribute of torch.nn's RNN (tanh or relu), LSTM and GRU; this Recurrent has {kinds} cells."
        )

    def _place(self, name: str) -> WeightPlace:
        """Where a weight is kept, or would be."""
        kind, _, loop = name.partition("_l")
        layer, _, reverse = loop.partition("_")
        if not self._mode() or kind not in TORCH_NAMES or (reverse and not self.bidirectional):
            raise AttributeError(self._missing(name))
        index = int(layer) * (2 if self.bidirectional else 1) + bool(reverse)
        if index >= len(self.cells):
            raise AttributeError(self._missing(name))
        place = weight_place(cast(Cell, self.cells[index]).innermost, kind)
        if place is None:
            raise AttributeError(self._missing(name))
        return place

    def _put(self, name: str, value: Any) -> None:
        if is_replica(self):  # of DataParallel, whose cells may still be those of the original
            vars(self)[name] = value
            return
        linear, own = self._place(name)
        before = getattr(linear, own, None)
        if before is not None and isinstance(value, Tensor) and value.shape != before.shape:
            raise ValueError(f"{name} needs the shape {tuple(before.shape)}, got {tuple(value.shape)}.")
        if isinstance(value, nn.Parameter):
            vars(self).pop(name, None)
            with torch.no_grad():
                setattr(linear, own, value)
        elif isinstance(value, Tensor) and (before is None or self._can_be_taken(name, linear, own)):
            self._take_away(name, linear, own)
            vars(self)[name] = value
        else:
            raise TypeError(
                f"{name} is a parameter: set a torch.nn.Parameter, got {type(value).__name__}; or delete it first, so "
                "that another tensor can stand for it."
            )
        self.register_weights()

    def _can_be_taken(self, name: str, linear: nn.Module, own: str) -> bool:
        """Whether a weight was taken away from the registered ones, where its cell still has it."""
        return name in self._registered and name not in self._parameters and own in linear._parameters

    def _take_away(self, name: str, linear: nn.Module, own: str) -> None:
        if own not in linear._parameters and own not in vars(linear):
            raise ValueError(f"{name} is computed from other weights here: it cannot be taken away.")
        linear._parameters.pop(own, None)
        vars(linear)[own] = None
        self._parameters.pop(name, None)
        self._registered = tuple(each for each in self._registered if each != name)

    def _could_be_torchs(self) -> bool:
        """Whether torch has a module that computes the same from the same parameters."""
        return not self.skip and all(
            mode_of(cell)
            and all(
                type(part) is nn.Linear and part._parameters.keys() <= {"weight", "bias"}
                for part in linears(cell).values()
            )
            for cell in self.cells
        )

    def register_weights(self) -> None:
        """Have weights registered by torch's names where they are to be, in torch's order, and nowhere else."""
        own = self._parameters
        for name in self._registered:
            if name not in own:  # somebody took it away there
                self._take_away(name, *self._place(name))
        wanted = {}
        if self.named_as_torch and self._could_be_torchs():
            kept = {name: linear._parameters.get(own) for name, (linear, own) in self._places().items()}
            wanted = {name: weight for name, weight in kept.items() if weight is not None}
        if self._registered != tuple(wanted) or any(own[name] is not weight for name, weight in wanted.items()):
            others = {name: weight for name, weight in own.items() if name not in self._registered}
            own.clear()
            own.update(wanted | others)
            self._registered = tuple(wanted)

    def _unregister(self) -> None:
        self.register_weights()
        for name in self._registered:
            del self._parameters[name]
        self._registered = ()

    def named_modules(self, *args: Any, **kwargs: Any) -> Iterator[tuple[str, nn.Module]]:
        """As any module's; what asks for parameters comes by here, and finds them registered."""
        self.register_weights()
        yield from super().named_modules(*args, **kwargs)

    def _apply(self, fn: Any, recurse: bool = True) -> Any:
        self._unregister()  # each weight is converted once, where its cell keeps it
        try:
            return super()._apply(fn, recurse)
        finally:
            self.register_weights()

    # Checkpoints

    def state_dict(self, *args: Any, **kwargs: Any) -> Any:
        """As any module's; a weight that is registered by torch's name has that name alone."""
        self.register_weights()
        found = super().state_dict(*args, **kwargs)
        prefix = kwargs.get("prefix", args[1] if len(args) > 1 else "")
        for name in self._registered:
            found.pop(prefix + self._ours(name), None)
        return found

    def _ours(self, name: str) -> str:
        linear, own = self._places()[name]
        (owner,) = (path for path, module in self.cells.named_modules(prefix="cells") if module is linear)
        return f"{owner}.{own}"

    def _load_from_state_dict(
        self,
        state_dict: dict[str, Any],
        prefix: str,
        local_metadata: dict[str, Any],
        strict: bool,
        missing_keys: list[str],
        unexpected_keys: list[str],
        error_msgs: list[str],
    ) -> None:
        """Load what is named as torch names it, or as here, whichever way this layer has it itself."""
        registered = self._registered
        self._unregister()
        places = self._places()
        ours = {name: prefix + self._ours(name) for name in places}
        given = any(prefix + name in state_dict for name in places)
        none = registered and not any(key.startswith(prefix + "cells.") for key in state_dict)
        by_torch = {name for name in places if (given or none) and ours[name] not in state_dict}
        known = [prefix + "cells."] if by_torch else []
        for name, (linear, own) in places.items():
            key = prefix + name if name in by_torch else ours[name]
            if parametrize.is_parametrized(linear, own):
                if key in state_dict:
                    _set_constrained(linear, own, state_dict.pop(key), key, error_msgs)
                    known.append(ours[name].removesuffix(own) + "parametrizations.")
                elif name in by_torch and strict:
                    missing_keys.append(key)
            elif name in by_torch and own in linear._parameters:
                self._parameters[name] = linear._parameters[own]
        super()._load_from_state_dict(
            state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs
        )
        self._registered = ()  # assigning a weight has set it in its cell, and may have registered it
        for name in by_torch & self._parameters.keys():
            del self._parameters[name]
        # The cells come next. They find what they have: torch's names know nothing of what a cure has added.
        for key, value in self.cells.state_dict(prefix=prefix + "cells.", keep_vars=True).items():
            if key.startswith(tuple(known)):
                state_dict.setdefault(key, value)
        self.register_weights()


#: How each attribute of `torch.nn.RNNBase` is found that follows from the cells.
ATTRIBUTES: dict[str, Callable[[TorchShaped], Any]] = {
    "mode": lambda layer: layer._mode(),
    "nonlinearity": lambda layer: {"RNN_TANH": "tanh", "RNN_RELU": "relu"}.get(str(layer._mode())),
    "bias": lambda layer: any(name.startswith("bias") for name in layer._places()),
    "proj_size": lambda layer: getattr(layer.cells[0].innermost, "proj_size", 0),
    "all_weights": lambda layer: [[getattr(layer, name) for name in names] for names in layer._all_weights],
    "_all_weights": lambda layer: [
        list(names) for _, names in groupby(layer._places(), lambda n: n.partition("_l")[2])
    ],
    "_flat_weights": lambda layer: [getattr(layer, name) for name in layer._places()],
    "_flat_weights_names": lambda layer: list(layer._places()),
}


def linears(cell: nn.Module) -> dict[str, nn.Module]:
    """What a cell with torch's equations multiplies its input and its state by, and its output where it projects it."""
    modules = dict(cell.named_modules())
    return {name: modules[name] for name in ("from_x", "from_h", "project") if name in modules}


@torch.no_grad()
def _set_constrained(linear: nn.Module, own: str, value: Tensor, key: str, error_msgs: list[str]) -> None:
    """Set a weight that is computed from others: they become those that it is computed from."""
    there = cast(Tensor, getattr(linear, own))
    if value.shape == there.shape:
        setattr(linear, own, value.to(there))
    else:
        error_msgs.append(
            f"size mismatch for {key}: copying a param with shape {value.shape} from checkpoint, the shape in current "
            f"model is {there.shape}."
        )
