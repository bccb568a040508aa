"""Jacobians: what a small change of the state becomes, some steps later."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from rnnvanish.backward.coordinates import Coordinates
from rnnvanish.backward.episodes import Episodes
from rnnvanish.backward.jacobian_product import JacobianProduct
from rnnvanish.backward.replay import Replay
from rnnvanish.numerics.lanczos import largest_singular_values
from rnnvanish.observe.checks import require_unaltered
from rnnvanish.observe.watch import Cells, Run, watch

Matrices = Float[Tensor, "sequences state state"]
#: Largest state of which matrices are written down; beyond, nothing but products with vectors are taken.
DENSE = 256


def jacobian(
    model: nn.Module, inputs: Any, lag: int, layer: str | None = None, count: int | None = None, cells: Cells = ()
) -> Float[Tensor, "sequences values"]:
    """Measure the singular values of ds_T / ds_(T-lag), descending, for the whole state of one layer.

    The largest is the worst case: no direction of the state is magnified more. The root of their mean square is the
    typical case, the Frobenius norm over the root of the state's size; `cases` measures both at many lags. A complex
    number of the state is two real ones, Re and Im: where a step is linear in complex numbers, each value comes twice.

    Args:
        model: Any module with recurrent layers.
        inputs: What it takes; a tuple for several.
        lag: Steps back from each sequence's own last step T.
        layer: Which layer, such as "LSTM/layer0/forward"; needed where there are several.
        count: How many, the largest ones; None for all, of states up to 256 numbers. Of larger ones they are found
            without writing the matrix down.
        cells: Modules that are one step of a loop which the model itself writes.

    Returns:
        Singular values in double precision, a row for each sequence.

    Raises:
        ValueError: For a lag that a sequence is too short for, a count that the state has not, or a layer that is not
            there.

    Examples:
        >>> layer = nn.RNN(2, 3, nonlinearity="relu")
        >>> _ = nn.init.zeros_(layer.weight_hh_l0)
        >>> jacobian(layer, torch.zeros(5, 1, 2), lag=1)
        tensor([[0., 0., 0.]], dtype=torch.float64)
    """

    def measure(output: Any, runs: list[Run]) -> Tensor:
        run = pick_run(runs, layer)
        require_unaltered(run)
        require_lags(run, [lag])
        size = state_size(run)
        require_count(run, count)
        if size <= DENSE:
            replay, product = Replay(run), torch.eye(size, dtype=torch.float64).expand(len(run.ends), -1, -1)
            for back in range(lag):
                product = product @ step_jacobians(replay, run.ends - back).cpu()
            values: Tensor = torch.linalg.svdvals(product)[:, :count]
            return values
        linear_map = JacobianProduct(run, lag)
        scaled = largest_singular_values(linear_map.jvp, linear_map.vjp, linear_map.drawn_vectors(), count or 1)
        return (scaled.log() + linear_map.log_scale[:, None]).exp().double().cpu()

    return watch(model, inputs, measure, cells=cells)


def pick_run(runs: list[Run], layer: str | None) -> Run:
    """Find a layer's loop by name; the only one needs none. Of sequences that begin anew on the way, the latest episode."""
    named = {run.name: run for run in runs}
    if layer is None and len(named) == 1:
        return Episodes.of(runs[0], latest=True).as_run()
    if layer not in named:
        raise ValueError(f"Which layer is needed, of {', '.join(named)}; got layer={layer!r}.")
    return Episodes.of(named[layer], latest=True).as_run()


def state_size(run: Run) -> int:
    """Numbers of the whole state of one sequence, its helpers aside; a complex one counts as two."""
    return sum(Coordinates.of(run).sizes)


def require_lags(run: Run, lags: list[int]) -> None:
    """Refuse lags that a sequence of `run` is too short for."""
    shortest = int(run.ends.min()) + 1
    for lag in lags:
        if not 0 <= lag < shortest:
            raise ValueError(
                f"The shortest sequence has {shortest} steps: needs a lag of 0 to {shortest - 1}, got {lag}."
            )


def require_count(run: Run, count: int | None) -> None:
    """Refuse a count that the state of `run` has not, and all of a large state."""
    size = state_size(run)
    if count is not None and not 1 <= count <= size:
        raise ValueError(f"The state has {size} numbers: needs a count of 1 to {size}, got {count}.")
    if count is None and size > DENSE:
        raise ValueError(f"The state of {run.name} has {size} numbers: say how many are needed, such as count=5.")


def step_jacobians(replay: Replay, at: Tensor) -> Matrices:
    """Measure ds_t / ds_(t-1) of the whole state, in double precision, at a step t of each sequence's own choice."""
    sizes = [part.shape[-1] for part in replay.before]
    batch, size = len(at), sum(sizes)
    rows = torch.arange(batch, device=at.device).repeat_interleave(size)
    steps = replay.steps_at(at[rows], rows)
    each = torch.eye(size, dtype=steps.after[0].dtype, device=at.device).repeat(batch, 1)
    back = steps.vjp(tuple(each.split(sizes, dim=-1)), steps.before)
    return torch.cat(back, dim=-1).view(batch, size, size).detach().double()
