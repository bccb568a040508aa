"""Lyapunov exponents: how fast neighbouring states part, in nats per step."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from rnnvanish.probes.jacobian import pick, step_jacobians
from rnnvanish.probes.watch import Run, watch


def lyapunov(
    model: nn.Module, inputs: Any, count: int | None = None, layer: str | None = None
) -> Float[Tensor, "sequences exponents"]:
    """Measure the Lyapunov exponents of the whole state of one layer, descending, in nats per step.

    By QR of the tangent map forward in time (Benettin et al. 1980), over each sequence from its first step to its
    own last. Negative exponents: differences die, and so does the gradient. A positive one: both explode.

    Args:
        model: Any module with recurrent layers.
        inputs: What it takes; a tuple for several.
        count: How many, the leading ones; None for all.
        layer: Which layer, such as "LSTM/layer0/forward"; needed where there are several.

    Returns:
        Exponents in double precision, a row for each sequence; -inf in a direction that nothing passes.

    Raises:
        ValueError: For a count that the state has not, or a layer that is not there.
    """

    def measure(output: Any, runs: list[Run]) -> Tensor:
        run = pick(runs, layer)
        size = sum(part.shape[-1] for part in run.initial)
        if count is not None and not 1 <= count <= size:
            raise ValueError(f"The state has {size} numbers: needs a count of 1 to {size}, got {count}.")
        time, batch = run.x.shape[:2]
        # A drawn basis: a special one (the unit vectors) can lie in a subspace that the map never leaves.
        drawn = torch.randn(size, size, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
        basis = torch.linalg.qr(drawn).Q[:, :count].expand(batch, -1, -1)
        total = torch.zeros(batch, basis.shape[-1], dtype=torch.float64)
        for t in range(time):
            going = t <= run.ends
            jacobians = step_jacobians(run, torch.where(going, t, 0)).cpu()
            q, r = torch.linalg.qr(jacobians @ basis)
            stretch = r.diagonal(dim1=-2, dim2=-1).abs().log()
            total = torch.where(going.cpu()[:, None], total + stretch, total)
            basis = torch.where(going.cpu()[:, None, None], q, basis)
        return (total / (run.ends.cpu() + 1)[:, None]).sort(descending=True).values

    return watch(model, inputs, measure)
