"""A cause: what the steps back do to a gradient, and this in words that a practitioner can act on."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from jaxtyping import Float, Int
from torch import Tensor

from rnnvanish.cell import Keeps
from rnnvanish.numerals import in_words
from rnnvanish.probes.curve import Factor

#: How a part is called in a sentence.
NAMES = {
    "weights": "the recurrent weights",
    "slopes": "the slopes of the activation",
    "gates": "the gates",
    "constants": "fixed factors of the step",
    "normalisation": "the normalisation",
    "other": "operations that are not known",
    "ways": "several ways that meet",
    "around": "what is around the cell",
    "step": "the step",
    "loss": "what comes in on the way",
}
#: Those of them that are one thing.
SINGULAR = ("around", "normalisation")
#: A part that changes a step by less than this, in nats, is not worth a word.
SMALL = 0.005
#: Where a step costs what its gate alone costs, to within this, the gate is all there is to say.
ENOUGH = 0.05


@dataclass(frozen=True, eq=False)
class Cause:
    """What the steps back do to the gradient of one loop, in nats.

    Attributes:
        cell: The class of the cell that the equations are of: the innermost one.
        around: What is around it: the classes of wrappers; empty where nothing is.
        lag: Steps back from the end at which a step arrives: 1, 2, ...
        gain: ln of what one step back does to the size of the gradient: the sum of all `parts`, mean over sequences.
        parts: What each part does. "weights", "slopes" (of sigmoid, tanh, ReLU), "gates" (values of the input or the state
            that multiply) and, where there are any, "constants" (a leak, a step size), "normalisation" and "other" are
            factors on the way. "ways" is what comes of several ways through a step: they split up, add and cancel.
            "around" is what lies around the cell (a wrapper), "loss" what the loss adds on the way: 0
            where it reads the end alone. Of a step that is not taken apart there is "step" instead of all but the loss.
        kept: Geometric mean of the gate that keeps the state (forget gate, update gate), without the steps whose input is
            absurd; units that are shut beside open ones count as keeping nothing. nan where there is none.
        carried: The same of every part of the state that has a way of its own through a step, of products alone, whatever
            the cell says of itself; the arithmetic mean where that is nothing at some steps.
        note: Why nothing could be measured; empty where it could.
        untaken: Why the step is not taken apart; empty where it is.
        keeps: What the cell says of that gate.
        plain: Whether the cell says that its step is its weights and a function of each unit, nothing else.
        has_matrix: Whether any of its weights multiplies the state as a matrix: else they are factors of single units.
    """

    cell: str
    around: str
    lag: Int[Tensor, " steps"]
    gain: Float[Tensor, " steps"]
    parts: Mapping[str, Float[Tensor, " steps"]]
    kept: float = math.nan
    note: str = ""
    keeps: Keeps | None = None
    plain: bool = False
    carried: Mapping[str, float] = field(default_factory=dict)
    untaken: str = ""
    has_matrix: bool = True

    @cached_property
    def means(self) -> dict[str, float]:
        """Nats per step of each part, mean over the steps that were measured; without the first, an LSTM's entry."""
        return {name: mean(part[1:] if len(part) > 1 else part) for name, part in self.parts.items()}

    @property
    def rate(self) -> float:
        """Nats per step: the sum of `means`, the mean slope of ln gain from lag 1 on."""
        return sum(self.means.values())

    @property
    def main(self) -> str:
        """The part of a step that does most in the direction in which the gradient goes; "" where none does."""
        parts = {name: mean for name, mean in self.means.items() if name != "loss" and not math.isnan(mean)}
        sign = 1.0 if sum(parts.values()) >= 0 else -1.0
        strongest = max((name for name in parts if name != "ways"), key=lambda name: sign * parts[name], default="")
        return strongest if strongest and sign * parts[strongest] > 0 else ""

    @property
    def _step(self) -> float:
        """Nats of all that a step does, without what the loss adds."""
        return sum(nats for name, nats in self.means.items() if name != "loss")

    @property
    def factors(self) -> tuple[Factor, ...]:
        """What `means` multiply the gradient by; none where they are not known."""
        if math.isnan(self.rate):
            return ()
        return tuple(Factor(name, _called(name, self), math.exp(nats)) for name, nats in self.means.items())

    @property
    def resolved(self) -> bool:
        """Whether no gradient was rounded to nothing."""
        return not bool(self.gain.isnan().any())

    @property
    def words(self) -> str:
        """All this in words."""
        return self.note or self.explain("exploding" if self._step > 0 else "vanishing")

    def explain(self, verdict: str) -> str:
        """Say what a step does, and of a verdict that it leads to what is mainly the cause; "" where nothing is known."""
        if not len(self.gain):
            return ""
        step = self._step
        leads = step < 0 if verdict == "vanishing" else step > 0 and verdict == "exploding"
        main = self.main if leads or self.main == "step" else ""
        return _in_words(self, main)


def _in_words(cause: Cause, main: str) -> str:
    """Say what a step back does, which parts it is made of, and which of them is mainly the cause."""
    means, kept, keeps = cause.means, cause.kept, cause.keeps
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
    elif not keeps and cause.carried:
        told = " and ".join(f"{_share(share)} of {name}" for name, share in cause.carried.items())
        said.append(f"A step keeps {told}.")
    total = f"A step back multiplies the gradient by {_factor(step)}"
    named = [
        f"{_factor(nats)} ({_called(name, cause)})" for name, nats in parts.items() if _tells(name, nats, cause.plain)
    ]
    said.append(f"{total}: {' × '.join(named)}." if len(named) > 1 else f"{total}.")
    if main == "step":
        said.append(f"The equations of {cause.cell} are not taken apart: {cause.untaken}.")
    elif main and abs(step) >= SMALL:
        said.append(f"Mainly {_called(main, cause)} {'is' if main in SINGULAR else 'are'} the cause.")
    if abs(means["loss"]) >= SMALL:
        rate = sum(means.values())
        said.append(f"More comes in on the way, past the step; with it, {_factor(rate)} a step is left.")
    return " ".join(said)


def _tells(name: str, nats: float, plain: bool) -> bool:
    return abs(nats) >= SMALL or (plain and name in ("weights", "slopes"))


def _called(name: str, cause: Cause) -> str:
    if name == "weights" and not cause.has_matrix:
        return "learnt factors"
    return f"{cause.around}, around the cell" if name == "around" and cause.around else NAMES[name]


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


def mean(values: Tensor) -> float:
    """Of those that are numbers; nan where none is."""
    there = values[~values.isnan()]
    return float(there.mean()) if len(there) else math.nan
