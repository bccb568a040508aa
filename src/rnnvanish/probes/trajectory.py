"""Trajectory: every step of every loop, with its states, gates and gradients, as tensors."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from rnnvanish.backward.coordinates import Coordinates
from rnnvanish.backward.each_loop import resolve_call, total_gradients
from rnnvanish.backward.gate_values import gate_values
from rnnvanish.backward.loss import Loss, evaluate_loss, preserve_loss
from rnnvanish.backward.recurrent_path import inside_sequences, subtract_passed_back
from rnnvanish.backward.replay import Replay, replay_all
from rnnvanish.observe.record import Series
from rnnvanish.observe.watch import Cells, Run, watch

#: Of each part of the state, or of each gate, a row of numbers for every step of every sequence.
Rows = Mapping[str, Float[Tensor, "time sequences size"]]


@dataclass(frozen=True, eq=False, repr=False)
class Trajectory:
    """What one loop did, step by step, and what comes back to it.

    Steps stand as the loop runs: the first one of a reverse direction reads the end of its sequence. Sequences stand as the
    caller has them, also where a PackedSequence sorts them. The numbers of a complex state are Re, Im, Re, Im, ...

    Attributes:
        names: The parts of the state: ("h",), of an LSTM ("h", "c"). Each is a key of `initial`, `states`, `direct` and
            `total`.
        lengths: Steps of each sequence, (sequences,). Beyond its end a sequence keeps its last state, its gradients are
            zero and its gates nan.
        initial: The state before the first step, (sequences, size) for each part.
        states: The state after each step, (time, sequences, size) for each part.
        gates: The value of each gate at each step, (time, sequences, units): "i", "f", "o", "g", "tanh c" (LSTM), "r", "z",
            "n" (GRU), "h" (Elman); empty of a cell that names none.
        direct: What comes in at each step, (time, sequences, size) for each part: the gradient of the loss by the state
            after it, by whatever reads it but the loop's own next step: the loss itself, a layer above, attention. It is
            the total less what is passed back, and so zero only to rounding where nothing else reads the state.
        total: The gradient of the loss by the state after each step, through all later steps as well, (time, sequences,
            size) for each part. The parts of a state are independent coordinates, as the next step is handed them: that by
            an LSTM's c does not count the way through the h of the same step. `total[t]` is `direct[t]` and what step t + 1
            passes back of `total[t + 1]`.
    """

    names: tuple[str, ...]
    lengths: Int[Tensor, " sequences"]
    initial: Mapping[str, Float[Tensor, "sequences size"]]
    states: Rows
    gates: Rows
    direct: Rows
    total: Rows

    def __repr__(self) -> str:
        time, sequences, _ = self.states[self.names[0]].shape
        gates = f", gates {', '.join(self.gates)}" if self.gates else ""
        return f"<Trajectory of {time} steps of {sequences} sequences: state {', '.join(self.names)}{gates}>"


def trajectory(model: nn.Module, inputs: Any, loss: Loss = None, cells: Cells = ()) -> dict[str, Trajectory]:
    """Take down every step of every recurrent layer and direction: states, gates, direct and total gradients of a loss.

    All is measured in double precision where the model can run so. The gradient is that of the whole loss, and not from one
    end point as in `retention`. `model` is left as it was.

    Args:
        model: Any module with recurrent layers, as for `probes.retention`.
        inputs: What it takes, as for `probes.retention`; of a DataLoader the first batch.
        loss: What the gradient is of, as for `probes.retention`.
        cells: Modules that are one step of a loop which the model itself writes.

    Returns:
        A `Trajectory` for each layer and direction, named like "encoder.lstm/layer0/forward".

    Raises:
        ValueError, RuntimeError: Those of `probes.retention`; also where a step cannot be repeated, or where the model
            changes its state between steps.

    Examples:
        >>> found = trajectory(nn.LSTM(1, 4), torch.randn(9, 2, 1), lambda output: output[0].square().sum())
        >>> found
        {'LSTM/layer0/forward': <Trajectory of 9 steps of 2 sequences: state h, c, gates i, f, o, g, tanh c>}
        >>> steps = found["LSTM/layer0/forward"]
        >>> steps.names, steps.total["c"].shape, list(steps.gates)
        (('h', 'c'), torch.Size([9, 2, 4]), ['i', 'f', 'o', 'g', 'tanh c'])
        >>> bool((steps.direct["c"].abs() < 1e-12).all())  # what an LSTM returns is its h
        True
    """
    call = resolve_call(model, inputs, loss)

    def measured(output: Any, runs: list[Run]) -> dict[str, Trajectory]:
        totals = total_gradients(model, runs, evaluate_loss(model, call, output, loss))
        return {run.name: _trajectory_of(run, total) for run, total in zip(runs, totals, strict=True)}

    with torch.enable_grad(), preserve_loss(loss):
        return watch(model, call, measured, cells=cells, in_double=True)


def _trajectory_of(run: Run, gradients: Series) -> Trajectory:
    total = inside_sequences(run, gradients)
    direct = tuple(part.clone() for part in total)
    replay, names, gates = Replay(run), Coordinates.of(run).names, dict[str, Tensor]()
    for steps in replay_all(run, total):
        subtract_passed_back(direct, steps)
        for name, each in gate_values(steps.inner).items():
            value = each.value
            whole = gates.setdefault(name, value.new_full((*run.x.shape[:2], value.shape[-1]), torch.nan))
            whole[steps.step, steps.sequence] = value
    order = None if run.order is None else run.order.argsort()

    def as_given(part: Tensor, axis: int = 1) -> Tensor:
        return part.detach() if order is None else part.detach().index_select(axis, order)

    def named(parts: Series) -> dict[str, Tensor]:
        return dict(zip(names, map(as_given, parts), strict=True))

    return Trajectory(
        names,
        as_given(run.ends + 1, 0),
        {name: as_given(part[0], 0) for name, part in zip(names, replay.before, strict=True)},
        named(replay.after),
        {name: as_given(value) for name, value in gates.items()},
        named(direct),
        named(total),
    )
