"""The pages of cells and cures: what they show can be typed."""

import re
import shlex

import pytest

from rnnvanish import mitigations
from rnnvanish.mitigation import Penalty, Rule
from rnnvanish.training.learner import Learner
from tools.site.catalogue import measured, of_cures, pages


@pytest.mark.parametrize("name", mitigations.ALL)
def test_the_lines_to_use_a_cure_run(name):
    code = of_cures.python(name)
    known = {}
    exec(code, known)  # noqa: S102  (our own lines)
    assert bool(code) == isinstance(known.get("cure"), mitigations.ALL[name])
    if issubclass(mitigations.ALL[name], Penalty | Rule):
        assert any(weight.grad.any() for weight in known["model"].parameters())
    command = re.search(r"^rnnvanish train (.+)$", of_cures.use(mitigations.ALL[name]), re.MULTILINE)[1]
    words = shlex.split(command.replace("--cell_options.nonlinearity relu", ""))
    options = dict(zip(words[::2], words[1::2], strict=True))
    relu = {"cell_options": {"nonlinearity": "relu"}} if "relu" in command else {}
    Learner(**{option.removeprefix("--"): value for option, value in options.items()}, **relu)


def test_a_file_is_one_entry_and_every_name_is_in_one():
    for page in ("rnnvanish.cells", "rnnvanish.mitigations"):
        entries = pages.entries(page)
        assert len({entry.module for entry in entries}) == len(entries)
        listed = [name for entry in entries for name in entry.kinds]
        assert sorted(listed) == sorted(set(listed))
        assert all(entry.sentence.endswith(".") for entry in entries)


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("file", [False, True], ids=["served", "file"])
def test_cures_are_chosen_and_sorted_by_keyboard(visit, site, file):
    seen = visit(site, "cures.html", file=file)
    page, table = seen.page, seen.page.locator(".rv-cures")
    for choice, key in {"When it acts": "when weights are drawn", "Acts on": "GRU"}.items():
        page.get_by_role("combobox", name=choice, exact=True).focus()
        page.keyboard.type(key)
    shown = table.locator("tbody tr:visible").all_inner_texts()
    assert 0 < len(shown) < len(mitigations.ALL)
    assert all("when weights are drawn" in row and "GRU" in row for row in shown)
    assert table.locator("[role=status]").inner_text() == f"{len(shown)} of {len(mitigations.ALL)} cures"
    head = table.locator("th", has_text="LSTM")
    head.locator("button").focus()
    page.keyboard.press("Enter")
    sizes = table.locator("tbody tr:visible td:nth-child(7) [data-size]").evaluate_all(
        "all => all.map(e => +e.dataset.size)"
    )
    assert sizes == sorted(sizes)
    assert len(sizes) > 2
    assert not seen.complaints


def test_the_table_of_cures_is_there_without_javascript(visit, site):
    page = visit(site, "cures.html", java_script_enabled=False).page
    assert page.locator(".rv-cures tbody tr:visible").count() == len(mitigations.ALL)
    assert page.locator("rv-table select").count() == 0


def test_the_page_of_a_cure_says_what_the_table_measured(visit, site):
    table = visit(site, "cures.html", java_script_enabled=False).page
    before, after, arrives = re.match(
        r"(.+) → (.+)\n(.+)",
        table.locator(".rv-cures tr", has=table.get_by_role("link", name="Chrono")).locator("td").nth(6).inner_text(),
    ).groups()
    page = visit(site, "reference/mitigations/chrono.html").page
    said = page.locator("tr", has=page.get_by_role("rowheader", name="LSTM")).locator("td").all_inner_texts()
    assert said[:2] == [before, after]
    assert said[3] == arrives
    label = page.get_by_role("img", name="Line chart, LSTM").get_attribute("aria-label")
    assert label.endswith(f"with it {arrives}.")


def test_the_lines_of_a_picture_stand_where_they_should():
    halves = [0.5**lag for lag in range(101)]
    ((kept, lost), grid) = measured._picture([[1.0] * 101, halves])
    heights = {words: y for y, words in grid}
    assert {point.split()[1] for point in kept[1:].split("L")} == {str(heights["all"])}
    points = [tuple(map(float, point.split())) for point in lost[1:].split("L")]
    assert len(points) == 44  # 2⁻⁴³ is the last above 10⁻¹³
    assert points[20] == pytest.approx((measured.WIDTH * 0.2, heights["1 in a million"]), abs=0.3)
