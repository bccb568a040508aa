"""A cause in words that a practitioner can act on."""

import math
from collections.abc import Mapping

from rnnvanish.cell import Keeps
from rnnvanish.numerals import in_words

#: How a part is called in a sentence.
NAMES = {
    "weights": "the recurrent weights",
    "slopes": "the slopes of the activation",
    "gates": "the gates",
    "ways": "several ways that meet",
    "around": "what is around the cell",
    "step": "the step",
}
#: A part that changes a step by less than this, in nats, is not worth a word.
SMALL = 0.005
#: Where a step costs what its gate alone costs, to within this, the gate is all there is to say.
ENOUGH = 0.05


def explanation(
    cell: str, around: str, means: Mapping[str, float], main: str, kept: float, keeps: Keeps | None, plain: bool
) -> str:
    """Say what a step back does, which parts it is made of, and which of them is mainly the cause.

    The arguments are what a `Cause` holds under these names.
    """
    parts = {name: nats for name, nats in means.items() if name != "loss"}
    step = sum(parts.values())
    if math.isnan(step):
        return ""
    said = []
    if keeps and not math.isnan(kept):
        said.append(
            f"The {keeps.called} gates keep {_share(kept)} of the {keeps.memory} at each step: {_memory(kept)}."
        )
        if kept > 0 and abs(step - math.log(kept)) < ENOUGH and abs(means["loss"]) < SMALL:
            return said[0]
    total = f"A step back multiplies the gradient by {_factor(step)}"
    named = [f"{_factor(nats)} ({_called(name, around)})" for name, nats in parts.items() if _tells(name, nats, plain)]
    said.append(f"{total}: {' × '.join(named)}." if len(named) > 1 else f"{total}.")
    if main == "step":
        said.append(f"The equations of {cell} are not taken apart.")
    elif main and abs(step) >= SMALL:
        said.append(f"Mainly {_called(main, around)} {'is' if main == 'around' else 'are'} the cause.")
    if abs(means["loss"]) >= SMALL:
        rate = sum(means.values())
        said.append(f"More comes in on the way, past the step; with it, {_factor(rate)} a step is left.")
    return " ".join(said)


def _tells(name: str, nats: float, plain: bool) -> bool:
    return abs(nats) >= SMALL or (plain and name in ("weights", "slopes"))


def _called(name: str, around: str) -> str:
    return f"{around}, around the cell" if name == "around" and around else NAMES[name]


def _factor(nats: float) -> str:
    factor = math.exp(nats)
    return f"{factor:.3g}" if 0.95 < factor < 1.1 else f"{factor:.2g}"


def _share(kept: float) -> str:
    return f"{kept:.2g}" if kept < 0.95 else f"{kept:.3g}"


def _memory(kept: float) -> str:
    """What a gate alone leaves, in steps."""
    if kept > 0.999:
        return "alone they would lose next to nothing"
    if kept < 1e-9:
        return "alone they would lose everything at once"
    steps = in_words(float(f"{math.log(0.5) / math.log(kept):.2g}"))
    return f"alone they would lose half in {steps} step{'' if steps == '1' else 's'}"
