"""Jacobians: what a small change of the state becomes, some steps later."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from rnnvanish.probes.watch import Run, watch

Matrices = Float[Tensor, "sequences state state"]


def jacobian(model: nn.Module, inputs: Any, lag: int, layer: str | None = None) -> Float[Tensor, "sequences state"]:
    """Measure the singular values of ds_T / ds_(T-lag), descending, for the whole state of one layer.

    The largest is the worst case: no direction of the state is magnified more. The root of their mean square is the
    typical case, the Frobenius norm over the root of the state's size.

    Args:
        model: Any module with recurrent layers.
        inputs: What it takes; a tuple for several.
        lag: Steps back from each sequence's own last step T.
        layer: Which layer, such as "LSTM/layer0/forward"; needed where there are several.

    Returns:
        Singular values in double precision, a row for each sequence.

    Raises:
        ValueError: For a lag that a sequence is too short for, or a layer that is not there.

    Examples:
        >>> layer = nn.RNN(2, 3, nonlinearity="relu")
        >>> _ = nn.init.zeros_(layer.weight_hh_l0)
        >>> jacobian(layer, torch.zeros(5, 1, 2), lag=1)
        tensor([[0., 0., 0.]], dtype=torch.float64)
    """

    def measure(output: Any, runs: list[Run]) -> Tensor:
        run = pick(runs, layer)
        shortest = int(run.ends.min()) + 1
        if not 0 <= lag < shortest:
            raise ValueError(
                f"The shortest sequence has {shortest} steps: needs a lag of 0 to {shortest - 1}, got {lag}."
            )
        batch = run.x.shape[1]
        state_size = sum(part.shape[-1] for part in run.initial)
        product = torch.eye(state_size, dtype=torch.float64).expand(batch, -1, -1)
        for back in range(lag):
            product = product @ step_jacobians(run, run.ends - back).cpu()
        values: Tensor = torch.linalg.svdvals(product)
        return values

    return watch(model, inputs, measure)


def pick(runs: list[Run], layer: str | None) -> Run:
    """Find a layer's loop by name; the only one needs none."""
    named = {run.name: run for run in runs}
    if layer is None and len(named) == 1:
        return runs[0]
    if layer not in named:
        raise ValueError(f"Which layer is needed, of {', '.join(named)}; got layer={layer!r}.")
    return named[layer]


def step_jacobians(run: Run, at: Tensor) -> Matrices:
    """Measure ds_t / ds_(t-1) of the whole state, in double precision, at a step t of each sequence's own choice."""
    rows = torch.arange(len(at), device=at.device)
    sizes = [part.shape[-1] for part in run.initial]
    before = [torch.stack([first, *rest])[at, rows] for first, *rest in zip(run.initial, *run.states, strict=True)]

    def step(state: Tensor, x: Tensor) -> Tensor:
        parts = tuple(part.unsqueeze(0) for part in state.split(sizes))
        after: Tensor = torch.cat(run.step(x.unsqueeze(0), parts), dim=-1)
        return after[0]

    states, inputs = torch.cat(before, dim=-1).detach(), run.x[at, rows].detach()
    derivative: Tensor = torch.func.vmap(torch.func.jacrev(step))(states, inputs)
    return derivative.detach().double()
