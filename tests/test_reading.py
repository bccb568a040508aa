"""The plain parts of every page are for readers of fifteen: at most nine years of school."""

from importlib import import_module
from itertools import groupby
from pathlib import Path

import pytest
import reading

from rnnvanish import experiments
from rnnvanish.diagnosis import faults

ROOT = Path(__file__).resolve().parents[1]
HIGHEST = 9.0
FAULTS = [path for path in sorted((ROOT / "src/rnnvanish/diagnosis/faults").glob("*.py")) if path.stem != "__init__"]
FOR_ENGINEERS = {"architecture.md", "changelog.md", "contributing.md"}
PAGES = [
    path
    for path in sorted((ROOT / "docs").rglob("*"))
    if path.suffix in {".md", ".py"} and path.name not in FOR_ENGINEERS and "reference" not in path.parts
]


KNOWN = {
    1: "the whole times weights squashed passed stretched state steps year once one half life change through eye why learnt",
    2: "million largest layer network before people create science pages changes useful something boxes measure neither answer training "
    "value question little table every sometimes business beside piece's closely language needed carried being playing",
    3: "initial gradient recurrent multiplied idea area vanishing memory measurement various obvious theory usual precision "
    "example average decided period nobody engineers however",
    4: "experiment orthogonal exponential explanation contribution derivative ordinary variable situation",
    5: "electricity university",
}


@pytest.mark.parametrize(("word", "count"), [(word, n) for n, words in KNOWN.items() for word in words.split()])
def test_syllables(word, count):
    assert reading.syllables(word) == count


def test_the_grade_is_that_of_the_formula():
    sentences = ["The cat sat on the mat.", "The gradient vanishes."]  # 9 words, 2 sentences, 6 + 7 syllables
    assert reading.grade(sentences) == pytest.approx(0.39 * 9 / 2 + 11.8 * 13 / 9 - 15.59)


def test_only_the_plain_parts_count(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(
        "---\ndescription: Left out.\n---\n# Left out\n\nOne *is* read. So is [two](left.md)!\n\n1. Three\n2. four `left()`\n\n"
        '```python\nleft = "out"\n```\n\n| left | out |\n|---|---|\n\n??? question "Left out"\n    Five is read.\n\n'
        '??? info "For engineers"\n    Left out.\n\n    Left, too: $x$.\n\n    ```\n    left\n    ```\n\nSix is read.\n'
    )
    sentences = ["One is read.", "So is two!", "Three", "four code", "Five is read.", "Six is read."]
    assert reading.plain(page) == sentences
    page.with_suffix(".py").write_text("# %% [markdown]\n# One is read.\n\n# %%\nleft = 'out. And out.'\n")
    assert reading.plain(page.with_suffix(".py")) == ["One is read."]


def hold(sentences):
    hardest = sorted(sentences, key=lambda sentence: -reading.grade([sentence]))[:8]
    words = "\n".join(f"  {reading.grade([sentence]):5.1f}  {sentence}" for sentence in hardest)
    found = reading.grade(sentences)
    assert found <= HIGHEST, (
        f"Grade {found:.1f}, at most {HIGHEST:.0f} is for everybody. The hardest sentences:\n{words}"
    )


def test_a_hard_text_is_noticed():
    with pytest.raises(AssertionError, match=r"Grade \d+.*\n +\d+\.\d  Notwithstanding"):
        hold(["Notwithstanding considerable methodological heterogeneity, generalisation deteriorated substantially."])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT / "docs").as_posix())
def test_a_page_is_for_everybody(page):
    hold(reading.plain(page))


CLAIMS = groupby(sorted(experiments.claims(), key=lambda claim: claim.section), key=lambda claim: claim.section)


@pytest.mark.parametrize("claims", [pytest.param(list(claims), id=str(section)) for section, claims in CLAIMS])
def test_what_the_boxes_of_a_section_say_is_for_everybody(claims):
    hold([said for claim in claims for text in (claim.sentence, claim.finding) for said in reading.split(text)])


def test_what_the_page_of_silent_mistakes_takes_from_the_faults_is_for_everybody():
    texts = [import_module(f"{faults.__name__}.{path.stem}").__doc__ for path in FAULTS]
    words = [line for text in texts for line in text.split("\n\n")[1:] if not line.startswith("    ")]
    hold([said for line in words for said in reading.split(" ".join(line.split()))])
