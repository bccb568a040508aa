"""What more than one page draws or says: curves of retention, a figure to drag, very small numbers in words."""

import inspect
import math
import textwrap
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from rnnvanish import numerals
from rnnvanish.names import installed
from rnnvanish.numerals import LARGE_NUMBERS, power_of_ten
from rnnvanish.probes import Curve
from rnnvanish.templates import render

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Curves of a chart that have their names beside them, at most.
NAMED = 4
one_in = numerals.one_in  # a part in words, beside what is drawn


def decade(exponent: int) -> str:
    """Put a power of ten of what is left into words, for an axis.

    Examples:
        >>> [decade(exponent) for exponent in (0, -1, -3, -6, -20, 3)]
        ['all', '1 in 10', '1 in a thousand', '1 in a million', '1 in 10²⁰', '1000 ×']
    """
    if exponent >= 0:
        return f"{10**exponent} ×" if 0 < exponent < 5 else f"{power_of_ten(exponent)} ×" if exponent else "all"
    return f"1 in {LARGE_NUMBERS.get(-exponent, str(10**-exponent) if exponent > -3 else power_of_ten(-exponent))}"


def say(text: str) -> None:
    """Show a sentence on a page: Markdown, with numbers that were just measured."""
    from IPython.display import Markdown, display

    display(Markdown(text))


def source(function: Callable[..., Any], title: str) -> None:
    """Show the code of a function on a page, folded under a title: the code itself, not a copy that grows old."""
    code = f"```python\n{inspect.getsource(function)}```"
    say(f'<details class="rv-code" markdown="1">\n<summary>{title}</summary>\n\n{code}\n\n</details>')


def retention(curves: Mapping[str, Curve], ax: "Axes | None" = None) -> "Axes":
    """Draw how much of the gradient is left against the steps back, on an axis that counts in powers of ten.

    Of a few curves each has its name where it ends.
    """
    plt = installed("matplotlib.pyplot", "plot", "A picture")

    few = len(curves) <= NAMED
    rows = 0 if few else math.ceil(len(curves) / 2)  # of a legend that would hide curves: below the axes
    width, height = plt.rcParams["figure.figsize"]
    axes: Axes = ax or plt.subplots(figsize=(width + 1.2 * (few and len(curves) > 1), height + 0.22 * rows))[1]
    for name, curve in curves.items():
        axes.plot(curve.lag, curve.gain, label=name)
    axes.set(xlabel="steps back in time", title="gradient that is left", yscale="log")
    label_decades(axes)
    if rows:
        axes.figure.legend(loc="outside lower center", ncols=2)
    elif len(curves) > 1:
        _name_ends(axes)
    return axes


def _name_ends(axes: "Axes") -> None:
    """Write the name of each line beside its end, in its colour; names that would hide each other are moved apart."""
    across, up = axes.transData, axes.transAxes.inverted()
    ends: list[tuple[float, Any]] = []
    for line in cast(Any, axes.lines):
        seen = [(x, y) for x, y in line.get_xydata() if y > 0 and math.isfinite(y)]
        ends.append((float(up.transform(across.transform(seen[-1]))[1]) if seen else 0.0, line))
    apart, last = 0.09, -math.inf
    for height, line in sorted(ends, key=lambda end: end[0]):
        names = textwrap.wrap(str(line.get_label()), 18)
        middle = max(height, last + apart * (len(names) + 1) / 2)
        last = middle + apart * (len(names) - 1) / 2
        axes.annotate("\n".join(names), (1.02, middle), xycoords="axes fraction", va="center", color=line.get_color())


def success(shares: Mapping[str, Mapping[int, float]], title: str, ax: "Axes | None" = None) -> "Axes":
    """Draw the share of seeds that learn a task against the lag, a line for each network that is compared.

    Lines that would hide each other are drawn a little apart.
    """
    plt = installed("matplotlib.pyplot", "plot", "A picture")

    axes: Axes = ax or plt.subplots()[1]
    styles = ("-", "--", ":", "-.")
    for place, (name, by_lag) in enumerate(shares.items()):
        apart = 0.012 * (place - (len(shares) - 1) / 2)
        heights = [share + apart for share in by_lag.values()]
        axes.plot(list(by_lag), heights, styles[place % 4], marker="o", markersize=4, label=name)
    axes.set(xlabel="steps to remember", ylabel="seeds that learn it", title=title, xscale="log", ylim=(-0.1, 1.1))
    lags = sorted({lag for by_lag in shares.values() for lag in by_lag})
    axes.set_xticks(lags, [str(lag) for lag in lags])
    axes.set_yticks([0, 0.5, 1], ["none", "half", "all"])
    axes.minorticks_off()
    return axes


def label_decades(axes: "Axes", x: bool = False) -> None:
    """Label a logarithmic axis of parts in words: all, 1 in a million; the one across has room for fewer."""
    low, high = (math.log10(limit) for limit in (axes.get_xlim() if x else axes.get_ylim()))
    step = next(step for step in (1, 3, 6, 12, 24, 48, 96, 192) if (high - low) / step <= (3 if x else 6))
    marks = [k for k in range(-step * 50, step * 50, step) if low - 0.01 <= k <= high + 0.01]
    (axes.set_xticks if x else axes.set_yticks)([10.0**k for k in marks], [decade(k) for k in marks])
    axes.minorticks_off()


def slider(
    *,
    id: str,
    label: str,
    values: Sequence[float | str],
    x: Sequence[float],
    xlabel: str,
    ylabel: str,
    series: Mapping[str, Sequence[Sequence[float]]],
    says: Sequence[str],
    log: bool = True,
    unit: str = "",
    start: int = 0,
    still: str = "",
) -> None:
    """Show a figure that one can drag: a curve of each series, and a sentence, for every value of the slider.

    Without JavaScript the sentences of all values stay to be read, from the first to the last; or `still`, where one and a figure of the page say more.
    """
    from IPython.display import HTML, display

    for name, curves in series.items():
        if len(curves) != len(values) or any(len(curve) != len(x) for curve in curves):
            raise ValueError(f"The slider needs {len(values)} curves of {len(x)} points in {name!r}, one a value.")
    if len(says) != len(values):
        raise ValueError(f"The slider needs {len(values)} sentences, one a value, got {len(says)}.")
    data = {
        "values": list(values),
        "x": list(x),
        "xlabel": xlabel,
        "ylabel": ylabel,
        "log": log,
        "series": [{"name": name, "y": [_numbers(curve) for curve in curves]} for name, curves in series.items()],
        "says": list(says),
    }
    attributes = {"id": id, "label": label, "unit": unit, "start": start, "still": still}
    display(HTML(render("slider.html", **attributes, says=list(zip(values, says, strict=True)), data=data)))


def embed(data: Any, name: str = "", digits: int = 4) -> None:
    """Hand numbers to the figure of a page: what JSON can hold, floats with so many digits; null is what is not finite.

    Args:
        data: The numbers.
        name: What tells them from others of the same figure.
        digits: Digits of a float.
    """
    from IPython.display import HTML, display

    display(HTML(render("data.html", data=_rounded(data, digits), name=name)))


def _rounded(value: Any, digits: int) -> Any:
    if isinstance(value, Mapping):
        return {key: _rounded(each, digits) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(each, digits) for each in value]
    if not isinstance(value, float):
        return value
    return float(f"{value:.{digits}g}") if math.isfinite(value) else None


def _numbers(curve: Sequence[float]) -> list[float | None]:
    return [float(f"{value:.4g}") if math.isfinite(value) else None for value in curve]
