"""The answer of a report in one sentence: what is wrong, where, and what to do first."""

import re
from collections.abc import Mapping, Sequence

from rnnvanish.diagnosis.advice.trial import Trial
from rnnvanish.diagnosis.report.contents import Layer, Section
from rnnvanish.diagnosis.report.rows import WAYS, of_gradient, part_of_gradient, shown_of, untried
from rnnvanish.names import printable
from rnnvanish.probes.curve import Advice


def answer(findings: Sequence[Section], layers: Sequence[Layer], unfit: Mapping[str, str]) -> str:
    """Say it.

    Args:
        findings: What was found, the first of all first.
        layers: The layers, the worst first, those that are alike together.
        unfit: Cures that could not be tried, and why.
    """
    faults = [each for each in findings if not each.question]
    questions = [each for each in findings if each.question]
    ill = [layer for layer in layers if layer.curve.verdict != "healthy"]
    if faults:
        more = _and_more(len(faults) - 1, "finding")
        return f"{_capital(faults[0].title)}{more}; to do first: {_small(first_sentence(faults[0]))}"
    if ill:
        return _of_layer(ill[0], _and_more(len(ill) - 1, "place"), unfit)
    if questions:
        return f"Healthy, with a question: {questions[0].title}; {_small(first_sentence(questions[0]))}"
    return f"Healthy: {_least(layers)}, so there is nothing to mend."


def first_sentence(section: Section) -> str:
    """The first sentence of what is to be done."""
    whole = next((said for label, said in section.rows if label == "to do"), section.title)
    return re.split(r"(?<=[.!?:])\s+(?=[A-Z])", whole)[0].rstrip(":")


def _of_layer(layer: Layer, more: str, unfit: Mapping[str, str]) -> str:
    name, curve = printable(layer.name), layer.curve
    shown = shown_of(curve)
    last = len(shown.gain) - 1
    match curve.verdict:
        case "vanishing":
            wrong = f"The gradient vanishes in {name}{more}: it reaches {curve.reach} of {last} steps back"
        case "exploding":
            wrong = f"The gradient explodes in {name}{more}: {of_gradient(shown)} arrives after {last} steps"
        case "nothing to carry" if any("arrives detached" in note for note in curve.notes):
            return (
                f"{name}{more} has a gradient in a single step, so nothing is carried back: its state arrives detached."
            )
        case "nothing to carry":
            return (
                f"{name}{more} ran for a single step, so there is nothing to carry: give it sequences of several steps. "
                "Where the loop over steps is your training's own, rnnvanish.watch(model) beside it sees all of them."
            )
        case _:
            return (
                f"No part of {name}{more} is read by this loss: mend what the model returns or the loss reads, or name "
                "the layers that matter."
            )
    if curve.joined:
        return f"{wrong} step by step, and more comes in on the way ({WAYS}): look at that first."
    if not curve.advice:
        return f"{wrong}, and {f'of the cures {untried(unfit)}' if unfit else 'nothing that was tried helps'}."
    return f"{wrong}; try {_promise(curve.advice[0])}."


def _promise(best: Advice) -> str:
    if isinstance(best, Trial) and best.note:  # it changes something else than what arrives
        return f"{best.cure} first: {best.note}"
    over = "" if best.lag is None else f" after {best.lag} steps"
    return f"{best.cure} first, with which {part_of_gradient(best.gain)} arrives{over}"


def _least(layers: Sequence[Layer]) -> str:
    measured = [layer for layer in layers if layer.curve.is_measured]
    if not measured:
        return "nothing that is judged is read"
    worst = min(measured, key=lambda layer: float(shown_of(layer.curve).gain[-1]))
    count = sum(len(layer.alike) or 1 for layer in measured)
    least = of_gradient(shown_of(worst.curve))
    if count == 1:
        return f"{least} arrives after {len(worst.curve.gain) - 1} steps in {printable(worst.name)}"
    return f"in each of {count} loops at least {least} arrives at the far end"


def _and_more(count: int, what: str) -> str:
    return f" (and {count} more {what}{'s' if count > 1 else ''})" if count > 0 else ""


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _small(text: str) -> str:
    """Begin in small letters, but for a name."""
    word = text.partition(" ")[0]
    return text[:1].lower() + text[1:] if word.isalpha() and word[1:].islower() else text
