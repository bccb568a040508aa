"""A batch of a task, from a seed."""

import torch

from rnnvanish.task import Batch, Task


def draw(task: Task, count: int = 200, part: str = "train", seed: int = 0) -> Batch:
    return task.sample(count, torch.Generator().manual_seed(seed), part)
