"""Which scripts a page with live figures gets, and where they stand."""

from pathlib import Path

import pytest

from tools.site import live

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
    made = live.put('<ol data-right="1"><li>A</li></ol><details>', Path(__file__).resolve().parents[2] / "docs/assets")
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
