"""What each cure costs: the time of a training step and the parameters, as multiples of those of the network as it is drawn.

The time is a stored measurement: `python -m rnnvanish.experiments.cure_prices` makes it anew.
"""

import time
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from itertools import product
from typing import Any, NamedTuple

import torch
from torch import nn

from rnnvanish import mitigations
from rnnvanish.experiments.cure_study import CELLS
from rnnvanish.experiments.cures import written
from rnnvanish.records import ledger
from rnnvanish.records.provenance import provenance
from rnnvanish.studies.trial import Trial, build

#: Of the record: the prices, and where they were measured.
RECORD = "cures.prices"
LAG, REPEATS = 60, 40


class Price(NamedTuple):
    """What a cure costs.

    Attributes:
        step: Time of a training step, as a multiple of that of the network as it is drawn.
        parameters: Number of weights, likewise.
    """

    step: float
    parameters: float


@cache
def record() -> dict[str, Any]:
    """The stored prices, by cure and network, and where they were measured.

    Raises:
        NotStored: There are none.
    """
    return ledger.read(RECORD)


def price(cure: str, network: str) -> Price | None:
    """The stored price of a cure on a network; None where it was not measured."""
    known = record()["prices"].get(cure, {}).get(network)
    return known and Price(*known)


def measure(cure: str, network: str, lag: int = LAG, repeats: int = REPEATS) -> Price:
    """Measure a cure against the network as it is drawn: steps of both in turns, of each the fastest."""
    untreated = Trial(CELLS[network], "recall", lag, check_every=20)
    trials = (untreated, replace(untreated, mitigations=cure))
    steps, parameters = zip(*map(_step, trials), strict=True)
    for step in steps:  # compiles
        step()
    times = [[_seconds(step) for step in steps] for _ in range(repeats)]
    plain, treated = (min(each) for each in zip(*times, strict=True))
    return Price(treated / plain, parameters[1] / parameters[0])


def _step(trial: Trial) -> tuple[Callable[[], None], int]:
    """A training step on sequences of full length, and how many parameters it trains."""
    torch.manual_seed(trial.seed)
    learner, data = build(trial)
    batch = data.task.sample(trial.batch_size, torch.Generator().manual_seed(trial.seed))
    optimizer = learner.build_optimizer()

    def step() -> None:
        for regime in learner.regimes:
            regime.begin(learner, 0)
        optimizer.zero_grad()
        loss, penalty = learner.losses(batch)
        (loss if penalty is None else loss + penalty).backward()
        for rule in learner.rules:
            rule.apply(learner.parameters())
        if not learner.rules:
            nn.utils.clip_grad_norm_(learner.parameters(), 1.0)
        optimizer.step()

    return step, sum(each.numel() for each in learner.parameters())


def _seconds(step: Callable[[], None]) -> float:
    start = time.thread_time()  # not of others on the same processor
    step()
    return time.thread_time() - start


def main() -> None:
    """Measure every cure on every network that it takes, and store it."""
    torch.set_num_threads(1)
    prices: dict[str, dict[str, Price]] = {}
    for name, network in product(mitigations.ALL, CELLS):
        try:
            found = measure(written(name), network)
        except ValueError:  # it does not take this network
            continue
        prices.setdefault(name, {})[network] = Price(*(round(each, 3) for each in found))
        print(name, network, *prices[name][network], flush=True)
    ledger.write(RECORD, {"prices": prices, "lag": LAG, "repeats": REPEATS, "provenance": provenance()})


if __name__ == "__main__":
    main()
