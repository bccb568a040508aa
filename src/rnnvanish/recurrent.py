"""Recurrent: any cell over time and over layers, called like `torch.nn.LSTM`."""

import warnings
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch.nn.utils.rnn import PackedSequence
from torch.utils.checkpoint import checkpoint

from rnnvanish import cells
from rnnvanish.cell import Cell, State
from rnnvanish.engine.choice import ENGINES, run
from rnnvanish.layers import run_layers

#: The cell with the equations of each of torch's recurrent modules, by the module's `mode`.
TORCH_CELLS: dict[str, Callable[..., Cell]] = {
    "RNN_TANH": partial(cells.Elman, nonlinearity="tanh"),
    "RNN_RELU": partial(cells.Elman, nonlinearity="relu"),
    "LSTM": cells.LSTM,
    "GRU": cells.GRU,
}
#: The parameters of a torch recurrent module, and where the cells here keep them.
TORCH_NAMES = {
    "weight_ih": "from_x.weight",
    "weight_hh": "from_h.weight",
    "bias_ih": "from_x.bias",
    "bias_hh": "from_h.bias",
}
#: What `skip` of `Recurrent` may be.
SKIPS = (None, "residual", "highway", "dense")


class Recurrent(nn.Module):
    """A stack of recurrent layers over time, of any cell.

    Called like `torch.nn.LSTM`: `output, state = layer(x, state=None, lengths=None)`.

    Args:
        cell: The class of the cell, such as `cells.LSTM`; or a function that builds one from input and hidden size.
        input_size: Features read at each step.
        hidden_size: Width of the state.
        num_layers: How many layers; each reads the outputs of the one below.
        bidirectional: Whether each layer also runs from the end to the beginning.
        batch_first: Whether `x` and the output are (batch, time, features) rather than (time, batch, features).
        dropout: Probability with which an output is dropped on its way to the next layer, in training.
        skip: Connections that lead past a layer, upwards and not through time. "residual" adds the input of each layer
            but the first to its output. "highway" mixes the two, T output + (1 − T) input, by a gate T = σ(W input + b)
            of each layer (Srivastava, Greff & Schmidhuber 2015, https://arxiv.org/abs/1505.00387); b starts at −1, so
            that at first more is carried than transformed. "dense" has each layer read `x` and the outputs of all
            layers below, side by side (Huang et al. 2017, https://arxiv.org/abs/1608.06993).
        engine: How the loop over time is run: "reference" is the plain Python loop, "cpu" and "gpu" are compiled, and
            "auto" is the compiled one of the input's device, or the plain loop where that cannot be (a log line says
            why). A compiled loop counts numbers below the smallest normal one (1e-38 in single precision) as zero.
        checkpoint_every: Keep the state of every so many steps only, and compute the steps between again on the way
            back: with the square root of the sequence's length, memory grows like that root, and a training step
            takes about a third longer (Chen et al. 2016, https://arxiv.org/abs/1604.06174). None keeps everything.
        **cell_options: Passed on to the cell.

    Shapes:
        `x` is (time, batch, input_size), (time, input_size) for a single sequence, or a `PackedSequence`.
        `lengths` is (batch,), the steps in each sequence of a padded `x`; outputs beyond them are zero.
        The state has one tensor (num_layers * directions, batch, hidden_size) for each of the cell's `state_names`:
        a tuple where these are several (LSTM), the tensor itself where it is one (GRU), as in `torch.nn`.

    Raises:
        ValueError: For a wrong shape, dtype or length: says what was needed and what came.

    Examples:
        >>> layer = Recurrent(cells.LSTM, input_size=3, hidden_size=5, num_layers=2)
        >>> output, (h, c) = layer(torch.zeros(7, 4, 3))
        >>> output.shape, h.shape
        (torch.Size([7, 4, 5]), torch.Size([2, 4, 5]))
    """

    def __init__(
        self,
        cell: Callable[..., Cell],
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bidirectional: bool = False,
        batch_first: bool = False,
        dropout: float = 0.0,
        skip: str | None = None,
        engine: str = "auto",
        checkpoint_every: int | None = None,
        **cell_options: Any,
    ) -> None:
        super().__init__()
        if not callable(cell):
            raise ValueError(f"Recurrent needs a cell's class, such as cells.{next(iter(cells.ALL))}, got {cell!r}.")
        if num_layers < 1:
            raise ValueError(f"Recurrent needs num_layers >= 1, got {num_layers}.")
        if not 0 <= dropout < 1:
            raise ValueError(f"Recurrent needs a dropout probability in [0, 1), got {dropout}.")
        if skip not in SKIPS:
            raise ValueError(f"Recurrent needs skip=None, 'residual', 'highway' or 'dense', got {skip!r}.")
        if engine not in ENGINES:
            raise ValueError(f"Recurrent needs an engine of {', '.join(ENGINES)}, got {engine!r}.")
        if checkpoint_every is not None and checkpoint_every < 1:
            raise ValueError(f"Recurrent needs checkpoint_every >= 1 or None, got {checkpoint_every}.")
        if dropout > 0 and num_layers == 1:
            warnings.warn("dropout acts between layers, and there is only one: it does nothing.", stacklevel=2)
        self.input_size, self.hidden_size, self.num_layers = input_size, hidden_size, num_layers
        self.bidirectional, self.batch_first, self.dropout = bidirectional, batch_first, float(dropout)
        self.skip, self.engine, self.checkpoint_every = skip, engine, checkpoint_every
        directions = 2 if bidirectional else 1
        width = hidden_size * directions
        widths = [input_size] + [width] * (num_layers - 1)
        if skip == "dense":
            widths = [input_size + layer * width for layer in range(num_layers)]
        self.cells = nn.ModuleList(
            cell(reads, hidden_size, **cell_options) for reads in widths for _ in range(directions)
        )
        if skip == "highway":
            self.transforms = nn.ModuleList(nn.Linear(width, width) for _ in range(num_layers - 1))
            for transform in self.transforms:
                nn.init.constant_(cast(nn.Linear, transform).bias, -1.0)

    @property
    def state_names(self) -> tuple[str, ...]:
        """Names of the parts of the state."""
        return self._cell(0).state_names

    def forward(
        self,
        x: Tensor | PackedSequence,
        state: Tensor | tuple[Tensor, ...] | None = None,
        lengths: Tensor | Sequence[int] | None = None,
    ) -> tuple[Tensor | PackedSequence, Tensor | tuple[Tensor, ...]]:
        """Run over whole sequences; returns the output of the top layer and the final state of every layer."""
        steps = self._check_lengths(x, lengths)
        self._check_input(x)
        self._check_state(x, state)
        with parametrize.cached():  # a constrained weight is computed once a run, not once a step
            return run_layers(self, self._scan, x, state, steps)

    def _cell(self, index: int) -> Cell:
        return cast(Cell, self.cells[index])

    def _scan(self, index: int, x: Tensor, state: State | None, lengths: Tensor | None) -> tuple[Tensor, State]:
        cell = self._cell(index)
        state = cell.initial_state(x[0]) if state is None else state
        segment = self.checkpoint_every
        if segment is None or segment >= len(x) or not torch.is_grad_enabled():
            return run(cell, x, state, lengths, self.engine)
        outputs = []
        for start, part in zip(range(0, len(x), segment), x.split(segment), strict=True):
            left = None if lengths is None else (lengths - start).clamp(min=0)
            y, state = checkpoint(run, cell, part, state, left, self.engine, use_reentrant=False)
            outputs.append(y)
        return torch.cat(outputs), state

    def _check_input(self, x: Tensor | PackedSequence) -> None:
        data = x.data if isinstance(x, PackedSequence) else x
        if not isinstance(x, PackedSequence):
            order = "(batch, time, input)" if self.batch_first else "(time, batch, input)"
            if x.dim() not in (2, 3):
                raise ValueError(f"Recurrent needs x of shape {order} or (time, input), got {tuple(x.shape)}.")
            if 0 in x.shape:
                raise ValueError(
                    f"Recurrent needs at least one step and one sequence, got x of shape {tuple(x.shape)}."
                )
        if data.shape[-1] != self.input_size:
            raise ValueError(
                f"Recurrent needs x with {self.input_size} features last (its input_size), got {data.shape[-1]}."
            )
        weight = next(self.parameters(), None)
        # A cell with complex weights may read real numbers.
        fits = weight is None or data.dtype in (weight.dtype, weight.dtype.to_real())
        if weight is not None and not fits and not torch.is_autocast_enabled(data.device.type):
            raise ValueError(
                f"Recurrent needs x of the dtype of its weights, {weight.dtype}, got {data.dtype}: "
                f"convert one of them, for instance x.to({weight.dtype})."
            )

    def _check_lengths(self, x: Tensor | PackedSequence, lengths: Tensor | Sequence[int] | None) -> Tensor | None:
        if lengths is None:
            return None
        if isinstance(x, PackedSequence) or x.dim() != 3:
            raise ValueError("Recurrent takes lengths for a padded batch only; a PackedSequence has its own.")
        time, batch = (x.shape[1], x.shape[0]) if self.batch_first else x.shape[:2]
        steps = torch.as_tensor(lengths, device=x.device)
        if steps.shape != (batch,) or steps.is_floating_point() or steps.dtype == torch.bool:
            raise ValueError(f"Recurrent needs {batch} whole numbers as lengths, one a sequence, got {lengths}.")
        if batch and (steps.min() < 1 or steps.max() > time):
            raise ValueError(f"Recurrent needs lengths from 1 to {time}, the steps in x, got {steps.tolist()}.")
        return steps.long()

    def _check_state(self, x: Tensor | PackedSequence, state: Tensor | tuple[Tensor, ...] | None) -> None:
        if state is None:
            return
        parts = (state,) if isinstance(state, Tensor) else tuple(state)
        if len(parts) != len(self.state_names):
            names = ", ".join(self.state_names)
            raise ValueError(f"Recurrent needs a state of {len(self.state_names)} parts ({names}), got {len(parts)}.")
        shape: tuple[int, ...] = (len(self.cells), self.hidden_size)
        if isinstance(x, PackedSequence):
            shape = (len(self.cells), int(x.batch_sizes[0]), self.hidden_size)
        elif x.dim() == 3:
            shape = (len(self.cells), x.shape[0 if self.batch_first else 1], self.hidden_size)
        for name, part in zip(self.state_names, parts, strict=True):
            if tuple(part.shape) != shape:
                raise ValueError(f"Recurrent needs {name} of the state in shape {shape}, got {tuple(part.shape)}.")

    def extra_repr(self) -> str:
        """Sizes and options, for `repr`."""
        return f"{self.input_size}, {self.hidden_size}, num_layers={self.num_layers}, skip={self.skip!r}"

    @classmethod
    def from_torch(cls, module: nn.RNNBase) -> "Recurrent":
        """Build the same layers from a `torch.nn.RNN`, `LSTM` or `GRU`, with a copy of its weights."""
        if module.proj_size:
            raise ValueError(f"Recurrent has no projections: needs an LSTM with proj_size=0, got {module.proj_size}.")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch has said so already
            layer = cls(
                TORCH_CELLS[module.mode],
                module.input_size,
                module.hidden_size,
                num_layers=module.num_layers,
                bidirectional=module.bidirectional,
                batch_first=module.batch_first,
                dropout=module.dropout,
                bias=module.bias,
            )
        layer.to(cast(Tensor, module.weight_ih_l0)).train(module.training)
        for ours, theirs in layer._pairs(module):
            _copy(theirs, ours)
        return layer

    def to_torch(self) -> nn.RNNBase:
        """Build the `torch.nn.RNN`, `LSTM` or `GRU` of the same layers, with a copy of the weights."""
        kinds: dict[type, Callable[..., nn.RNNBase]] = {cells.Elman: nn.RNN, cells.LSTM: nn.LSTM, cells.GRU: nn.GRU}
        cell = self._cell(0)
        options: dict[str, Any] = {}
        if isinstance(cell, cells.Elman):
            options["nonlinearity"] = type(cell.nonlinearity).__name__.lower()
        if type(cell) not in kinds or options.get("nonlinearity", "tanh") not in ("tanh", "relu") or self.skip:
            raise ValueError(
                "torch.nn has an RNN (tanh or relu), an LSTM and a GRU, without skip connections; "
                f"got {type(cell).__name__} {options or ''} with skip={self.skip!r}."
            )
        linear = parametrize.type_before_parametrizations(cell.get_submodule("from_h"))
        if linear is not nn.Linear:  # it computes something else from the same weights
            raise ValueError(f"torch.nn has no {type(cell).__name__} whose from_h is a {linear.__name__}.")
        module = kinds[type(cell)](
            self.input_size,
            self.hidden_size,
            num_layers=self.num_layers,
            bias=any(name.endswith("bias") for name, _ in cell.named_parameters()),
            batch_first=self.batch_first,
            dropout=self.dropout,
            bidirectional=self.bidirectional,
            **options,
        )
        module.to(next(cell.parameters())).train(self.training)
        for ours, theirs in self._pairs(module):
            _copy(ours, theirs)
        return module

    def _pairs(self, module: nn.RNNBase) -> Iterator[tuple[Tensor, Tensor]]:
        """Every weight here with the one that `module` keeps for it."""
        directions = 2 if self.bidirectional else 1
        for index, cell in enumerate(self.cells):
            suffix = f"_l{index // directions}" + ("_reverse" if index % directions else "")
            for theirs, ours in TORCH_NAMES.items():
                if module.bias or theirs.startswith("weight"):
                    owner, _, parameter = ours.partition(".")
                    yield getattr(cell.get_submodule(owner), parameter), getattr(module, theirs + suffix)


@torch.no_grad()
def _copy(source: Tensor, target: Tensor) -> None:
    target.copy_(source)
    target.requires_grad_(source.requires_grad)
