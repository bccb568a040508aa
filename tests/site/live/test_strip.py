"""The picture of gradients while a network trains: absolute ink, hatching where there is nothing, only new rows painted."""

import pytest

CODE = """
const strip = new rv.Strip({ label: "gradients", rows: 4, decades: 6 });
document.querySelector("article").append(strip.element, rv.inkKey("Gradient:", { decades: 6 }));
const rows = [[9, 1, 1e-3, 1e-6, 0], [9, 1e-3, 1e-6, 1e-9, NaN]].map((row) => Float64Array.from(row));
const pixel = (x, y) => [...strip.canvas.getContext("2d").getImageData(x, y, 1, 1).data];
let painted = 0;
const put = CanvasRenderingContext2D.prototype.putImageData;
CanvasRenderingContext2D.prototype.putImageData = function (image, ...at) { painted += image.height; put.call(this, image, ...at); };
strip.draw(rows.slice(0, 1));
"""


@pytest.fixture
def page(page_with):
    return page_with(scripts=["strip", "ink-key"], code=CODE).page


def test_ink_is_absolute_and_what_the_numbers_do_not_hold_stays_open(page):
    page.evaluate("strip.draw(rows)")
    full, half, none, nothing = (page.evaluate(f"pixel({x}, 0)") for x in range(4))
    assert full[:3] == [0, 99, 166]  # the colour of the site's first line
    assert none == [255, 255, 255, 255]
    assert all(abs(h - (f + 255) / 2) <= 1 for f, h in zip(full[:3], half[:3], strict=True))
    assert nothing[3] == 0  # the hatching behind shows
    assert page.evaluate("pixel(0, 1)") == half  # the row below is no darker for being smaller as a whole
    assert page.evaluate("pixel(3, 1)")[3] == 0


def test_only_new_rows_are_painted_until_the_colours_change(page):
    assert page.evaluate("strip.draw(rows), painted") == 2
    assert page.evaluate("strip.draw(rows), painted") == 2
    page.evaluate("document.body.dataset.mdColorScheme = 'slate'")
    assert page.evaluate("strip.draw(rows), painted") == 4
    assert page.evaluate("strip.draw([rows[1]]), painted") == 5  # another training


def test_a_full_picture_is_squeezed_and_the_end_is_said(page):
    page.evaluate("strip.draw([0, 1, 2, 3, 4].map(() => rows[0]))")
    assert page.evaluate("strip.canvas.height") == 8
    assert page.inner_text(".rv-strip") == ""
    page.evaluate("strip.draw(rows, 'learnt')")
    assert page.inner_text(".rv-strip") == "learnt"
    assert page.evaluate("parseFloat(strip.rest.style.top)") == 50  # two of four rows
