"""The question before the answer: which of its choices is right, and how many a reader guessed in a part of the site."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from pathlib import Path

from rnnvanish.templates import renderer
from rnnvanish.templates.words import words

render = renderer(Path(__file__).parent / "templates")

HEADING, ID = "## Predict first", '<h2 id="predict-first">'
FOLD = '<details class="question">'
QUESTION = re.compile(
    ID + r".*?(?P<list><ol>)(?P<choices>.*?)</ol>\s*" + FOLD + r"\s*"
    r"<summary>.*?</summary>(?P<answer>.*?)</details>",
    re.DOTALL,
)
FEWEST = 3  # questions that are worth a score


class QuestionError(ValueError):
    """A question of which the page does not say what is right."""


def mark(page: str) -> str:
    """Write on the list of choices the number of the right one, for `guess.js`.

    Raises:
        QuestionError: There are no choices, or the answer begins neither with the words of one nor with "The second.".
    """
    if ID not in page:
        return page
    if not (found := QUESTION.search(page)):
        raise QuestionError(f"{HEADING!r} needs a numbered list, and behind it a fold with the answer.")
    right = _right(re.findall(r"<li>(.*?)</li>", found["choices"], re.DOTALL), found["answer"])
    return f'{page[: found.start("list")]}<ol data-right="{right}">{page[found.end("list") :]}'


def asks(notebook: dict) -> bool:
    """Whether an executed page has a question."""
    return any(HEADING in "".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "markdown")


def score(pages: Sequence[tuple[str, str]]) -> str:
    """Return a list of the pages of a part, by address and title, in which `guess.js` says what was right."""
    return str(render("score.html", pages=pages)) if len(pages) >= FEWEST else ""


def _right(choices: Sequence[str], answer: str) -> int:
    """Number of the choice that an answer names first, from 1."""
    said, known = _plain(answer), [_plain(each) for each in choices]
    ordinals = [_plain(each) for each in words()["ordinals"]]
    by_number = [i for i, each in enumerate(ordinals[: len(known)], 1) if said.startswith(f"{each} ") or said == each]
    sentence = _plain(re.split(r"[.:,]", re.sub(r"<[^>]*>", "", answer), maxsplit=1)[0])
    by_words = [i for i, each in enumerate(known, 1) if said.startswith(each) or each.startswith(sentence)]
    if len(found := by_number or by_words) != 1:
        raise QuestionError(
            f"{HEADING!r}: its answer should begin with the words of one choice, or with "
            f"{words()['ordinals'][1]!r}. The answer: {said[:60]!r}; the choices: {known}."
        )
    return found[0]


def _plain(text: str) -> str:
    """Words alone, in small letters."""
    return " ".join(re.findall(r"[\w'-]+", html.unescape(re.sub(r"<[^>]*>", " ", text)).lower()))
