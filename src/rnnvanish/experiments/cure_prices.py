"""What each cure costs: time, memory and parameters of a training step, as multiples of those of the network as it is drawn.

They are stored measurements: `python -m rnnvanish.experiments.cure_prices` makes them anew.
"""

import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from dataclasses import replace
from functools import cache
from itertools import product
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

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
        memory: The most that autograd keeps for the way back at a time, beside weights and batch, likewise;
            None for a cure that computes with `torch.func`, where torch shows nobody what is kept.
    """

    step: float
    parameters: float
    memory: float | None


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


class Training(NamedTuple):
    """A training to measure.

    Attributes:
        step: Takes a training step.
        given: Its weights and its batch.
        parameters: How many weights it trains.
    """

    step: Callable[[], None]
    given: list[Tensor]
    parameters: int


def prices(cure: str, networks: Collection[str]) -> dict[str, Price]:
    """The stored prices of a cure on these networks; of none on those that most take."""
    known = {network: price(cure, network) for network in networks or ("tanh", "LSTM", "GRU")}
    return {network: each for network, each in known.items() if each}


def measure(cure: str, network: str, lag: int = LAG, repeats: int = REPEATS) -> Price:
    """Measure a cure against the network as it is drawn: steps of both in turns, of each the fastest."""
    untreated = Trial(CELLS[network], "recall", lag, check_every=20)
    trainings = [_training(trial) for trial in (untreated, replace(untreated, mitigations=cure))]
    for each in trainings:  # compiles
        each.step()
    times = [[_seconds(each.step) for each in trainings] for _ in range(repeats)]
    plain, treated = (min(each) for each in zip(*times, strict=True))
    return Price(treated / plain, trainings[1].parameters / trainings[0].parameters, _memory(*trainings))


def _memory(plain: Training, treated: Training) -> float | None:
    try:
        return kept_bytes(treated.step, treated.given) / kept_bytes(plain.step, plain.given)
    except RuntimeError as error:
        if "saved tensor hooks" not in str(error):
            raise
        return None


def kept_bytes(step: Callable[[], None], given: Iterable[Tensor]) -> int:
    """The most bytes that autograd keeps at a time while a step runs, without those of `given`.

    Each storage counts once, however many views of it are kept. Exact, where the peak of a process is mostly torch itself.
    """
    own, held = {each.untyped_storage().data_ptr() for each in given}, Counter[int]()
    now = peak = 0

    class Held:
        """What is kept, as long as it is."""

        def __init__(self, tensor: Tensor) -> None:
            nonlocal now, peak
            self.tensor, storage = tensor, tensor.untyped_storage()
            self.place, self.size = storage.data_ptr(), 0 if storage.data_ptr() in own else storage.nbytes()
            now += self.size * (held[self.place] == 0)
            held[self.place] += 1
            peak = max(peak, now)

        def __del__(self) -> None:
            nonlocal now
            held[self.place] -= 1
            now -= self.size * (held[self.place] == 0)

    with torch.autograd.graph.saved_tensors_hooks(Held, lambda kept: kept.tensor):
        step()
    return peak


def _training(trial: Trial) -> Training:
    """A training step on sequences of full length."""
    torch.manual_seed(trial.seed)
    learner, data = build(trial)
    batch = data.task.sample(trial.batch_size, torch.Generator().manual_seed(trial.seed))
    optimizer = learner.configure_optimizers()

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

    weights = list(learner.parameters())
    given = [*weights, *(each for each in batch if isinstance(each, Tensor))]
    return Training(step, given, sum(each.numel() for each in weights))


def _seconds(step: Callable[[], None]) -> float:
    start = time.thread_time()  # not of others on the same processor
    step()
    return time.thread_time() - start


def main() -> None:
    """Measure every cure on every network that it takes, and store it."""
    torch.set_num_threads(1)
    measured: dict[str, dict[str, list[float | None]]] = {}
    for name, network in product(mitigations.ALL, CELLS):
        try:
            found = measure(written(name), network)
        except ValueError:  # it does not take this network
            continue
        measured.setdefault(name, {})[network] = [each and round(each, 3) for each in found]
        print(name, network, *measured[name][network], flush=True)
    ledger.write(RECORD, {"prices": measured, "lag": LAG, "repeats": REPEATS, "provenance": provenance()})


if __name__ == "__main__":
    main()
