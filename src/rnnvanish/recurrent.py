"""Recurrent: any cell over time and over layers, called like `torch.nn.LSTM`."""

import warnings
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch.nn.utils.rnn import PackedSequence
from torch.utils.checkpoint import checkpoint

from rnnvanish import cells
from rnnvanish.cell import Cell, State, require_cell
from rnnvanish.compat.modules import weight_names
from rnnvanish.compat.tensors import counts_changes
from rnnvanish.engine.autograd.version_check import check_versions
from rnnvanish.engine.ir.parameters import parametrized_weights
from rnnvanish.engine.run import ENGINES, run
from rnnvanish.engine.step_form import Columns, without_columns
from rnnvanish.layers import PerStep, check_lengths, complete_state, one_argument, run_layers, state_parts
from rnnvanish.numerics.real_view import is_number
from rnnvanish.torch_bridge import TORCH_LAYERS, TORCH_MODULES, TorchShaped, cell_for, linears, mode_of

#: An initial state.
StateArgument = Tensor | Sequence[Tensor] | None
#: What `skip` of `Recurrent` may be.
SKIPS = (None, "residual", "highway", "dense")


class Recurrent(TorchShaped):
    """A stack of recurrent layers over time, of any cell.

    Called like `torch.nn.LSTM`: `output, state = layer(x, state=None, lengths=None)`; `input=` and `hx=` are other
    words for `x=` and `state=`. More may be given for every step: `resets=`, where a sequence begins anew; and `times=`
    and `observed=` to cells that take them. Where the cells are those of `torch.nn.RNN`, `LSTM` or `GRU`, it has their
    attributes too: `weight_hh_l0` is the parameter that the first cell keeps, and `load_state_dict` takes torch's names
    as well as its own. Weights of a layer made by `from_torch` have torch's names also in `named_parameters` and
    `state_dict`, as long as a torch module could hold them; `layer.named_as_torch = True` names those of any other so.

    Args:
        cell: The class of the cell, such as `cells.LSTM`; or a function that builds one from input and hidden size.
        input_size: Features read at each step.
        hidden_size: Width of the state, as far as the cell does not say otherwise.
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
            why). Of a cell with a `parallel` form it is that one where it is faster, for many steps or a large state: steps
            that are taken at once share their rounding, and a nan. A compiled loop counts numbers below the smallest
            normal one (1e-38 in single precision) as zero.
        checkpoint_every: Keep the state of every so many steps only, and compute the steps between again on the way
            back: with the square root of the sequence's length, memory grows like that root, and a training step
            takes about a third longer (Chen et al. 2016, https://arxiv.org/abs/1604.06174). None keeps everything.
        **cell_options: Passed on to the cell.

    Shapes:
        `x` is (time, batch, input_size), (time, input_size) for a single sequence, or a `PackedSequence`.
        `lengths` is (batch,), the steps in each sequence of a padded `x`; outputs beyond them are zero.
        `resets` is (time, batch): where it is true the state before that step is the initial one, and no gradient
        passes; a layer that runs backward begins anew at the step before. `times`, (time, batch), says when each step
        is, never decreasing within a sequence; the cell is given what has passed, 0 at first: a call that goes on with
        a state does not know the stamps of the one before. `observed`, in the shape of `x`, says which features were
        seen; the first layer alone reads it. With `batch_first`, time is second in all of them.
        The output is (time, batch, directions * the cell's `output_size`), which is the hidden size for most.
        The state has one tensor (num_layers * directions, batch, hidden_size) for each of the cell's `state_names`, or
        of whatever shape the cell's `initial_state` gives for one sequence in place of the last: a tuple where these
        are several (LSTM), the tensor itself where it is one (GRU), as in `torch.nn`. A layer that was made by
        `from_torch` keeps to the parts of the torch module, whatever a cure carries beside them.

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
        if not callable(cell) or isinstance(cell, nn.Module):
            raise ValueError(f"Recurrent needs a cell's class, such as cells.{next(iter(cells.ALL))}, got {cell!r}.")
        if num_layers < 1:
            raise ValueError(f"Recurrent needs num_layers >= 1, got {num_layers}.")
        if not 0 <= dropout <= 1:
            raise ValueError(f"Recurrent needs a dropout probability in [0, 1], got {dropout}.")
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
        directions, reads = 2 if bidirectional else 1, input_size
        self.cells = nn.ModuleList()
        for _ in range(num_layers):
            self.cells.extend(require_cell(cell(reads, hidden_size, **cell_options)) for _ in range(directions))
            width = self.output_size * directions
            reads = reads + width if skip == "dense" else width
        if skip == "highway":
            self.transforms = nn.ModuleList(nn.Linear(width, width) for _ in range(num_layers - 1))
            for transform in self.transforms:
                nn.init.constant_(cast(nn.Linear, transform).bias, -1.0)

    @property
    def state_names(self) -> tuple[str, ...]:
        """Names of the parts of the state."""
        return self._cell(0).state_names

    @property
    def output_size(self) -> int:
        """Width of the output of each direction."""
        return self._cell(0).output_size

    def forward(
        self,
        x: Tensor | PackedSequence | None = None,
        state: StateArgument = None,
        lengths: Tensor | Sequence[int] | None = None,
        *,
        resets: Tensor | None = None,
        times: Tensor | None = None,
        observed: Tensor | None = None,
        input: Tensor | PackedSequence | None = None,
        hx: StateArgument = None,
    ) -> tuple[Tensor | PackedSequence, Tensor | tuple[Tensor, ...]]:
        """Run over whole sequences; returns the output of the top layer and the final state of every layer."""
        x, state = one_argument("x", x, "input", input), one_argument("state", state, "hx", hx)
        if x is None:
            raise TypeError("Recurrent needs a sequence, as its first argument or as x=...; got none.")
        unrolled = vars(self).get("unrolled_forward")  # of a subclass that is watched, below its own forward
        if unrolled is not None:
            beside = {"resets": resets, "times": times, "observed": observed}
            given = {name: value for name, value in beside.items() if value is not None}
            return cast(tuple[Any, Any], unrolled(x, state, lengths, **given))
        steps = check_lengths(x, lengths, self.batch_first)
        data, sizes = (x.data, x.batch_sizes) if isinstance(x, PackedSequence) else (x, None)
        self.check_forward_args(data, state, sizes)
        per_step = self.read_per_step(x, steps, resets=resets, times=times, observed=observed)
        return run_layers(self, partial(self._run_loop, self.running_cells()), x, state, steps, per_step)

    def _cell(self, index: int) -> Cell:
        return cast(Cell, self.cells[index])

    def _run_loop(
        self,
        cells: list[Cell],
        index: int,
        x: Tensor,
        columns: Columns,
        state: State | None,
        lengths: Tensor | None,
    ) -> tuple[Tensor, State]:
        cell = cells[index]
        state = complete_state(cell.state_names, cell.initial_state, without_columns(x[0], columns), state)
        segment = self.checkpoint_every
        if segment is None or segment >= len(x) or not torch.is_grad_enabled() or not counts_changes():
            return run(cell, x, state, lengths, self.engine, columns=columns)
        values = parametrized_weights(dict(cell.named_modules()))  # once a run, not once a segment
        outputs, run_segment = [], check_versions(run, [x, *state, *cell.parameters()])
        for start, part in zip(range(0, len(x), segment), x.split(segment), strict=True):
            left = None if lengths is None else (lengths - start).clamp(min=0)
            y, state = checkpoint(
                run_segment, cell, part, state, left, self.engine, None, values, columns, use_reentrant=False
            )
            outputs.append(y)
        return torch.cat(outputs), state

    def check_input(self, input: Tensor, batch_sizes: Tensor | None = None) -> None:
        """Raise a ValueError unless `input`, of a packed sequence with its `batch_sizes`, can be run."""
        if not isinstance(input, Tensor):
            raise TypeError(f"Recurrent needs a tensor or a PackedSequence, got a {type(input).__name__}.")
        if batch_sizes is None:
            order = "(batch, time, input)" if self.batch_first else "(time, batch, input)"
            if input.dim() not in (2, 3):
                raise ValueError(f"Recurrent needs x of shape {order} or (time, input), got {tuple(input.shape)}.")
            if 0 in input.shape:
                raise ValueError(
                    f"Recurrent needs at least one step and one sequence, got x of shape {tuple(input.shape)}."
                )
        if input.shape[-1] != self.input_size:
            raise ValueError(
                f"Recurrent needs x with {self.input_size} features last (its input_size), got {input.shape[-1]}."
            )
        weight = next(self.cells.parameters(), None)
        if weight is None:
            return
        # A cell with complex weights may read real numbers.
        fits = input.dtype in (weight.dtype, weight.real.dtype)
        if not fits and not torch.is_autocast_enabled(input.device.type):
            raise ValueError(
                f"Recurrent needs x of the dtype of its weights, {weight.dtype}, got {input.dtype}: "
                f"convert one of them, for instance x.to({weight.dtype})."
            )
        if input.device != weight.device:
            raise ValueError(
                f"Recurrent needs x on the device of its weights, {weight.device}, got {input.device}: "
                f"move one of them, for instance x.to({str(weight.device)!r})."
            )

    def read_per_step(
        self, x: Tensor | PackedSequence, lengths: Tensor | None, **given: Tensor | Sequence[Any] | None
    ) -> PerStep:
        """Check what is given for every step beside `x`; a ValueError where it has another shape, or nobody wants it."""
        wants = self._cell(0).wants
        for name in [name for name, value in given.items() if value is not None and name != "resets"]:
            if name not in wants:
                takers = [each for each, cell in cells.ALL.items() if name in cell.wants]
                raise ValueError(
                    f"{type(self._cell(0).innermost).__name__} takes no {name}: leave it out, or take a cell that "
                    f"wants it{', such as ' + takers[0] if takers else ''}."
                )
        return PerStep.read(x, self.batch_first, lengths, "running" in wants, **given)

    def _expected_state(self, input: Tensor) -> State:
        """What each part of the state looks like before the first step, for one sequence."""
        with torch.no_grad(), torch.random.fork_rng(devices=[input.device] if input.is_cuda else []):
            return self._cell(0).initial_state(input.new_zeros(1, self.input_size))

    def _state_shape(self, part: Tensor, input: Tensor, batch_sizes: Tensor | None) -> tuple[int, ...]:
        """The shape of a part of the state that looks so for one sequence."""
        loops, shape = len(self.cells), tuple(part.shape[1:])
        if batch_sizes is not None:
            return loops, int(batch_sizes[0]), *shape
        return (loops, *shape) if input.dim() == 2 else (loops, input.shape[0 if self.batch_first else 1], *shape)

    def get_expected_hidden_size(self, input: Tensor, batch_sizes: Tensor | None = None) -> tuple[int, ...]:
        """Compute the shape of the first part of the state for an input, of a packed sequence with its `batch_sizes`."""
        return self._state_shape(self._expected_state(input)[0], input, batch_sizes)

    def get_expected_cell_size(self, input: Tensor, batch_sizes: Tensor | None = None) -> tuple[int, ...]:
        """Compute the shape of the last part of the state."""
        return self._state_shape(self._expected_state(input)[-1], input, batch_sizes)

    def check_hidden_size(
        self,
        hx: Tensor,
        expected_hidden_size: tuple[int, ...],
        msg: str = "Recurrent needs a state of shape {}, got {}.",
    ) -> None:
        """Raise a ValueError that says `msg` unless a part of the state has the shape that is expected."""
        if tuple(hx.shape) != tuple(expected_hidden_size):
            raise ValueError(msg.format(tuple(expected_hidden_size), tuple(hx.shape)))

    def check_forward_args(self, input: Tensor, hidden: StateArgument, batch_sizes: Tensor | None = None) -> None:
        """Raise a ValueError unless input and state, None or of the right parts, can be run."""
        self.check_input(input, batch_sizes)
        if hidden is None:
            return
        names, own = self.state_names, self._cell(0).innermost.state_names
        parts = state_parts(hidden)
        if len(parts) > len(names) or len(parts) not in (len(names), len(own), self.torch_parts):
            raise ValueError(f"Recurrent needs a state of {len(names)} parts ({', '.join(names)}), got {len(parts)}.")
        if len(parts) < len(names):
            rest = ", ".join(names[len(parts) :])
            warnings.warn(f"{rest} of the state is not given: this run begins with it anew.", stacklevel=5)
        for name, part, like in zip(names, parts, self._expected_state(input), strict=False):
            if not isinstance(part, Tensor):
                raise TypeError(f"Recurrent needs a tensor as {name} of the state, got a {type(part).__name__}.")
            shape = self._state_shape(like, input, batch_sizes)
            self.check_hidden_size(part, shape, f"Recurrent needs {name} of the state in shape {{}}, got {{}}.")
            number = is_number(part) or is_number(like)  # unless it counts something
            fits = part.dtype == like.dtype or torch.is_autocast_enabled(input.device.type)
            if (number and not fits) or part.device != input.device:
                raise ValueError(
                    f"Recurrent needs {name} of the state like x, {like.dtype} on {input.device}, got {part.dtype} on "
                    f"{part.device}: convert it, for instance {name}.to({like.dtype})."
                )

    def permute_hidden(self, hx: StateArgument, permutation: Tensor | None) -> StateArgument:
        """Reorder the sequences of a state; None leaves them as they are."""
        if permutation is None or hx is None:
            return hx
        if isinstance(hx, Tensor):
            return hx.index_select(1, permutation)
        return tuple(part.index_select(1, permutation) for part in hx)

    def extra_repr(self) -> str:
        """Sizes and options that are not the default, for `repr`."""
        usual = {
            "num_layers": 1,
            "batch_first": False,
            "dropout": 0.0,
            "bidirectional": False,
            "skip": None,
            "engine": "auto",
            "checkpoint_every": None,
        }
        options = [f"{name}={getattr(self, name)!r}" for name in usual if getattr(self, name) != usual[name]]
        return ", ".join([f"{self.input_size}, {self.hidden_size}", *options])

    @classmethod
    def from_torch(cls, module: nn.RNNBase) -> "Recurrent":
        """Build the same layers from a `torch.nn.RNN`, `LSTM` or `GRU`, with a copy of its weights, by torch's names.

        No random number is drawn.

        Raises:
            ValueError: For a class with a forward of its own, or weights that follow from others.
        """
        if type(module).forward not in {kind.forward for kind in TORCH_LAYERS}:
            raise ValueError(
                f"{type(module).__name__} has a forward of its own, which a Recurrent would not run: have it hold a "
                f"torch.nn.{module.mode.partition('_')[0]} instead of being one."
            )
        computed = [name for name in weight_names(module) if name not in module._parameters]
        if computed:
            raise ValueError(
                f"{', '.join(computed)} of this {type(module).__name__} follow from other parameters (weight norm, weight "
                "drop, pruning), which a Recurrent would not have: make it first, and apply that to it then."
            )
        with warnings.catch_warnings(), torch.device("meta"):  # weights of its own are never drawn
            warnings.simplefilter("ignore")  # torch has said so already
            layer = cls(
                cell_for(module.mode, module.proj_size),
                module.input_size,
                module.hidden_size,
                num_layers=module.num_layers,
                bidirectional=module.bidirectional,
                batch_first=module.batch_first,
                dropout=module.dropout,
                bias=module.bias,
            )
        for name in weight_names(module):
            setattr(layer, name, _copy_weight(getattr(module, name)))
        layer.named_as_torch, layer.torch_parts = True, len(layer.state_names)
        return layer.train(module.training)

    def to_torch(self) -> nn.RNNBase:
        """Build the `torch.nn.RNN`, `LSTM` or `GRU` of the same layers, with a copy of the weights.

        Raises:
            ValueError: For a layer that torch has not.
        """
        cell = self._cell(0)
        mode = mode_of(cell)
        if mode is None or self.skip:
            options = (
                {"nonlinearity": type(cell.nonlinearity).__name__.lower()} if hasattr(cell, "nonlinearity") else ""
            )
            raise ValueError(
                "torch.nn has an RNN (tanh or relu), an LSTM and a GRU, without skip connections; "
                f"got {type(cell).__name__} {options} with skip={self.skip!r}."
            )
        for each in self.cells:
            for place, linear in linears(each).items():
                kind = parametrize.type_before_parametrizations(linear)
                if kind is not nn.Linear:  # it computes something else from the same weights
                    raise ValueError(f"torch.nn has no {type(cell).__name__} whose {place} is a {kind.__name__}.")
        module = TORCH_MODULES[mode](
            self.input_size,
            self.hidden_size,
            num_layers=self.num_layers,
            bias=self.bias,
            batch_first=self.batch_first,
            dropout=self.dropout,
            bidirectional=self.bidirectional,
            **({"proj_size": self.proj_size} if self.proj_size else {}),
            device="meta",  # weights of its own are never drawn
        )
        for name in weight_names(module):
            setattr(module, name, _copy_weight(getattr(self, name)))
        module.flatten_parameters()
        return module.train(self.training)


def _copy_weight(weight: Tensor) -> nn.Parameter:
    return nn.Parameter(weight.detach().clone(), requires_grad=weight.requires_grad)
