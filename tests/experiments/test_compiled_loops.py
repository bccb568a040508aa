"""Compiled loops: what is compared is one function, and a ratio is what a clock says, whatever the machine does meanwhile."""

import itertools

import pytest
import torch

from rnnvanish import Recurrent, cells
from rnnvanish.experiments import compiled_loops
from rnnvanish.experiments.compiled_loops import PlainLoop, interleaved, record, times_faster, training_step


def test_the_loops_are_one_function_and_a_step_takes_all_gradients():
    torch.manual_seed(0)
    layer, x = Recurrent(cells.MGU, 3, 4), torch.randn(6, 2, 3)
    plain = PlainLoop(layer.cells[0])
    torch.testing.assert_close(plain(x), layer(x)[0])
    training_step(plain, x)()
    assert all(weight.grad is None for weight in plain.parameters())


def test_a_machine_that_slows_down_slows_all_alike(monkeypatch):
    clock, slow = [0.0], itertools.count(1)

    def takes(seconds):
        def step():
            clock[0] += seconds * next(slow)  # each call a little slower than the one before

        return step

    monkeypatch.setattr(compiled_loops.time, "process_time", lambda: clock[0])
    found = interleaved({"one": takes(1.0), "other": takes(3.0)}, rounds=40)
    assert len(found["one"]) == len(found["other"]) == 40
    assert times_faster(found, "one", "other") == pytest.approx(3.0, rel=0.1)
    assert times_faster(found, "one", "one") == 1


def test_what_is_stored_has_all_ways_and_says_where():
    measured = record()["measured"]
    assert list(measured) == ["plain", "Recurrent", "step", "loop"]
    assert all(each["first"] > 0 and each["other length"] > 0 for each in measured.values())
    assert measured["plain"]["faster"] == 1
    assert {"processor", "torch", "date"} <= set(record()["provenance"])
