"""A whole training as one picture: step across, lag downwards, and a colour for what arrives, the same in every figure."""

import base64
import struct
import zlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from rnnvanish.monitor.measurement import Measurement
from rnnvanish.names import installed
from rnnvanish.numerals import in_words
from rnnvanish.plots import decade
from rnnvanish.templates import render

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Colours by the power of ten of what arrives; between two of them they blend, beyond the ends they stay.
COLOURS = {
    -9: (13, 8, 45),
    -6: (52, 30, 110),
    -3: (38, 110, 150),
    -1: (140, 205, 165),
    0: (250, 245, 190),
    1: (248, 165, 90),
    3: (180, 20, 40),
}
#: What was not measured, or is below resolution.
NOTHING = (190, 190, 190)
#: The picture's own dots, at most.
WIDE, HIGH = 600, 200


def decades(measurements: Sequence[Measurement], steps: Sequence[float]) -> Tensor:
    """The power of ten of what arrives, (lags, steps): of the latest measurement at each step; nan where there is none."""
    lags = max(len(each.gain) for each in measurements)
    known = torch.tensor([each.step for each in measurements])
    latest = torch.searchsorted(known, torch.as_tensor(steps).to(known), right=True) - 1
    columns = torch.full((lags, len(measurements)), torch.nan, dtype=torch.float64)
    for place, each in enumerate(measurements):
        columns[: len(each.gain), place] = each.gain.log10()  # -inf of an exact zero: the darkest there is
    return torch.where(latest >= 0, columns[:, latest.clamp(min=0)], torch.nan)


def painted(values: Tensor) -> np.ndarray:
    """Colours of powers of ten, (lags, steps, 3), as bytes."""
    marks = list(COLOURS)
    found = values.nan_to_num(nan=0.0, posinf=marks[-1], neginf=marks[0]).numpy()
    parts = [np.interp(found, marks, [colour[channel] for colour in COLOURS.values()]) for channel in range(3)]
    image = np.stack(parts, axis=-1).round().astype(np.uint8)
    image[values.isnan().numpy()] = NOTHING
    return image


def figure(layers: Mapping[str, Sequence[Measurement]], steps: Sequence[int], unit: str) -> "Figure":
    """Draw some layers with matplotlib, one below the other.

    Args:
        layers: What was measured of each.
        steps: All steps at which anything was.
        unit: What a step is.
    """
    plt = installed("matplotlib.pyplot", "plot", "A picture")
    from matplotlib.colors import LinearSegmentedColormap, Normalize

    low, high = min(COLOURS), max(COLOURS)
    stops = [((k - low) / (high - low), _hex(colour)) for k, colour in COLOURS.items()]
    colours = LinearSegmentedColormap.from_list("left", stops).with_extremes(bad=_hex(NOTHING))
    size = 7, 0.6 + 2.2 * len(layers)
    found: Figure
    found, axes = plt.subplots(len(layers), 1, figsize=size, sharex=True, squeeze=False, layout="constrained")
    edges = _edges(steps)
    for (ax,), (layer, measured) in zip(axes, layers.items(), strict=True):
        values = decades(measured, edges[:-1])
        lags = torch.arange(len(values) + 1) - 0.5
        mesh = ax.pcolormesh(
            edges, lags.numpy(), values.clamp(low, high).numpy(), cmap=colours, norm=Normalize(low, high)
        )
        ax.invert_yaxis()
        ax.set(title=layer, ylabel="steps back in time")
    axes[-1, 0].set_xlabel(unit)
    bar = found.colorbar(mesh, ax=axes, label="gradient that is left")
    bar.set_ticks(list(COLOURS), labels=[decade(k) for k in COLOURS])
    return found


def fragment(says: str, layers: Mapping[str, Sequence[Measurement]], steps: Sequence[int], unit: str) -> str:
    """The picture as a piece of HTML, for a notebook or a page; `says` stands above it, the rest is as for `figure`."""
    panels, marks, edges = list[dict[str, object]](), list[tuple[str, str]](), [0, 1]
    if layers:
        edges = _edges(steps)
        marks = [(_hex(colour), decade(k)) for k, colour in COLOURS.items()] + [(_hex(NOTHING), "not measured")]
    for layer, measured in layers.items():
        values = decades(measured, torch.linspace(edges[0], edges[-1], WIDE + 1)[:-1].tolist())
        rows = torch.linspace(0, len(values) - 1, min(HIGH, len(values))).round().long()
        first, last = measured[0], measured[-1]
        life = f"half-life {in_words(first.half_life)} → {in_words(last.half_life)} steps, {last.verdict} at last"
        panels.append({"name": layer, "says": life, "image": _as_uri(painted(values[rows])), "lags": len(values) - 1})
    return str(render("history.html", says=says, layers=panels, unit=unit, first=edges[0], last=edges[-1], marks=marks))


def page(title: str, body: str, origin: str) -> str:
    """The picture as a page of its own; `origin` says where its numbers come from."""
    from markupsafe import Markup

    return str(render("history_page.html", title=title, body=Markup(body), origin=origin)).lstrip()


def _hex(colour: tuple[int, int, int]) -> str:
    return f"#{bytes(colour).hex()}"


def _edges(steps: Sequence[int]) -> list[int]:
    """Where the columns begin, and where the last one ends: as wide as the one before it."""
    width = steps[-1] - steps[-2] if len(steps) > 1 else 1
    return [*steps, steps[-1] + max(width, 1)]


def _as_uri(image: np.ndarray) -> str:
    """A picture as a PNG in the address of an image."""
    height, width, _ = image.shape
    rows = b"".join(b"\0" + row.tobytes() for row in image)

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    png = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows, 9)) + chunk(b"IEND", b"")
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"
