"""Worst and typical case: how much of a small change of the state, in any direction, is left some steps later."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from rnnvanish.backward.jacobian_product import JacobianProduct
from rnnvanish.backward.replay import Replay
from rnnvanish.measure import Measure, Row
from rnnvanish.numerics.lanczos import largest_singular_values
from rnnvanish.observe.checks import require_unaltered
from rnnvanish.observe.watch import Cells, Run, watch
from rnnvanish.probes.jacobian import DENSE, pick_run, require_lags, state_size, step_jacobians

#: Directions that are drawn to estimate the typical case of a large state.
DRAWN_DIRECTIONS = 32


@dataclass(frozen=True, eq=False)
class Cases:
    """Size of ds_T / ds_(T-lag) for the whole state of one loop, a row for each lag, a column for each sequence.

    Attributes:
        lag: Steps back from each sequence's own last step T.
        log_worst: ln of the largest singular value: no gradient is left larger.
        log_typical: ln of the Frobenius norm over √n: the root mean square over all directions of the gradient at T.
        error: Relative standard error of the typical case; 0 where it was computed and not estimated.
    """

    lag: Int[Tensor, " lags"]
    log_worst: Float[Tensor, "lags sequences"]
    log_typical: Float[Tensor, "lags sequences"]
    error: Float[Tensor, "lags sequences"]

    @property
    def worst(self) -> Float[Tensor, " lags"]:
        """The worst case, geometric mean over the sequences."""
        return self.log_worst.mean(1).exp()

    @property
    def typical(self) -> Float[Tensor, " lags"]:
        """The typical case, geometric mean over the sequences."""
        return self.log_typical.mean(1).exp()


def cases(
    model: nn.Module, inputs: Any, lags: Sequence[int] | None = None, layer: str | None = None, cells: Cells = ()
) -> Cases:
    """Measure worst and typical case of one layer at several lags.

    Of states up to 256 numbers exactly, by singular values. Of larger ones no matrix is written down: the worst case
    by Lanczos' method, the typical case from 32 drawn directions (Hutchinson's estimate), with its error. A complex
    number of the state is two real ones.

    Args:
        model: Any module with recurrent layers.
        inputs: What it takes; a tuple for several.
        lags: Steps back from each sequence's own last step; 1, 2, 4, 8, ... up to the shortest sequence if None.
        layer: Which layer, such as "LSTM/layer0/forward"; needed where there are several.
        cells: Modules that are one step of a loop which the model itself writes.

    Raises:
        ValueError: For a lag that a sequence is too short for, or a layer that is not there.
    """

    def measure(output: Any, runs: list[Run]) -> Cases:
        return cases_of(pick_run(runs, layer), lags)

    return watch(model, inputs, measure, cells=cells)


def cases_of(run: Run, lags: Sequence[int] | None = None) -> Cases:
    """Measure one loop."""
    require_unaltered(run)
    last = int(run.ends.min())
    wanted = sorted(set(lags)) if lags is not None else [2**k for k in range(last.bit_length())] or [0]
    require_lags(run, wanted)
    return (_by_matrices if state_size(run) <= DENSE else _by_products)(run, wanted)


def _by_matrices(run: Run, lags: list[int]) -> Cases:
    replay, batch, size = Replay(run), len(run.ends), state_size(run)
    product = torch.eye(size, dtype=torch.float64).expand(batch, -1, -1)
    log_scale, rows = torch.zeros(batch, dtype=torch.float64), []
    for lag in range(lags[-1] + 1):
        if lag > 0:
            product = product @ step_jacobians(replay, run.ends - lag + 1).cpu()
            largest_entry = product.abs().amax((1, 2))
            scale = torch.where(largest_entry > 0, largest_entry, 1.0)
            product, log_scale = product / scale[:, None, None], log_scale + scale.log()
        if lag in lags:
            values = torch.linalg.svdvals(product)
            rows.append((values[:, 0].log() + log_scale, values.square().mean(1).sqrt().log() + log_scale))
    worst, typical = (torch.stack(column) for column in zip(*rows, strict=True))
    return Cases(torch.tensor(lags), worst, typical, torch.zeros_like(worst))


def _by_products(run: Run, lags: list[int]) -> Cases:
    rows = []
    for lag in lags:
        linear_map = JacobianProduct(run, lag)
        rows.append(
            largest_singular_values(linear_map.jvp, linear_map.vjp, linear_map.drawn_vectors())[:, 0].log()
            + linear_map.log_scale
        )
    typical, error = _typical_by_drawing(run, lags)
    return Cases(torch.tensor(lags), torch.stack(rows).double().cpu(), typical, error)


def _typical_by_drawing(
    run: Run, lags: list[int]
) -> tuple[Float[Tensor, "lags sequences"], Float[Tensor, "lags sequences"]]:
    """Take drawn gradients of the last state back: the mean of their squared norms is ‖J‖² / n."""
    replay, batch = Replay(run), len(run.ends)
    sizes = [part.shape[-1] for part in replay.before]
    rows = torch.arange(batch, device=run.ends.device).repeat_interleave(DRAWN_DIRECTIONS)
    signs = torch.randint(2, (batch * DRAWN_DIRECTIONS, sum(sizes)), generator=torch.Generator().manual_seed(0))
    vectors = (2.0 * signs - 1).to(replay.before[0]) / sum(sizes) ** 0.5
    log_size = torch.zeros(batch * DRAWN_DIRECTIONS, dtype=torch.float64)
    found = []
    for lag in range(lags[-1] + 1):
        if lag > 0:
            steps = replay.steps_at(run.ends[rows] - lag + 1, rows)
            vectors = torch.cat(steps.vjp(tuple(vectors.split(sizes, dim=-1)), steps.before), dim=-1)
            size = torch.linalg.vector_norm(vectors, dim=-1)
            vectors = vectors / torch.where(size > 0, size, 1.0)[:, None]
            log_size = log_size + size.double().cpu().log()
        if lag in lags:
            found.append(log_size.view(batch, DRAWN_DIRECTIONS))
    logs = torch.stack(found)
    top = logs.amax(-1, keepdim=True)
    squares = (2 * (logs - torch.where(top.isfinite(), top, 0.0))).exp()
    mean = squares.mean(-1)
    spread = squares.std(-1) / DRAWN_DIRECTIONS**0.5 / mean
    return mean.log() / 2 + top.squeeze(-1), spread / 2  # of a root, half the relative error


def _rows(found: Cases) -> list[Row]:
    worst, typical = float(found.worst[-1]), float(found.typical[-1])
    return [("cases", f"at lag {int(found.lag[-1])} the worst is {worst:.2g}, the typical {typical:.2g}")]


CASES = Measure(
    name="cases",
    about=__doc__,
    result=Cases,
    units={"lag": "steps", "log_worst": "nats", "log_typical": "nats", "error": "ratio"},
    of_loop=lambda run, gradients: cases_of(run),
    rest_rows=_rows,
    only_full=True,
)
