"""Recurrent weights that shrink every direction of the state: no gradient can come through, whatever the input.

The state is multiplied by the same weights at every step. If these make everything smaller, what is left after twenty
steps is smaller twenty times over. No input changes that. Weights that only turn and shrink have a **too small
orthogonal gain**, all others are **too small recurrent weights**.

    torch.manual_seed(0)
    x, model = torch.randn(4, 20, 3), nn.RNN(3, 16, batch_first=True)
    nn.init.orthogonal_(model.weight_hh_l0, gain=0.5)
    print(*diagnose(model, x, quick=True).findings)

With a gain of 1 the weights turn the state, and make it neither larger nor smaller:

    nn.init.orthogonal_(model.weight_hh_l0, gain=1.0)
    print(diagnose(model, x, quick=True).findings)
"""

from typing import cast

import torch
from torch import Tensor, nn

from rnnvanish.cell import Cell
from rnnvanish.diagnosis.fault import ARRIVING, Symptom, arriving, module_of
from rnnvanish.diagnosis.faults.equal_units import has_one_number
from rnnvanish.mitigation import innermost
from rnnvanish.mitigations import OrthogonalStart
from rnnvanish.observe.record import Series
from rnnvanish.observe.watch import Run
from rnnvanish.probes.curve import THOUSAND

#: Weights whose largest singular value is below this are said to shrink every direction. Those that torch draws have 1.15.
SHRINKS = 0.9
#: Singular values that differ by less than this part are those of an orthogonal matrix times a gain.
EQUAL = 0.01


def shrinking_weights(run: Run, total: Series) -> Symptom | None:
    """See whether the largest singular value of a plain recurrent network's U is below 1: tanh and relu add no gain.

    Of weights that are all one number, zero say, more is wrong: these have a fault of their own (`equal_units`).
    """
    cell = innermost(run.cell)
    if not isinstance(cell, Cell) or not cell.plain or len(run.states) < 2 or has_one_number(run):
        return None
    values = torch.linalg.svdvals(cast(Tensor, cell.get_submodule("from_h").weight).detach().double())
    most, least = float(values[0]), float(values[-1])
    left = arriving(run, total)
    if most >= SHRINKS or left > 1 / THOUSAND:
        return None
    orthogonal = most > 0 and least > (1 - EQUAL) * most
    kind = f"are orthogonal with a gain of {most:.2g}" if orthogonal else f"have no singular value above {most:.2g}"
    return Symptom(
        "too small orthogonal gain" if orthogonal else "too small recurrent weights",
        module_of(run),
        f"The recurrent weights {kind}: after k steps at most {most:.2g} to the power of k of any gradient is left.",
        "Draw them with a gain of 1 before you train: mitigations.OrthogonalStart(gain=1.0)(model).",
        ARRIVING,
        left,
        arriving,
        _orthogonal,
    )


def _orthogonal(module: nn.Module) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return OrthogonalStart()(module)
