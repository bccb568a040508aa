"""Lyapunov exponents: how fast neighbouring states part, in nats per step."""

import math
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from rnnvanish.backward.replay import Replay
from rnnvanish.measure import Measure, Row
from rnnvanish.observe.checks import require_unaltered
from rnnvanish.observe.watch import Cells, Run, watch
from rnnvanish.probes.jacobian import DENSE, pick_run, require_count, state_size, step_jacobians

#: Blocks of time whose means give the interval, and the 97.5 % point of Student's t for one degree less.
BLOCKS, STUDENT = 10, 2.2622
#: How many exponents a full report has: the leading ones, of states that are larger.
LEADING = 3


@dataclass(frozen=True, eq=False)
class Spectrum:
    """Lyapunov exponents of the whole state of one loop, in nats per step, a row for each sequence, descending.

    Attributes:
        exponents: Mean stretch per step.
        error: Half the width of the 95 % interval: how far the mean over longer time may lie from this one. From the
            means over ten blocks of time; infinite where a sequence has fewer than twenty steps.
        steps: Steps that the mean is taken over.
    """

    exponents: Float[Tensor, "sequences exponents"]
    error: Float[Tensor, "sequences exponents"]
    steps: tuple[int, ...]


def lyapunov(
    model: nn.Module, inputs: Any, count: int | None = None, layer: str | None = None
) -> Float[Tensor, "sequences exponents"]:
    """Measure the Lyapunov exponents of the whole state of one layer, descending, in nats per step.

    Those of `spectrum`, which also says how sure they are. Negative exponents: differences die, and so does the
    gradient. A positive one: both explode. A complex number of the state is two real ones, Re and Im: where a step is
    linear in complex numbers, each exponent comes twice.

    Args:
        model: Any module with recurrent layers.
        inputs: What it takes; a tuple for several.
        count: How many, the leading ones; None for all, of states up to 256 numbers.
        layer: Which layer, such as "LSTM/layer0/forward"; needed where there are several.

    Returns:
        Exponents in double precision, a row for each sequence; -inf in a direction that nothing passes.

    Raises:
        ValueError: For a count that the state has not, or a layer that is not there.
    """
    return spectrum(model, inputs, count, layer).exponents


def spectrum(
    model: nn.Module,
    inputs: Any,
    count: int | None = None,
    layer: str | None = None,
    warm_up: int = 0,
    cells: Cells = (),
) -> Spectrum:
    """Measure the leading Lyapunov exponents of the whole state of one layer, and how sure they are.

    By QR of the tangent map forward in time (Benettin et al. 1980, https://doi.org/10.1007/BF02128236), over each
    sequence from its first step to its own last. Of states of more than 256 numbers no matrix of that size is made.

    Args:
        model: Any module with recurrent layers.
        inputs: What it takes; a tuple for several.
        count: How many, the leading ones; None for all, of states up to 256 numbers.
        layer: Which layer, such as "LSTM/layer0/forward"; needed where there are several.
        warm_up: First steps that turn the directions into place and are not counted.
        cells: Modules that are one step of a loop which the model itself writes.

    Raises:
        ValueError: For a count that the state has not, a layer that is not there, or a warm-up that leaves no step.
    """

    def measure(output: Any, runs: list[Run]) -> Spectrum:
        return spectrum_of(pick_run(runs, layer), count, warm_up)

    return watch(model, inputs, measure, cells=cells)


def spectrum_of(run: Run, count: int | None, warm_up: int = 0) -> Spectrum:
    """Measure one loop."""
    require_unaltered(run)
    require_count(run, count)
    shortest = int(run.ends.min()) + 1
    if not 0 <= warm_up < shortest:
        raise ValueError(
            f"The shortest sequence has {shortest} steps: needs a warm-up of 0 to {shortest - 1}, got {warm_up}."
        )
    return _spectrum_of_stretches(_stretches(run, count), run.ends.cpu() + 1, warm_up)


def drawn_basis(size: int, count: int) -> Float[Tensor, "state directions"]:
    """Draw orthogonal directions to begin with: special ones (unit vectors) can lie where the map never leaves.

    One after the other: the first are the same, however many are asked for.
    """
    generator = torch.Generator().manual_seed(0)
    drawn = [torch.randn(size, dtype=torch.float64, generator=generator) for _ in range(count)]
    basis: Tensor = torch.linalg.qr(torch.stack(drawn, dim=-1)).Q
    return basis


def _stretches(run: Run, count: int | None) -> Float[Tensor, "time sequences exponents"]:
    """ln of what each step does to the size of each direction, all directions kept apart by QR; nan in the padding."""
    replay, size, batch = Replay(run), state_size(run), run.x.shape[1]
    basis = drawn_basis(size, count or size).expand(batch, -1, -1)
    found = []
    for t in range(int(run.ends.max()) + 1):
        going = (t <= run.ends).cpu()
        q, r = torch.linalg.qr(_push_basis(replay, torch.where(t <= run.ends, t, 0), basis))
        stretch = r.diagonal(dim1=-2, dim2=-1).abs().log()
        found.append(torch.where(going[:, None], stretch, torch.nan))
        basis = torch.where(going[:, None, None], q, basis)
    return torch.stack(found)


def _push_basis(
    replay: Replay, at: Tensor, basis: Float[Tensor, "sequences state directions"]
) -> Float[Tensor, "sequences state directions"]:
    """Take a basis of changes of the state through one step."""
    batch, size, count = basis.shape
    if size <= DENSE:
        return step_jacobians(replay, at).cpu() @ basis
    rows = torch.arange(batch, device=at.device).repeat_interleave(count)
    steps = replay.steps_at(at[rows], rows)
    flat = basis.mT.reshape(batch * count, size).to(steps.after[0])
    onward = torch.cat(steps.jvp()(tuple(flat.split([part.shape[-1] for part in replay.before], dim=-1))), dim=-1)
    return onward.double().cpu().view(batch, count, size).mT


def _spectrum_of_stretches(
    stretches: Float[Tensor, "time sequences exponents"], lengths: Tensor, warm_up: int
) -> Spectrum:
    counted = [stretches[warm_up : int(length), row] for row, length in enumerate(lengths)]
    means = torch.stack([each.mean(0) for each in counted])
    order = means.argsort(descending=True)
    errors = torch.stack([_standard_error(each) for each in counted])
    return Spectrum(means.gather(1, order), errors.gather(1, order), tuple(len(each) for each in counted))


def _standard_error(stretch: Float[Tensor, "time exponents"]) -> Float[Tensor, " exponents"]:
    """From the means over blocks: steps that follow each other are alike, blocks hardly."""
    if len(stretch) < 2 * BLOCKS:
        return torch.full_like(stretch[0], math.inf)
    blocks = torch.stack([block.mean(0) for block in stretch.tensor_split(BLOCKS)])
    error: Tensor = STUDENT * blocks.std(0) / BLOCKS**0.5
    return error


def _rows(found: Spectrum) -> list[Row]:
    pairs = zip(found.exponents.mean(0).tolist(), found.error.amax(0).tolist(), strict=True)
    told = ", ".join(f"{mean:.2g} ± {error:.1g}" if math.isfinite(error) else f"{mean:.2g}" for mean, error in pairs)
    return [("exponents", f"{told} nats per step (Lyapunov, the leading ones)")]


SPECTRUM = Measure(
    name="spectrum",
    about=__doc__,
    result=Spectrum,
    units={"exponents": "nats per step", "error": "nats per step", "steps": "steps"},
    of_loop=lambda run, gradients: spectrum_of(run, min(LEADING, state_size(run))),
    rest_rows=_rows,
    only_full=True,
)
