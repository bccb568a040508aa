"""A cause in words that a practitioner can act on."""

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rnnvanish.diagnosis.cause.cause import Cause

#: How a part is called in a sentence.
NAMES = {
    "weights": "the recurrent weights",
    "slopes": "the slopes of the activation",
    "gates": "the gates",
    "ways": "several ways that meet",
    "around": "what is around the cell",
    "step": "the step",
}
#: The gate that keeps the state, and what it keeps.
KEEPS = {"LSTM": ("forget gates", "cell"), "GRU": ("update gates", "state")}
#: A part that changes a step by less than this, in nats, is not worth a word.
SMALL = 0.005
#: Where a step costs what its gate alone costs, to within this, the gate is all there is to say.
ENOUGH = 0.05


def in_words(cause: "Cause") -> str:
    """Say what a step back does, which parts it is made of, and which of them is mainly the cause."""
    parts = {name: nats for name, nats in cause.means.items() if name != "loss"}
    step = sum(parts.values())
    if not len(cause.gain) or math.isnan(step):
        return ""
    said = []
    if not math.isnan(cause.kept):
        gates, what = KEEPS[cause.cell]
        said.append(f"The {gates} keep {cause.kept:.2g} of the {what} at each step: {_memory(cause.kept)}.")
        if cause.kept > 0 and abs(step - math.log(cause.kept)) < ENOUGH and abs(cause.means["loss"]) < SMALL:
            return said[0]
    total = f"A step back multiplies the gradient by {_factor(step)}"
    named = [f"{_factor(nats)} ({_called(name, cause)})" for name, nats in parts.items() if _tells(name, nats, cause)]
    said.append(f"{total}: {' × '.join(named)}." if len(named) > 1 else f"{total}.")
    if cause.main == "step":
        said.append(f"The equations of {cause.cell} are not taken apart.")
    elif cause.main and abs(step) >= SMALL:
        said.append(f"Mainly {_called(cause.main, cause)} {'is' if cause.main == 'around' else 'are'} the cause.")
    if abs(cause.means["loss"]) >= SMALL:
        said.append(
            f"The loss reads this loop on the way, too; with what it adds, {_factor(cause.rate)} a step is left."
        )
    return " ".join(said)


def _tells(name: str, nats: float, cause: "Cause") -> bool:
    return abs(nats) >= SMALL or (cause.cell == "Elman" and name in ("weights", "slopes"))


def _called(name: str, cause: "Cause") -> str:
    return f"{cause.around}, around the cell" if name == "around" and cause.around else NAMES[name]


def _factor(nats: float) -> str:
    factor = math.exp(nats)
    return f"{factor:.3g}" if 0.95 < factor < 1.1 else f"{factor:.2g}"


def _memory(kept: float) -> str:
    """What a gate alone leaves, in steps."""
    if kept > 0.999:
        return "alone they would lose next to nothing"
    if kept < 1e-9:
        return "alone they would lose everything at once"
    steps = f"{math.log(0.5) / math.log(kept):.2g}"
    return f"alone they would lose half in {steps} step{'' if steps == '1' else 's'}"
