"""assert_retention: a line in other people's tests."""

import math
from typing import Any

from torch import nn

from rnnvanish.backward.loss import Loss
from rnnvanish.live import Cells
from rnnvanish.numerals import decay_in_words
from rnnvanish.probes.retention import retention


def assert_retention(
    model: nn.Module,
    inputs: Any,
    lag: int = 100,
    at_least: float = 1e-3,
    loss: Loss = None,
    layer: str | None = None,
    cells: Cells = (),
) -> None:
    """Check that the gradient reaches `lag` steps back, in every recurrent layer that the loss reads the end of.

    A plain AssertionError, so it works in any test runner. `model` is left as it was.

    Args:
        model: Any module with recurrent layers.
        inputs: What it takes; a tuple for several.
        lag: Steps back in time.
        at_least: Share of the gradient that must be left at `lag` and at every step before it.
        loss: What the gradient starts from, as for `diagnose`.
        layer: The only layer to check, such as "lstm/layer0/forward"; by default all.
        cells: Modules that are one step of a loop which the model itself writes.

    Raises:
        AssertionError: Where less is left: names each layer, what is left and how far it reaches.
        ValueError: For a lag that no sequence is long enough for, a share that is none, or an unknown layer; and what
            `probes.retention` raises.

    Examples:
        >>> import torch
        >>> assert_retention(nn.GRU(1, 8), torch.zeros(50, 2, 1), lag=40)
        Traceback (most recent call last):
        AssertionError: Too little of the gradient reaches 40 steps back (at least 0.001 was asked for):
          GRU/layer0/forward: ... is left; a thousandth reaches ... steps back, half-life ... arrives after 49 steps
        `rnnvanish.diagnose(model, inputs)` says why, and what helps.
    """
    if lag < 1 or not at_least > 0:
        raise ValueError(f"assert_retention needs lag >= 1 and at_least > 0, got lag={lag}, at_least={at_least}.")
    curves = retention(model, inputs, loss, cells)
    if layer is not None and layer not in curves:
        raise ValueError(f"There is no layer {layer!r}. There are: {', '.join(curves)}.")
    checked = {
        name: curve
        for name, curve in curves.items()
        if layer in (None, name) and (layer is not None or curve.is_measured)
    }
    longest = max((len(curve.gain) for curve in checked.values() if curve.is_measured), default=0)
    if longest <= lag:
        raise ValueError(
            f"A lag of {lag} needs sequences of {lag + 1} steps or more, read at their end; the longest here has "
            f"{longest}. Give longer inputs, or a smaller lag."
        )
    short = []
    for name, curve in checked.items():
        gain = curve.gain[: lag + 1]
        if len(gain) == lag + 1 and not bool((gain >= at_least).all()):
            least = float(gain.min()) if not gain.isnan().any() else math.nan
            left = "less than the number format can hold" if math.isnan(least) else f"{least:.2g}"
            short.append(
                f"  {name}: {left} is left; a thousandth reaches {curve.reach} steps back, "
                f"half-life {decay_in_words(curve.half_life, float(curve.gain[-1]))} after {len(curve.gain) - 1} steps"
            )
    if short:
        raise AssertionError(
            f"Too little of the gradient reaches {lag} steps back (at least {at_least:g} was asked for):\n"
            + "\n".join(short)
            + "\n`rnnvanish.diagnose(model, inputs)` says why, and what helps."
        )
