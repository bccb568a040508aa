"""Floors of the tasks, computed again in another way."""

import collections
import math
import statistics

import pytest
import torch
from drawn_batches import draw

from rnnvanish.tasks import (
    Adding,
    Copying,
    DelayedXOR,
    Digits,
    Multiplication,
    Recall,
    Sunspots,
    TemporalOrder,
    Text,
    Vowels,
    text,
)


def test_floor_of_adding_is_the_best_that_a_constant_costs():
    """The misprinted 0.1767 is far outside: the standard error of this mean is 0.0003."""
    targets = draw(Adding(length=10), 400_000).targets.double()
    costs = {c: (targets - c).square().mean().item() for c in (0.9, 1.0, 1.1)}
    assert min(costs, key=costs.get) == 1.0
    assert costs[1.0] == pytest.approx(Adding().floor, abs=0.001)


@pytest.mark.parametrize("length", [4, 30, 100])
def test_floor_of_multiplication_is_the_best_that_a_constant_costs(length):
    targets = draw(Multiplication(length), 400_000).targets.double()
    assert targets.var().item() == pytest.approx(Multiplication(length).floor, rel=0.01)


@pytest.mark.parametrize("task", [TemporalOrder(), DelayedXOR(7, 50)], ids=repr)
def test_floor_of_answers_that_are_all_alike_is_what_chance_costs(task):
    batch = draw(task, 4000)
    guess = torch.zeros(*batch.targets.shape, task.output_size)
    if isinstance(task, DelayedXOR):
        guess[:14, :, 0] = 1e9
    assert task.loss(guess, batch).item() == pytest.approx(task.floor, rel=1e-5)
    assert task.score(guess, batch) == pytest.approx(1 / task.output_size, abs=0.03)
    counts = batch.targets[14:].flatten() if isinstance(task, DelayedXOR) else batch.targets
    assert (counts.bincount() / len(counts) * task.output_size).tolist() == pytest.approx(
        [1] * task.output_size, abs=0.1
    )


@pytest.mark.parametrize("delay", [1, 50, 100])
def test_floor_of_copying_is_what_blanks_then_any_symbol_cost(delay):
    task = Copying(delay)
    batch = draw(task, 20)
    guess = torch.full((delay + 20, 20, 9), -1e9)
    guess[:-10, :, 0] = 0.0
    guess[-10:, :, 1:] = 0.0
    assert task.loss(guess, batch).item() == pytest.approx(task.floor, rel=1e-6)
    assert task.score(guess, draw(task, 2000)._replace(targets=batch.targets)) == pytest.approx(1 / 8, abs=0.1)


def test_floor_of_copying_as_printed():
    assert Copying(100).floor == pytest.approx(0.173287, abs=1e-6)
    assert Copying(1000).floor == pytest.approx(0.020387, abs=1e-6)


@pytest.mark.parametrize("task", [Recall(), Digits(), Vowels(), Text()], ids=repr)
def test_floor_of_classes_is_what_counted_frequencies_cost(task):
    """Count the train part by hand, pay for the test part with the task's own loss."""
    if isinstance(task, Text):
        train, test = (text._parts()[part].tolist() for part in ("train", "test"))
    else:
        train = draw(
            task, 100_000 if isinstance(task, Recall) else {10: 1442, 9: 270}[task.output_size]
        ).targets.tolist()
        test = draw(task, task.test_count, "test").targets.tolist()
    counted = collections.Counter(train)
    cost = statistics.fmean(-math.log(counted[c] / len(train)) for c in test)
    assert task.floor == pytest.approx(cost, rel=1e-3 if isinstance(task, Recall) else 1e-9)


def test_floor_of_sunspots_is_what_the_mean_before_1910_costs():
    from statsmodels.datasets import sunspots

    raw = sunspots.load_pandas().data
    spots = raw.SUNACTIVITY.tolist()
    mean, deviation = statistics.fmean(spots[:210]), statistics.stdev(spots[:210])
    for window in (5, 30):
        cost = statistics.fmean(((value - mean) / deviation) ** 2 for value in spots[210 + window :])
        assert Sunspots(window).floor == pytest.approx(cost, rel=1e-5)
