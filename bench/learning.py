"""How many steps it takes to learn: exact on one machine.

A change of a draw, of a cell or of its gradient moves it.
"""

import statistics
from typing import Any, ClassVar

from .common import QUICK, STUDIED, Missing, look_up, need, tabulate

#: Each task with the options that make it small, how often its score must be right in the running mean, and the most
#: steps that are taken: one that is not learnt by then counts with all of them.
TASKS: dict[str, tuple[dict[str, int], float, int]] = {
    "recall": ({"length": 10}, 0.95, 200),
    "adding": ({"length": 6}, 0.3, 300),
    "digits": ({}, 0.3, 100),
}
SEEDS, HIDDEN, BATCH, KEPT = 3, 32, 32, 0.9
MOST = 5 if QUICK else 10_000


def steps_to_learn(cell: str, task: str, seed: int) -> int:
    """Optimiser steps until the running mean of the score is high enough. Frozen, like the loop of `speed.py`."""
    import torch
    from torch import nn

    known, cells = need("rnnvanish.tasks").ALL, need("rnnvanish.cells").ALL
    if task not in known or cell not in cells:
        raise Missing(f"no {task if task not in known else cell} at this commit")
    options, learnt, most = TASKS[task]
    lesson = known[task](**options)
    torch.manual_seed(seed)
    layer: nn.Module = need("rnnvanish.recurrent").Recurrent(cells[cell], lesson.input_size, HIDDEN)
    answer = nn.Linear(HIDDEN, lesson.output_size)
    adam = torch.optim.Adam([*layer.parameters(), *answer.parameters()], lr=1e-2)
    generator, right = torch.Generator().manual_seed(seed), 0.0
    most = min(most, MOST)
    for step in range(1, most + 1):
        batch = lesson.sample(BATCH, generator)
        prediction = answer(layer(batch.inputs)[0][-1])
        adam.zero_grad()
        lesson.loss(prediction, batch).backward()
        nn.utils.clip_grad_norm_(layer.parameters(), 1.0)
        adam.step()
        right = KEPT * right + (1 - KEPT) * lesson.score(prediction, batch)
        if right >= learnt:
            return step
    return most


class Learning:
    """A layer of 32 units and a linear answer, taught by Adam."""

    version = "1"
    params: ClassVar = [list(TASKS), STUDIED]
    param_names: ClassVar = ["task", "cell"]

    def setup_cache(self) -> dict[Any, Any]:
        pairs = [(task, cell) for task in TASKS for cell in STUDIED]
        seeds = range(1 if QUICK else SEEDS)
        return tabulate(lambda pair: statistics.median(steps_to_learn(pair[1], pair[0], seed) for seed in seeds), pairs)

    setup_cache.timeout = 1200

    def track_steps(self, table: dict[Any, Any], task: str, cell: str) -> float:
        """Optimiser steps until the task is learnt, median over 3 seeds; the limit where it is not."""
        return look_up(table, (task, cell))

    track_steps.unit = "steps to learn"
