"""A page that must not be published stops the build, and the build says which page and why."""

from pathlib import Path

import pytest

POISONED = Path(__file__).parent / "poisoned"
SAYS = {
    "assertion.py": "AssertionError",
    "broken_claim.py": "the text states that it holds",
    "broken_link.py": "nowhere.md",
    "broken_anchor.py": "#nowhere",
    "no_alt.py": "alt=",
    "no_cell.py": "no cell was executed",
    "front_matter.py": "no YAML",
    "network.py": "without a network",
    "object.py": "an object without words",
    "latex.md": "nonsense",
    "notebook.ipynb": "not executed",
}


def test_every_poison_is_tried():
    assert {path.name for path in POISONED.iterdir() if path.is_file()} == {*SAYS, "control.py"}


@pytest.mark.parametrize("name", SAYS)
def test_a_poisoned_page_stops_the_build(build, name):
    code, said = build(POISONED / name)
    assert code != 0, f"{name} was published:\n{said}"
    assert f"page{Path(name).suffix}" in said
    assert SAYS[name] in said


def test_a_sound_page_does_not(sample):
    page = (sample / "page.html").read_text(encoding="utf-8")
    assert "not for readers" not in page  # stderr
    assert "<em>computed</em>" in page
    assert "data-rv-output" not in page
    assert "rv-verdict rv-holds" in page
    assert "what_is_left" not in (sample / "search/search_index.json").read_text(encoding="utf-8")
