"""Which scripts a page with live figures gets, and where they stand."""

import json
import re
from pathlib import Path

import pytest

from rnnvanish import templates
from rnnvanish.templates.words import words
from tools.site import extras, live

ASSETS = Path(__file__).resolve().parents[2] / "docs/assets"
TEMPLATES = Path(templates.__file__).parent
SCRIPTS = 70_000  # bytes, uncompressed, of our own, for a page
#: Every page with a figure that computes in the browser.
FIGURED = [
    page
    for page in sorted([*ASSETS.parent.rglob("*.py"), *ASSETS.parent.rglob("*.md")])
    if any(f"<{element}" in page.read_text(encoding="utf-8") for element in live.elements(ASSETS))
]
EVERYWHERE = {"words.js", "draw.js", "site.js", "save.js", "late-search.js"}
#: What other scripts a page gets, by what its source says.
WHERE = {"Predict first": "guess.js", "plots.slider(": "slider.js", "<rv-table": "table.js", "hide-input": "code.js"}

PAGE = (
    '<head></head><rv-a></rv-a><p>between</p><rv-b></rv-b><rv-a></rv-a><script src="../assets/words.js" defer></script>'
)


@pytest.fixture
def assets(tmp_path):
    """Two figures that share what they need."""
    for name, head in {
        "draw": "",
        "live/base": "// needs: ../words ../draw\n",
        "live/numbers": "",
        "live/figures/a": "// a figure\n// needs: base numbers\n",
        "live/figures/b": "// needs: numbers more\n",
        "live/more": "// needs: numbers\n",
    }.items():
        path = tmp_path / f"{name}.js"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(head)
    return tmp_path


def test_scripts_come_after_those_that_they_need(assets):
    assert live.scripts(assets, "a") == ["words.js", "draw.js", "live/base.js", "live/numbers.js", "live/figures/a.js"]


def test_each_script_stands_once_right_after_the_first_figure_that_needs_it(assets):
    made = live.put(PAGE, assets)
    first, rest = made.split("<p>between</p>")
    assert first.startswith('<head><link rel="stylesheet" href="../assets/live/live.css"></head>')
    assert first.count("<script") == 5
    assert '<script src="../assets/live/figures/a.js"></script>' in first
    assert rest.count("<script src") == 2
    assert rest.index("live/more.js") < rest.index("figures/b.js")
    assert made.endswith(f"<rv-a></rv-a>{live.AGAIN}")  # a second one is read to its end before it is made
    assert "defer" not in made  # what a figure needs doesn't wait for the end of the page


def test_a_list_of_choices_is_a_question_before_the_fold_below_it_has_its_place():
    made = live.put('<ol data-right="1"><li>A</li></ol><details>', ASSETS)
    assert made.index("</ol>") < made.index("assets/guess.js") < made.index("<details>")


def test_a_page_without_figures_stays_as_it_is(assets):
    assert live.put("<p></p>", assets) == "<p></p>"


def test_what_is_missing_and_what_needs_itself_is_said(assets):
    (assets / "live/figures/a.js").write_text("// needs: nothing\n")
    with pytest.raises(live.LiveError, match=r"live/nothing\.js does not exist"):
        live.put(PAGE, assets)
    (assets / "live/figures/a.js").write_text("// needs: more\n")
    (assets / "live/more.js").write_text("// needs: more\n")
    with pytest.raises(live.LiveError, match="needs itself"):
        live.put(PAGE, assets)
    with pytest.raises(live.LiveError, match="not closed"):
        live.put("<rv-a>", assets)


def test_a_link_that_sets_a_figure_needs_that_figure():
    links = {"race.lag=10&race.rate=0.01": "#race.lag=10&race.rate=0.01", "a-heading": "#a-heading"}
    live.settle(links, {"race"})
    assert links == {"a-heading": "#a-heading"}  # which MkDocs looks for itself
    with pytest.raises(live.LiveError, match="figure of the id 'rce'"):
        live.settle({"rce.lag=10": "#rce.lag=10"}, {"race"})


def fetched_in_time(script, page):
    """The scripts that a figure asks `rv.later` for, once a reader has scrolled to it."""
    code = (ASSETS / script).read_text(encoding="utf-8")
    lists = re.findall(r"(?:ENGINE = |rv\.later\(\w+, )\[([^].]*)\]", code)
    names = {name for each in lists for name in re.findall(r'"(\w+)"', each)}
    names |= {name for name in re.findall(r'\[\.\.\.ENGINE, "(\w+)"\]', code) if f'kind="{name}"' in page}
    return {f"live/{name}.js" for name in names}


def sent(script):
    """Bytes of a script as it is sent."""
    if script == "words.js":
        return len(f"window.rvWords = {json.dumps(words()['script'], ensure_ascii=False)};\n".encode())
    here = ASSETS / script
    return len(extras.shortened(here if here.exists() else TEMPLATES / script).encode())


@pytest.mark.parametrize("figured", FIGURED, ids=lambda page: page.name)
def test_all_that_a_page_has_loaded_once_it_was_scrolled_through_is_light(figured):
    page = figured.read_text(encoding="utf-8")
    loaded = set(EVERYWHERE)
    for mark, script in WHERE.items():
        loaded.update(live.ordered(ASSETS, script) if mark in page else ())
    for name in set(re.findall(r"<rv-(\w+)", page)):
        loaded.update(live.scripts(ASSETS, name) if f"rv-{name}" in live.elements(ASSETS) else ())
    for script in [each for each in loaded if each.startswith("live/")]:
        loaded |= fetched_in_time(script, page)
    weight = {script: sent(script) for script in sorted(loaded)}
    assert sum(weight.values()) <= SCRIPTS, weight


def test_what_a_figure_fetches_in_time_is_found():
    assert "live/numbers.js" in fetched_in_time("live/figures/gate.js", "")
    assert "live/attention.js" in fetched_in_time("live/figures/race.js", '<rv-race kind="attention">')
    assert "live/attention.js" not in fetched_in_time("live/figures/race.js", '<rv-race kind="lstm">')
    assert "live/single.js" in fetched_in_time("live/figures/strip.js", "")
    lazy = [
        each for each in (ASSETS / "live").rglob("*.js") if "rv.later(" in each.read_text() and each.stem != "later"
    ]
    assert all(fetched_in_time(each.relative_to(ASSETS).as_posix(), "") for each in lazy)
