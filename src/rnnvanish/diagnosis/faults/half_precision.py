"""Half precision that rounds a gradient to zero which is there in double precision.

Half precision saves memory, but its smallest number is not very small. A gradient shrinks on its way back. Soon it is
below that number, and is rounded to zero. Full precision would have had it.

    torch.manual_seed(0)
    x, model = torch.randn(20, 4, 3).half(), nn.LSTM(3, 16).half()
    model.bias_ih_l0.data[16:32] = 4.0  # gates that keep

    def loss(result):
        return 1e-5 * result[0][-1].float().square().mean()

    print(*diagnose(model, x, loss, quick=True).findings)

The other half format, bfloat16, reaches as far down as full precision:

    print(diagnose(model.bfloat16(), x.bfloat16(), loss, quick=True).findings)
"""

from functools import partial

import torch
from torch import Tensor, nn

from rnnvanish.compat.pytree import tree_map
from rnnvanish.diagnosis.fault import Symptom
from rnnvanish.numerics.norms import align_ends
from rnnvanish.observe.record import Series
from rnnvanish.observe.watch import Run
from rnnvanish.plots import one_in
from rnnvanish.probes.curve import THOUSAND
from rnnvanish.probes.resolution import resolution_of

#: Formats of half the width.
HALF = (torch.float16, torch.bfloat16)


def half_precision(run: Run, total: Series) -> Symptom | None:
    """See whether the weights' own format loses most numbers of a gradient of which a thousandth or more arrives."""
    if run.weight_dtype not in HALF or not run.in_double:
        return None
    known = resolution_of(run, total)
    norms = align_ends(torch.linalg.vector_norm(torch.cat(total, dim=-1), dim=-1), run.ends)[
        : len(known.lost[known.own])
    ]
    gain = norms.nan_to_num().square().mean(1).sqrt()
    arrives = gain / gain[0]
    lost = (known.lost[known.own] >= 0.5) & (arrives >= 1 / THOUSAND)
    if not lost.any():
        return None
    first = int(lost.nonzero()[0])
    return Symptom(
        "lost in half precision",
        "",
        f"{known.own} rounds {100 * float(known.lost[known.own][first]):.0f} % of the gradient's numbers to zero at lag "
        f"{first}, where {one_in(float(arrives[first]))} of it arrives in double precision: they are too small for this format.",
        "Keep the weights in float32 and compute with torch.autocast, and have torch.amp.GradScaler scale the loss; or use "
        "bfloat16, whose smallest numbers are those of float32.",
        f"of the gradient's numbers, what is rounded to zero at lag {first}",
        float(known.lost[known.own][first]),
        partial(_lost_at, lag=first),
        to_bfloat16,
        exact=True,
    )


def _lost_at(run: Run, total: Series, lag: int) -> float:
    known = resolution_of(run, total)
    return float(known.lost[known.own][lag])


def to_bfloat16(model: nn.Module) -> None:
    """Have the whole of a model compute in bfloat16."""
    model.bfloat16()

    def hook(module: nn.Module, args: object, kwargs: object) -> object:
        return tree_map(
            lambda x: x.bfloat16() if isinstance(x, Tensor) and x.is_floating_point() else x, (args, kwargs)
        )

    model.register_forward_pre_hook(hook, with_kwargs=True)  # type: ignore[arg-type]
