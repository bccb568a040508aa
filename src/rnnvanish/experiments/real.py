"""Real data: a network as torch draws it against one whose start was mended."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from rnnvanish import plots
from rnnvanish.experiments.small import seeded
from rnnvanish.mitigations import Chrono, OrthogonalStart
from rnnvanish.probes import retention
from rnnvanish.task import Task
from rnnvanish.tasks import Digits, Vowels

HIDDEN, STEPS, BATCH = 48, 200, 64
NETWORKS: dict[str, Callable[[int], nn.Module]] = {
    "RNN, default": lambda features: nn.RNN(features, HIDDEN),
    "RNN, orthogonal start": lambda features: OrthogonalStart()(nn.RNN(features, HIDDEN)),
    "LSTM, default": lambda features: nn.LSTM(features, HIDDEN),
    "LSTM, chrono start": lambda features: Chrono(64)(nn.LSTM(features, HIDDEN)),
}
TASKS: dict[str, Task] = {"digits": Digits(), "speakers": Vowels()}


class Classifier(nn.Module):
    """A recurrent layer, and an answer read off its last valid output; time first, padded."""

    def __init__(self, layer: nn.Module, task: Task) -> None:
        super().__init__()
        self.layer = layer
        self.answer = nn.Linear(HIDDEN, task.output_size)

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Answer, (batch, outputs)."""
        output = self.layer(x)[0]
        last = output[-1] if lengths is None else output[lengths - 1, torch.arange(x.shape[1])]
        answer: Tensor = self.answer(last)
        return answer


@dataclass(frozen=True)
class Result:
    """What came out: half-life before training in steps, part of the test set that is right, seconds of training."""

    half_life: float
    right: float
    seconds: float


def run(network: str, task: Task, seed: int = 0, steps: int = STEPS) -> Result:
    """Measure the half-life on the task's own data, train, and test."""
    with seeded(seed):
        model = Classifier(NETWORKS[network](task.input_size), task)
    generator = torch.Generator().manual_seed(seed)
    first = task.sample(16, generator)
    shortest = len(first.inputs) if first.lengths is None else int(first.lengths.min())
    half_life = next(iter(retention(model.layer, first.inputs[:shortest]).values())).half_life
    rule = torch.optim.Adam(model.parameters(), lr=3e-3)
    start = time.perf_counter()
    for _ in range(steps):
        batch = task.sample(BATCH, generator)
        rule.zero_grad()
        task.loss(model(batch.inputs, batch.lengths), batch).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        rule.step()
    seconds = time.perf_counter() - start
    test = task.sample(task.test_count, generator, "test")
    with torch.no_grad():
        right = task.score(model(test.inputs, test.lengths), test)
    return Result(half_life, right, seconds)


def table() -> None:
    """Show the results of every network on every task, on a page."""
    rows = [
        f"| {data} | {network} | {result.half_life:.1f} | {100 * result.right:.0f} % | {result.seconds:.1f} |"
        for data, task in TASKS.items()
        for network in NETWORKS
        for result in [run(network, task)]
    ]
    plots.say(
        "| data | network | half-life before training, in steps | right, on data not seen | seconds of training |\n"
        "|---|---|---|---|---|\n" + "\n".join(rows)
    )
