"""Batches are drawn once, at the door: everything inside is measured on the same ones, and no loader is asked again."""

import multiprocessing

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

from rnnvanish import diagnose
from rnnvanish.diagnosis.advice.trials import try_cures
from rnnvanish.diagnosis.assertion import assert_retention
from rnnvanish.diagnosis.find_faults import find
from rnnvanish.probes import bypass, depth, resolution, retention, sensitivity, shares

READ = []  # the sum of every batch that a model ran on; a snapshot of a model does not reach here


class Reader(nn.Module):
    def __init__(self):
        super().__init__()
        self.memory = nn.RNN(2, 6, batch_first=True)

    def forward(self, x):
        if self.training:  # in eval mode faults are looked for, on batches in which one sequence is replaced
            READ.append(round(float(x.detach().double().sum()), 4))
        return self.memory(x)[0][:, -1]


class ReadsOn(IterableDataset):
    """Goes on where the iterator before has stopped: no batch is ever given twice."""

    def __init__(self):
        self.given = 0

    def __iter__(self):
        while True:
            self.given += 1
            yield torch.randn(3, 25, 2, generator=torch.Generator().manual_seed(self.given))


class Counted(DataLoader):
    iterators = 0

    def __iter__(self):
        Counted.iterators += 1
        return super().__iter__()


def read_end(output):
    return output.sum()


MEASURES = {
    "diagnose": lambda model, loader: diagnose(model, loader, loss=read_end, batches=2, train=1, lag=9),
    "retention": lambda model, loader: retention(model, loader, batches=2),
    "try_cures": lambda model, loader: try_cures(
        model, loader, None, retention(model, torch.randn(3, 25, 2)), batches=2
    ),
    "assert_retention": lambda model, loader: assert_retention(model, loader, lag=1),
    "find": lambda model, loader: find(model, loader),
    **{each.__name__: each for each in (bypass, depth, resolution, sensitivity, shares)},
}
DRAWN = {"diagnose": 2, "retention": 2, "try_cures": 2, "assert_retention": 8}


@pytest.mark.parametrize("name", MEASURES)
def test_a_stream_is_asked_once_for_what_was_asked_for(name):
    torch.manual_seed(0)
    data, model, Counted.iterators = ReadsOn(), Reader(), 0
    MEASURES[name](model, Counted(data, batch_size=None))
    assert Counted.iterators == 1
    assert data.given == DRAWN.get(name, 1)


def test_baseline_and_cure_see_the_same_batches():
    torch.manual_seed(0)
    data, model = ReadsOn(), Reader()
    READ.clear()
    report = diagnose(model, DataLoader(data, batch_size=None), loss=read_end, batches=2, train=1)
    assert any(curve.advice for curve in report.curves.values())
    batches = (torch.randn(3, 25, 2, generator=torch.Generator().manual_seed(seed)) for seed in (1, 2))
    assert set(READ) == {round(float(batch.double().sum()), 4) for batch in batches}


def test_the_generator_of_a_sampler_is_left_as_it_was():
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(7)
    loader = DataLoader(TensorDataset(torch.randn(12, 25, 2)), batch_size=3, shuffle=True, generator=generator)
    before = generator.get_state()
    diagnose(Reader(), loader, batches=2)
    assert torch.equal(generator.get_state(), before)


def test_workers_are_started_once():
    torch.manual_seed(0)
    started = multiprocessing.get_context("fork").Value("i", 0)

    def start(worker):
        with started.get_lock():
            started.value += 1

    data = torch.randn(12, 25, 2)
    options = {"num_workers": 2, "worker_init_fn": start, "multiprocessing_context": "fork"}
    diagnose(Reader(), DataLoader(data, batch_size=3, **options), batches=2)
    assert started.value == 2
