"""A history is kept whole, opened again, and drawn in colours that always mean the same."""

import base64
import json
import math
import re
import struct
import zlib

import pytest
import torch

from rnnvanish.monitor.heat_map import COLOURS, NOTHING, decades, painted
from rnnvanish.monitor.history import History
from rnnvanish.probes import Curve
from rnnvanish.records.provenance import provenance
from rnnvanish.records.version import version_and_commit


def curve(gain):
    gain = torch.tensor(gain, dtype=torch.float64)
    return Curve(torch.arange(len(gain)), gain)


def made():
    history = History("Tagger")
    history.add(0, {"a/layer0/forward": curve([1.0, 1e-3, 0.0, math.nan])})
    history.add(50, {"a/layer0/forward": curve([1.0, 1e3]), "<b>": curve([1.0, 1.0, 1.0])})
    return history


def test_it_is_opened_again_as_it_was(tmp_path):
    history = made()
    for again in (
        History.from_json(history.to_json()),
        History.from_json(history.to_json(tmp_path / "deep" / "h.json")),
    ):
        assert again.provenance == history.provenance == provenance()
        assert repr(again) == repr(history) == "<History of Tagger: 2 layers at 2 of the backward passes up to 50>"
        for one, other in zip(again, history, strict=True):
            assert (one.step, one.layer, one.reach, one.verdict) == (
                other.step,
                other.layer,
                other.reach,
                other.verdict,
            )
            assert one.half_life == other.half_life or math.isnan(one.half_life)
            assert one.gain.equal(other.gain) or one.gain.nan_to_num(7).equal(other.gain.nan_to_num(7))
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["h.json"]
    assert "\n" not in repr(history)
    assert str(history).splitlines()[2] == "  <b>: half-life ∞ → ∞ steps, healthy → healthy"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "is no JSON"),
        ('{"kind": "other"}', "holds other JSON"),
        (json.dumps({**json.loads(made().to_json()), "schema": 9}), "of schema 1"),
        (json.dumps({**json.loads(made().to_json()), "measurements": [{}]}), "KeyError\\('step'\\)"),
        ("/nowhere/at/all.json", "No such file"),
    ],
)
def test_what_is_no_history_is_refused(text, said):
    with pytest.raises(ValueError, match=f"A history is needed.*{said}"):
        History.from_json(text)


def test_each_colour_means_a_power_of_ten():
    values = torch.tensor(
        [[-9.0, -3.0, 0.0, 3.0, math.nan], [-math.inf, -400.0, -0.5, math.inf, 99.0]], dtype=torch.float64
    )
    image = painted(values)
    assert [tuple(map(int, each)) for each in image[0]] == [COLOURS[-9], COLOURS[-3], COLOURS[0], COLOURS[3], NOTHING]
    half = [round((one + other) / 2) for one, other in zip(COLOURS[-1], COLOURS[0], strict=True)]
    assert image[1].tolist()[:2] == [list(COLOURS[-9])] * 2
    assert max(abs(ours - theirs) for ours, theirs in zip(image[1, 2].tolist(), half, strict=True)) <= 1
    assert image[1].tolist()[3:] == [list(COLOURS[3])] * 2


def test_a_step_shows_what_was_measured_last():
    found = decades(made().of("a/layer0/forward"), [-1, 0, 49, 50, 51])
    assert found[1].tolist()[1:] == pytest.approx([-3, -3, 3, 3])
    assert found[1, 0].isnan()
    assert found[2].tolist()[1:3] == [-math.inf] * 2
    assert found[2, 3:].isnan().all()


def test_the_page_has_the_picture_and_no_name_becomes_code(tmp_path):
    page = made().to_html(tmp_path / "h.html").read_text()
    assert f"rnnvanish {version_and_commit()}, " in page
    assert "<b>" not in page
    assert "&lt;b&gt;: half-life ∞ → ∞ steps" in page
    first = base64.b64decode(re.search(r"data:image/png;base64,([^\"]+)", page)[1])
    width, height = struct.unpack(">II", first[16:24])
    rows = zlib.decompress(first[first.index(b"IDAT") + 4 : -16])
    assert (width, height) == (600, 4)
    assert tuple(rows[1:4]) == COLOURS[0]
    start = 3 * width + 1  # the second row: a thousandth until step 50, then a thousand
    assert tuple(rows[start + 1 : start + 4]) == COLOURS[-3]
    assert tuple(rows[start + 3 * width - 2 : start + 3 * width + 1]) == COLOURS[3]
    assert "No" not in History("Tagger")._repr_html_()
    assert "at none" in History("Tagger")._repr_html_()


def test_plot_draws_all_layers_or_one():
    figure = made().plot()
    assert [axes.get_title() for axes in figure.axes[:2]] == ["a/layer0/forward", "<b>"]
    assert len(made().plot("<b>").axes) == 2  # and the colours
    with pytest.raises(ValueError, match=r"no layer 'a'\. There are: <b>"):
        made().plot("a")
    with pytest.raises(ValueError, match="has no measurement yet"):
        History("Tagger").plot()
