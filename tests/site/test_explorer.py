"""The page on which any number is looked at over commits, in a real browser."""

import json
from urllib.parse import parse_qs, quote

import pytest

pytestmark = pytest.mark.timeout(1800)  # the first test waits until the whole site is built
PAGE = "benchmarks/explore.html"
SAVED = "memory.Saved.track_saved"


class Explorer:
    """The page, as its reader uses it."""

    def __init__(self, seen):
        self.seen, self.page = seen, seen.page
        self.data = json.loads(
            (seen.folder / PAGE)
            .read_text(encoding="utf-8")
            .partition('<script type="application/json">')[2]
            .partition("</script>")[0]
        )

    def choose(self, name, value):
        self.page.get_by_role("combobox", name=name, exact=True).select_option(value)
        self.loaded()

    def loaded(self):
        """Wait until the numbers of the benchmark that is chosen are there."""
        self.page.wait_for_function(
            "(e => e?.chosen?.name === e?.querySelector('select')?.value)(document.querySelector('rv-explorer'))"
        )

    def chosen(self, name):
        return self.page.get_by_role("combobox", name=name, exact=True).input_value()

    @property
    def address(self):
        return {key: value[0] if len(value) == 1 else value for key, value in parse_qs(self.fragment).items()}

    @property
    def fragment(self):
        return self.page.evaluate("location.hash.slice(1)")

    @property
    def status(self):
        return self.page.locator("rv-explorer [role=status]").inner_text()

    @property
    def legend(self):
        return self.page.locator("rv-explorer .rv-legend li").all_inner_texts()

    def rows(self):
        """The table: by commit, the text of each cell."""
        rows = self.page.eval_on_selector_all(
            "rv-explorer tbody tr",
            "rows => rows.map(row => [...row.cells].map(cell => (cell.querySelector('code') ?? cell).textContent))",
        )
        return {commit: cells for commit, *cells in rows}

    def recorded(self, name, machine, **values):
        """What the data have for one line, by commit."""
        (known,) = [each for each in self.data["benchmarks"] if each["name"] == name]
        cell = [each["values"].index(values[each["name"]]) for each in known["parameters"]]
        script = (self.seen.folder / f"benchmarks/explore/{name}.js").read_text(encoding="utf-8")
        lines = json.loads(script.partition(" = ")[2].removesuffix(";\n"))
        (points,) = [line[2] for line in lines if self.data["machines"][line[0]] == machine and line[1] == cell]
        return {self.data["commits"][commit][0]: value for commit, value in points}


@pytest.fixture
def explore(visit, site):
    def start(fragment="", **options):
        return Explorer(visit(site, PAGE + fragment, **options))

    return start


@pytest.mark.parametrize("file", [False, True], ids=["served", "from-the-disk"])
def test_a_benchmark_a_parameter_and_two_machines_are_chosen_and_come_back(explore, file):
    seen = explore(file=file)
    amd, intel = seen.data["machines"]
    seen.choose("Number", SAVED)
    seen.choose("Cell", "GRU")
    assert seen.legend == [f"GRU, {amd}", f"GRU, {intel}"]
    expected = [seen.recorded(SAVED, name, cell="GRU") for name in (amd, intel)]
    for commit, cells in seen.rows().items():
        assert [float(text) if text != "–" else None for text in cells] == [found.get(commit) for found in expected]
    assert set(seen.rows()) == set().union(*expected)
    assert seen.page.locator("rv-explorer .rv-dot").count() == sum(map(len, expected))
    seen.page.get_by_label(amd, exact=True).uncheck()
    assert seen.legend == ["GRU"]
    assert seen.address == {"benchmark": SAVED, "cell": "GRU", "machine": intel}
    before = seen.rows()
    seen.page.reload()
    seen.loaded()
    assert (seen.chosen("Number"), seen.chosen("Cell"), seen.rows()) == (SAVED, "GRU", before)
    assert not seen.page.get_by_label(amd, exact=True).is_checked()
    assert (seen.seen.elsewhere, seen.seen.complaints) == (set(), [])


def test_every_number_of_every_benchmark_can_be_brought_to_the_table(explore):
    seen = explore()
    for each in seen.data["benchmarks"]:
        seen.choose("Number", each["name"])
        assert seen.rows(), each["name"]
        for known in each["parameters"]:
            options = seen.page.get_by_role("combobox", name=known["name"].capitalize(), exact=True).locator("option")
            given = options.evaluate_all("all => all.map(each => each.value)")
            assert [value for value in given if value] == known["values"]


def test_a_regression_has_a_ring_and_stands_in_the_table(explore):
    seen = explore(f"#benchmark={SAVED}&cell=Elman")
    assert seen.page.locator("rv-explorer .rv-ring").count() == 1
    worse = [text for cells in seen.rows().values() for text in cells if "worse" in text]
    assert len(worse) == 1
    assert worse[0].startswith("1.65478 worse, 2.00 times what it was")
    assert "1 became worse" in seen.status
    seen.choose("Cell", "GRU")
    assert seen.page.locator("rv-explorer .rv-ring").count() == 0
    assert "None became worse" in seen.status


def test_zoom_by_choice_and_by_dragging(explore):
    seen = explore(f"#benchmark={SAVED}&cell=Elman")
    every = list(seen.rows())
    hashes = [commit for commit, _, _ in seen.data["commits"]]
    seen.choose("From commit", hashes[5])
    seen.choose("To commit", hashes[10])
    assert set(seen.rows()) == set(every) & set(hashes[5:11])
    assert (seen.address["from"], seen.address["to"]) == (hashes[5], hashes[10])
    seen.choose("From commit", hashes[12])  # beyond the end, which gives way
    assert seen.chosen("To commit") == hashes[12]
    seen.page.get_by_role("button", name="All commits").click()
    assert list(seen.rows()) == every
    assert "from" not in seen.address
    seen.page.locator("rv-explorer > svg").scroll_into_view_if_needed()
    box = seen.page.locator("rv-explorer > svg").bounding_box()
    seen.page.mouse.move(box["x"] + box["width"] * 0.4, box["y"] + 100)
    seen.page.mouse.down()
    seen.page.mouse.move(box["x"] + box["width"] * 0.8, box["y"] + 120, steps=4)
    seen.page.mouse.up()
    assert 1 < len(seen.rows()) < len(every)
    assert hashes.index(seen.address["from"]) < hashes.index(seen.address["to"])
    assert seen.page.locator("rv-explorer .rv-band").count() == 0


def test_all_of_it_goes_by_keyboard(explore):
    seen = explore()
    page = seen.page
    page.focus("rv-explorer select")
    before = seen.chosen("Number")
    page.keyboard.press("ArrowDown")
    assert seen.chosen("Number") != before
    seen.loaded()
    reached = set()
    for _ in range(20):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.closest('label, button')?.firstChild.textContent"))
        if page.evaluate("document.activeElement.type") == "checkbox":
            page.keyboard.press("Space")
            break
    assert "Cell" in reached
    assert isinstance(seen.address["machine"], str), "one of two machines is left"
    for _ in range(5):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.parentElement.firstChild.textContent") == "From commit":
            break
    page.keyboard.press("ArrowDown")
    assert seen.address["from"] == seen.data["commits"][1][0]


def test_what_the_address_asks_for_and_is_not_there_is_said(explore):
    seen = explore(f"#benchmark=no.such&machine={quote('<img src=x onerror=alert(1)>')}&lag=10")
    assert "benchmark no.such and lag and machine <img" in seen.status
    assert seen.page.locator("rv-explorer img").count() == 0
    seen.page.evaluate(f"location.hash = '#benchmark={SAVED}&cell=LSTM'")
    seen.page.wait_for_function("document.querySelector('rv-explorer').chosen.name.startsWith('memory')")
    assert seen.chosen("Cell") == "LSTM"
    assert "asks for" not in seen.status


def test_too_many_lines_are_said_to_be_too_many(explore):
    seen = explore("#benchmark=claims.Claims.track_strain")
    assert seen.chosen("Claim")  # the first of them, not all
    seen.choose("Claim", "")
    assert len(seen.legend) == 10
    assert "too many for one picture" in seen.status
    for box in seen.page.locator("rv-explorer [type=checkbox]").all():
        box.uncheck()
    assert seen.status == "Choose a machine."
    assert not seen.rows()


def test_scales(explore):
    seen = explore(f"#benchmark={SAVED}&cell=all&scale=log")
    ticks = seen.page.locator("rv-explorer > svg text").all_text_contents()
    assert {"0.1", "1", "10"} <= set(ticks)
    seen.choose("Scale", "zero")
    ticks = seen.page.locator("rv-explorer > svg text").all_text_contents()
    assert {"0", "2", "4", "6"} <= set(ticks)


def test_a_dot_is_as_high_as_its_number(explore):
    seen = explore(f"#benchmark={SAVED}&cell=Elman")
    high = seen.page.eval_on_selector_all("rv-explorer .rv-dot", "dots => dots.map(dot => +dot.getAttribute('cy'))")
    values = seen.page.eval_on_selector_all(
        "rv-explorer .rv-dot title", "titles => titles.map(title => +title.textContent.match(/: ([\\d.]+) at /)[1])"
    )
    low, top = values.index(min(values)), values.index(max(values))
    slope = (high[top] - high[low]) / (values[top] - values[low])
    assert slope < 0
    for y, value in zip(high, values, strict=True):
        assert abs(y - high[low] - slope * (value - values[low])) < 0.2


def test_without_a_script_the_page_says_where_the_numbers_are(explore):
    seen = explore(java_script_enabled=False)
    seen.page.click("text=Trends >> nth=-1")
    assert seen.page.url.endswith("trends.html") or "#" in seen.page.url


@pytest.mark.parametrize("name", ["speed", "trends", "explore"])
def test_the_pages_of_the_benchmarks_are_filled(site, name):
    text = (site / f"benchmarks/{name}.html").read_text(encoding="utf-8")
    assert "data-rv-bench" not in text
    assert "<caption>" in text or "application/json" in text
    assert (site / "benchmarks/regressions.xml").exists()
