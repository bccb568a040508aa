"""Threads: programs are made one at a time, of copies, and nothing that is all threads' is switched and put back."""

import threading
import time

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, parametrize

from rnnvanish import Recurrent, cells, mitigations
from rnnvanish.engine import programs
from rnnvanish.engine import run as engine_run

THREADS, ROUNDS = 8, 3
X = torch.randn(40, 16, 5, generator=torch.Generator().manual_seed(0))


def built(cell, constrained=False):
    torch.manual_seed(0)
    layer = Recurrent(cell, 5, 8)
    return mitigations.OrthogonalConstraint()(layer) if constrained else layer


def numbers(layer):
    x = X.clone().requires_grad_()
    y, _ = layer(x)
    return [y.detach(), *torch.autograd.grad(y.square().sum(), [x, *layer.parameters()])]


def together(*runs):
    """Run all at once, from one moment on; errors are the test's."""
    start, errors = threading.Barrier(len(runs)), []

    def begin(run):
        start.wait()
        try:
            run()
        except BaseException as error:  # noqa: BLE001
            errors.append(error)

    threads = [threading.Thread(target=begin, args=(run,)) for run in runs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors, errors


@pytest.mark.parametrize("constrained", [False, True], ids=["free", "constrained"])
@pytest.mark.parametrize("shared", [False, True], ids=["a layer each", "one layer"])
def test_first_use_in_eight_threads(shared, constrained, monkeypatch):
    elsewhere = parametrizations.weight_norm(nn.Linear(5, 5))
    optimizer = torch.optim.SGD(elsewhere.parameters(), 0.1)
    moved, over = [], threading.Event()

    def train():
        while not over.is_set():
            optimizer.zero_grad()
            elsewhere(X[0]).square().sum().backward()
            before = elsewhere.weight.detach().clone()
            optimizer.step()
            moved.append(not torch.equal(elsewhere.weight, before))
            time.sleep(0.001)

    monkeypatch.setattr(engine_run, "_logged", set())
    watch = threading.Thread(target=train)
    watch.start()
    try:
        for cell in (cells.ALL["Elman"], cells.ALL["GRU"], cells.ALL["LSTM"]):
            monkeypatch.setattr(engine_run, "_programs", {})
            layers = (
                [built(cell, constrained)] * THREADS if shared else [built(cell, constrained) for _ in range(THREADS)]
            )
            oracle = built(cell, constrained)
            oracle.engine = "reference"
            expected, found = numbers(oracle), [[] for _ in layers]
            together(
                *(
                    lambda layer=layer, mine=mine: [mine.append(numbers(layer)) for _ in range(ROUNDS)]
                    for layer, mine in zip(layers, found, strict=True)
                )
            )
            for ours in (each for mine in found for each in mine):
                for one, other in zip(ours, expected, strict=True):
                    torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-3 * max(1e-3, float(other.abs().max())))
            assert len(engine_run._programs) == 1
            assert not engine_run._logged
    finally:
        over.set()
        watch.join()
    assert parametrize._cache_enabled == 0
    assert moved
    assert all(moved)


def test_making_a_program_draws_from_nobodys_generator(monkeypatch):
    """What another thread draws meanwhile is what it would have drawn alone."""
    monkeypatch.setattr(engine_run, "_programs", {})
    layer = mitigations.Zoneout()(built(cells.ALL["GRU"]))
    seeds = []

    def seen(*args):
        seeds.append(torch.get_rng_state())
        return verify(*args)

    from rnnvanish.engine import compile

    verify = compile.verify
    monkeypatch.setattr(compile, "verify", seen)
    torch.manual_seed(3)
    before, dtype = torch.get_rng_state(), torch.get_default_dtype()
    states = []
    monkeypatch.setattr(
        programs,
        "_insert",
        lambda *args, insert=programs._insert: states.append(torch.get_rng_state()) or insert(*args),
    )
    layer(X)
    assert len(seeds) == len(states) == 1
    assert torch.equal(seeds[0], before)
    assert torch.equal(states[0], before)
    assert torch.get_default_dtype() == dtype
