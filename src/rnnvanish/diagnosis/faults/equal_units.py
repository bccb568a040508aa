"""Units that all do the same: weights that are all equal or zero make one unit of many.

You gave all weights the same first value. Now all units are twins: they see the same, say the same, and learn the same.
A memory of sixteen units is worth one.

    torch.manual_seed(0)
    x, model = torch.randn(4, 20, 3), nn.GRU(3, 16, batch_first=True)
    for weight in model.parameters():
        weight.data[:] = 0.1
    print(*diagnose(model, x, quick=True).findings)

Drawn at random again, as PyTorch does it, each unit is one of its own:

    model.reset_parameters()
    print(diagnose(model, x, quick=True).findings)
"""

import torch
from torch import Tensor, nn

from rnnvanish.backward.coordinates import Coordinates
from rnnvanish.backward.measure_loop import Pass, measure_alone
from rnnvanish.diagnosis.fault import Symptom, module_of
from rnnvanish.observe.record import Series
from rnnvanish.observe.watch import Run

#: Numbers that differ by less than this part of the largest one are equal.
EQUAL = 1e-5


def equal_units(run: Run, total: Series) -> Pass[Symptom | None]:
    """See whether all units of a state are equal at every step, or every weight matrix is made of one number."""
    width = _width(run)
    weights, constant = _matrices(run), has_one_number(run)
    different, some = yield from _different(run)
    if width < 2 or not (constant or (different == 1 and some)):
        return None
    zero = constant and all(not bool(weight.any()) for weight in weights)
    said = "do the same at every step" if different == 1 else "differ by their biases alone"
    made = "are all zero" if zero else "are all equal" if constant else "treat all units alike"
    return Symptom(
        "equal units",
        module_of(run),
        f"The weights {made}: all {width} units {said}. There is no more memory than in one.",
        "Draw the weights at random, as torch does: layer.reset_parameters(), or torch.nn.init.xavier_uniform_ and "
        "torch.nn.init.orthogonal_ of each. Zero is for biases.",
        "units that are not equal to the first, and itself",
        different,
        measure_alone(lambda run, total: _count(run)),
        draw_anew,
        unit=f"of {width}",
    )


def has_one_number(run: Run) -> bool:
    """Whether every weight matrix of a cell is made of one number: no unit differs from another but by its bias."""
    return bool(weights := _matrices(run)) and all(bool((weight == weight.flatten()[0]).all()) for weight in weights)


def _matrices(run: Run) -> list[Tensor]:
    return [weight.detach() for weight in run.cell.parameters() if weight.dim() > 1 and weight.numel() > 1]


def _different(run: Run) -> Pass[tuple[float, bool]]:
    """The first unit, and how many are not equal to it at every step; and whether any is not zero.

    Of a cell that is taken apart it is what its units and gates read, before it is squashed: units that all stand at 1
    may well be different ones.
    """
    width = _width(run)
    others, some = torch.zeros(width, dtype=torch.bool), False
    while (steps := (yield)) is not None:
        for part in steps.inner.sums.values() if steps.inner.complete else steps.after:
            if part.shape[-1] % width == 0 and not others[1:].all():  # else there is nothing left to be seen
                each = part.detach().reshape(-1, width)
                size = each.abs().amax(-1, keepdim=True)
                others |= ((each - each[:, :1]).abs() > EQUAL * size).any(0).cpu()
                some = some or bool(size.any())
    return 1.0 + float(others.sum()), some


def _width(run: Run) -> int:
    coordinates = Coordinates.of(run)
    return max(int(part.shape[-1]) for part in coordinates.memory(run.states[-1]))


def _count(run: Run) -> Pass[float]:
    different, _ = yield from _different(run)
    return different


def draw_anew(module: nn.Module) -> None:
    """Draw the weights of `module` as its class draws them."""
    own = [each for each in module.modules() if callable(getattr(each, "reset_parameters", None))]
    if not own:
        raise ValueError(f"{type(module).__name__} cannot draw its weights anew: it has no reset_parameters.")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        for each in own:
            each.reset_parameters()  # type: ignore[operator]
