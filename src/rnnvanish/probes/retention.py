"""Retention: how much of the gradient is left, step by step back in time, in a user's unchanged model."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from rnnvanish.probes.curve import Curve
from rnnvanish.probes.endpoint import read_end
from rnnvanish.probes.watch import Cells, Run, watch

#: Norms of the gradient at each lag, sequence by sequence; nan beyond a sequence's beginning.
Norms = Float[Tensor, "lags sequences"]


def retention(
    model: nn.Module,
    inputs: Any,
    loss: Callable[..., Tensor] | None = None,
    cells: Cells = (),
    batches: int = 8,
    segment: int | None = None,
    explain: Callable[[Run, Curve], str] | None = None,
) -> dict[str, Curve]:
    """Measure how much of the gradient reaches back in time, in each recurrent layer and direction of `model`.

    The gradient is the total derivative with respect to the whole state (for an LSTM h and c), through every later
    step, from a loss that reads the end of the sequence. The run that is measured is compared with the ordinary one,
    and `model` is left as it was. Where single precision cannot hold the numbers, they are measured in double.

    Args:
        model: Any module that holds `torch.nn.RNN`, `LSTM`, `GRU` or `Recurrent` layers.
        inputs: What `model` takes: a tensor, a `PackedSequence`, or a tuple for several arguments.
        loss: What the gradient starts from: takes what `model` returns, gives a scalar. It should read one end point
            alone: a loss of every step mixes what travelled with what came in along the way. By default, of a bare
            recurrent module the final states of its top layer, summed; of another what it returns, summed, and of a
            sequence that it returns the last valid step.
        cells: Modules that are one step of a loop which the model itself writes: classes, instances, or names of
            modules. `torch.nn.RNNCell`, `LSTMCell` and `GRUCell` are found without being named.
        batches: How many batches of a DataLoader are measured.
        segment: Steps of a loop that are kept in memory at once; what lies between is computed again.
        explain: Says of each loop, while it is in sight, why its curve is as it is: the `cause` of the curve.

    Returns:
        A curve for each layer and direction, named like "encoder.lstm/layer0/forward".

    Raises:
        ValueError: Where there is nothing to measure: no recurrent layer, or a loss that does not depend on it.
        RuntimeError: Where the watched run is not the run that the model would have had.

    Examples:
        >>> curves = retention(nn.LSTM(1, 32), torch.zeros(50, 4, 1))
        >>> curves["LSTM/layer0/forward"].verdict
        'vanishing'
    """
    with torch.enable_grad():
        return watch(model, inputs, lambda output, runs: _curves(model, output, runs, loss, explain), _resolved, cells)


def _resolved(curves: dict[str, Curve]) -> bool:
    """Whether every gain could be told from zero in the precision of this run."""
    return not any(part.isnan().any() for curve in curves.values() for part in (curve.gain, *curve.parts.values()))


def _curves(
    model: nn.Module,
    output: Any,
    runs: list[Run],
    loss: Callable[[Any], Tensor] | None,
    explain: Callable[[Run, Curve], str] | None,
) -> dict[str, Curve]:
    value = read_end(model, output, runs) if loss is None else loss(output)
    if not isinstance(value, Tensor) or value.numel() != 1:
        raise ValueError(f"The loss must be a tensor of one number, got {getattr(value, 'shape', value)}.")
    states = [part for run in runs for state in run.states for part in state]
    in_graph = [state for state in states if state.requires_grad]  # others ran under no_grad
    found = torch.autograd.grad(value, in_graph, allow_unused=True) if value.requires_grad and in_graph else []
    if all(gradient is None for gradient in found):
        raise ValueError(
            f"The loss does not depend on a recurrent layer of {type(model).__name__}: is there a detach() or a "
            "no_grad() on the way?"
        )
    remaining = iter(found)
    gradients = [next(remaining) if state.requires_grad else None for state in states]
    norms = iter(
        torch.zeros(len(state), dtype=torch.float64, device=state.device)
        if gradient is None
        else _norm(gradient.double(), dim=-1)
        for gradient, state in zip(gradients, states, strict=True)
    )
    curves = {}
    for run in runs:
        steps = [[next(norms) for _ in run.cell.state_names] for _ in run.states]
        by_part = [from_the_end(torch.stack(part), run.ends) for part in zip(*steps, strict=True)]
        gain, *parts = _gains(by_part, run.x.dtype)
        named = dict(zip(run.cell.state_names, parts, strict=True))
        curve = Curve(torch.arange(len(gain)), gain, named)
        curves[run.name] = replace(curve, cause=explain(run, curve)) if explain else curve
    return curves


def from_the_end(steps: Float[Tensor, "time sequences"], ends: Tensor) -> Norms:
    """Count back from each sequence's own last step instead of forward from the common first."""
    step = ends - torch.arange(len(steps), device=steps.device)[:, None]
    return torch.where(step >= 0, steps.gather(0, step.clamp(min=0)), torch.nan).cpu()


def _gains(parts: list[Norms], dtype: torch.dtype) -> list[Float[Tensor, " lags"]]:
    """Gain of the whole state and of each of its parts, all over the norm of the whole at lag 0."""
    whole = _norm(torch.stack(parts), dim=0)
    read = whole[0] > 0  # a sequence whose end the loss does not read has no curve
    resolution = torch.finfo(dtype).tiny / torch.finfo(dtype).eps
    there = ~whole[:, read].isnan()
    return [
        _geometric_mean(_below_is_nan(norms[:, read], resolution) / whole[0, read], there) for norms in (whole, *parts)
    ]


def _norm(x: Tensor, dim: int) -> Tensor:
    """Euclidean norm of numbers whose squares no format holds."""
    scale = x.abs().amax(dim, keepdim=True)
    scaled: Tensor = torch.linalg.vector_norm(x / scale.where(scale > 0, 1.0), dim=dim)
    return scaled * scale.squeeze(dim)


def _below_is_nan(norms: Norms, resolution: float) -> Norms:
    """Mark what the number format cannot hold, but keep an exact zero: one that follows a number it can hold."""
    last = torch.full_like(norms[0], torch.inf)
    marked = []
    for now in norms:
        lost = (now < resolution) & ~((now == 0) & (last >= resolution))
        last = torch.where(now > 0, now, last)
        marked.append(torch.where(lost, torch.nan, now))
    return torch.stack(marked)


def _geometric_mean(gains: Norms, there: Tensor) -> Float[Tensor, " lags"]:
    """Over the sequences that reach back to each lag."""
    logs = torch.where(there, gains.log(), 0.0)
    return (logs.sum(1) / there.sum(1)).exp()
