"""A question whose answer is measured, and what somebody answers to it."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from rnnvanish.numerals import in_words, one_in

FACTORS = {"thousand": 1e3, "million": 1e6, "billion": 1e9, "trillion": 1e12}
NUMBER = r"(\d[\d,]*(?:\.\d+)?(?:e[-+]?\d+)?)\s*(thousand|million|billion|trillion)?"


@dataclass(frozen=True)
class Exercise:
    """A question of a section.

    Attributes:
        number: Section and place, "6.1".
        question: What is asked.
        try_it: What to run or change to find out.
        measure: Measures the answer: a number, or a word.
        why: The reason, in a sentence.
        within: By what factor a number may be too large or too small and is still right; 1: not at all.
    """

    number: str
    question: str
    try_it: str
    measure: Callable[[], float | str]
    why: str
    within: float = 1.0

    @property
    def tolerance(self) -> str:
        """What counts as right, in words."""
        return "exactly" if self.within == 1 else f"within a factor of {self.within:g}"

    def judge(self, said: str) -> tuple[bool, float | str]:
        """Hold an answer against the measurement; return whether it is right, and what was measured.

        Raises:
            ValueError: There is no number in it where one is asked for.
        """
        measured = self.measure()
        if isinstance(measured, str):
            words = re.findall(r"[a-z]+", said.lower())
            return measured in words or f"{measured}s" in words, measured
        value = read(said)
        slack = self.within * (1 + 1e-9)  # rounding
        return (value == 0 if measured == 0 else measured / slack <= value <= measured * slack), measured


def read(said: str) -> float:
    """Read a number that is positive or zero from what somebody says.

    Raises:
        ValueError: There is none.

    Examples:
        >>> [read(said) for said in ("about 25", "12 %", "1 in 2 thousand", "nothing", "1,100", "1e-3")]
        [25.0, 0.12, 0.0005, 0.0, 1100.0, 0.001]
    """
    low = said.lower()
    if part := re.search(rf"1 in {NUMBER}", low):
        return 1 / _number(part)
    if found := re.search(NUMBER, low):
        return _number(found) / (100 if re.match(r"\s*(%|per cent)", low[found.end() :]) else 1)
    if re.search(r"\b(nothing|none|zero)\b", low):
        return 0.0
    raise ValueError(f"An answer needs a number, such as 25, 12 % or 1 in 1000; got {said!r}.")


def in_plain_words(measured: float | str) -> str:
    """Say what was measured."""
    if isinstance(measured, str):
        return measured
    if measured == round(measured) < 1e6:
        return f"{measured:.0f}"
    return one_in(measured) if 0 < measured < 0.01 else in_words(measured)


def _number(found: re.Match[str]) -> float:
    return float(found[1].replace(",", "")) * FACTORS.get(found[2] or "", 1.0)
