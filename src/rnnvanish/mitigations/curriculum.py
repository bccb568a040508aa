r"""Short sequences first: the distance over which something has to be remembered grows while a network trains.

    length(step) = ⌈full · (start + (1 − start) · min(1, step / steps))⌉

Over a few steps a gradient arrives even where it would vanish over many. What has been learnt there is a start from which
the longer distance is one step further, not a search in the dark.
"""

import math
from dataclasses import dataclass, replace
from typing import Any, final

from rnnvanish.cell import Paper
from rnnvanish.mitigation import Regime
from rnnvanish.task import Task

#: No sequence is made shorter: one step leaves nothing to remember.
SHORTEST = 2


@final
@dataclass(frozen=True)
class Curriculum(Regime):
    """Train on sequences that grow evenly from a part of the full length; it is tested on the full length all along.

    Of a task the field that makes its sequences longer grows. In a loop of your own, ask `length` and draw as many steps.

    Args:
        steps: Steps of training until the sequences have their full length.
        start: Length at the first step, as a part of the full one.

    Raises:
        ValueError: For numbers out of range.

    Examples:
        >>> [Curriculum(steps=100, start=0.1).length(step, full=50) for step in (0, 50, 100)]
        [5, 28, 50]
    """

    steps: int = 500
    start: float = 0.1

    paper = Paper(
        "Zaremba & Sutskever",
        2014,
        "Learning to Execute",
        "https://arxiv.org/abs/1410.4615",
        where="as its naive curriculum, after Bengio, Louradour, Collobert & Weston (2009)",
    )
    checked = (
        "authors' code, wojciechz/learning_to_execute utils/strategies.lua @ 04a1659e47: it adds 1 to the length whenever "
        "training stalls, here it grows with the steps alone, so that a run can be repeated. The paper finds a mixture "
        "(`blend`: one batch in five of any length) better than this"
    )
    needs = "sequences that can be shorter"
    usage = "steps = {}.length(step, full=100)  # of the sequences that you draw for this step"
    invariant = "The length never falls, is `start` of the full one at the first step, and full from `steps` on."

    def __post_init__(self) -> None:
        if self.steps < 1 or not 0 < self.start <= 1:
            raise ValueError(f"Curriculum needs steps >= 1 and a start in (0, 1], got {self.steps} and {self.start}.")

    def length(self, step: int, full: int) -> int:
        """The length at a step, in steps of a sequence, at least 2 where the full one is."""
        part = self.start + (1 - self.start) * min(1.0, step / self.steps)
        return min(full, max(SHORTEST, math.ceil(round(full * part, 6))))

    def batch(self, task: Task, step: int, draw: Any) -> Any:
        """Draw of the same task, shorter.

        Raises:
            ValueError: For a task whose sequences are as long as its data.
        """
        field = task.length_field
        if not field:
            raise ValueError(
                f"Curriculum needs a task whose sequences can be shorter; those of {type(task).__name__} are as long as its data."
            )
        return draw(replace(task, **{field: self.length(step, getattr(task, field))}), step)
