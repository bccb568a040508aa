"""What all mitigations say of themselves."""

from dataclasses import dataclass
from typing import ClassVar

from rnnvanish.cell import Paper


@dataclass(frozen=True)
class Mitigation:
    """What all mitigations say of themselves; a subclass is a frozen dataclass whose fields are its numbers.

    Attributes:
        paper: Where it comes from.
        checked: With what its equations and defaults were compared: authors' code with its commit, torch, or the paper; where
            these disagree, and where it departs from them.
        invariant: What is true of a network while it is treated, in words; a test trains a little and measures it.
        moment: When it acts, in words; the five kinds say so.
        needs: What a model must have for it, in words.
        usage: What a user types, with the cure itself in the place of {}, and `model`, `inputs`, `loss` for their own.
    """

    paper: ClassVar[Paper]
    checked: ClassVar[str]
    invariant: ClassVar[str]
    moment: ClassVar[str]
    needs: ClassVar[str] = "a recurrent layer"
    usage: ClassVar[str] = "model = {}(model)"
