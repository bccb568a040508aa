"""Looking changes nothing, refusing costs nothing: what cannot be compiled runs as the plain loop does, and no more."""

import gc
import itertools
import logging
import random
import subprocess
import sys
import time
import warnings

import numpy as np
import pytest
import torch
from impure_cells import COUNTS, STATS, Local, Odd, Reading, X, built, odd
from torch import nn

from rnnvanish import Recurrent

CALLS, LAST, COLLECTED = [], None, 0
NUMBERS = itertools.count()
TOTAL = torch.zeros(3)
DRAWN = np.random.default_rng(0)


def counts_for_its_class(self, x):
    type(self).count += 1
    return 0.0


def counts_in_a_buffer(self, x):
    self.total += 1
    return self.total.float().reshape(1)


def averages(self, x):
    self.mean.mul_(0.9).add_(0.1 * x.mean(0))
    return self.mean.sum().reshape(1)


def replaces_a_buffer(self, x):
    self.mean = self.mean * 0.9
    return self.mean.sum().reshape(1)


def normalises(self, x):
    return self.norm(x).sum(-1, keepdim=True)


def appends(self, x):
    self.seen.append(1)
    return 0.0


def fills(self, x):
    self.kept[len(self.kept)] = 1
    return 0.0


def writes_a_global(self, x):
    global LAST
    LAST = x
    return 0.0


def appends_to_a_global(self, x):
    CALLS.append(len(CALLS))
    return 0.0


def counts_in_a_global(self, x):
    STATS["steps"] += 1
    return 0.0


def prints(self, x):
    print("a step")
    return 0.0


def logs(self, x):
    logging.getLogger("of the tests").warning("a step")
    return 0.0


def warns(self, x):
    warnings.warn("a step", stacklevel=1)
    return 0.0


def draws_by_python(self, x):
    return random.random()


def draws_by_numpy(self, x):
    return float(np.random.rand())  # noqa: NPY002


def draws_by_a_generator(self, x):
    return float(DRAWN.normal())


def draws_a_mask(self, x):
    return torch.bernoulli(torch.full((1,), 0.5))


def takes_the_time(self, x):
    return 0.0 * time.time()


def takes_a_number(self, x):
    return 0.0 * next(NUMBERS)


def takes_its_number(self, x):
    return 0.01 * next(self.numbers)


def sets_by_name(self, x):
    setattr(self, "steps", self.steps + 1)  # noqa: B010
    return 0.0


def hooks_the_gradient(self, x):
    if x.requires_grad:
        x.register_hook(lambda gradient: CALLS.append(1))
    return 0.0


def imports(self, x):
    import random as other

    return other.random()


def asks_for_the_mode(self, x):
    return 0.1 if torch.is_grad_enabled() else 0.2


def counts_the_sequences(self, x):
    return 0.1 if len(x) == 1 else 0.2


def asks_for_many_sequences(self, x):
    return 0.1 if x.shape[0] > 64 else 0.2


def asks_for_a_weight(self, x):
    return 0.1 if self.from_x.weight.requires_grad else 0.2


class Spied(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, gradient):
        CALLS.append(1)
        return gradient


def spies_on_the_way_back(self, x):
    return Spied.apply(x).mean(-1, keepdim=True)


def writes_into_a_tensor(self, x):
    TOTAL[:1].add_(1)
    return 0.0


WAYS = [
    COUNTS,
    odd("CountsTheSequences", counts_the_sequences),
    odd("AsksForManySequences", asks_for_many_sequences),
    odd("AsksForAWeight", asks_for_a_weight),
    odd("SpiesOnTheWayBack", spies_on_the_way_back),
    odd("WritesIntoATensor", writes_into_a_tensor),
    odd("CountsForItsClass", counts_for_its_class),
    odd("CountsInABuffer", counts_in_a_buffer, total=lambda: torch.zeros((), dtype=torch.long)),
    odd("Averages", averages, mean=lambda: torch.zeros(5)),
    odd("ReplacesABuffer", replaces_a_buffer, mean=lambda: torch.ones(5)),
    odd("Normalises", normalises, norm=lambda: nn.BatchNorm1d(5)),
    odd("NormalisesAlone", normalises, norm=lambda: nn.BatchNorm1d(5, track_running_stats=False)),
    odd("Appends", appends),
    odd("Fills", fills),
    odd("WritesAGlobal", writes_a_global),
    odd("AppendsToAGlobal", appends_to_a_global),
    odd("CountsInAGlobal", counts_in_a_global),
    odd("Prints", prints),
    odd("Logs", logs),
    odd("Warns", warns),
    odd("DrawsByPython", draws_by_python),
    odd("DrawsByNumpy", draws_by_numpy),
    odd("DrawsByAGenerator", draws_by_a_generator),
    odd("DrawsAMask", draws_a_mask),
    odd("TakesTheTime", takes_the_time),
    odd("TakesANumber", takes_a_number),
    odd("TakesItsNumber", takes_its_number, numbers=itertools.count),
    odd("SetsByName", sets_by_name),
    odd("HooksTheGradient", hooks_the_gradient),
    odd("Imports", imports),
    odd("AsksForTheMode", asks_for_the_mode),
]


def everything(layer, out):
    """All that a run could have changed."""
    cell = layer.cells[0]
    plain = {name: value for name, value in vars(cell).items() if isinstance(value, int | float | str | list | dict)}
    plain = {name: repr(value) for name, value in plain.items() if not name.startswith("_")}
    buffers = [each.clone() for each in layer.state_dict().values()]
    outside = repr(
        (
            CALLS,
            TOTAL.tolist(),
            STATS,
            LAST is None,
            type(cell).count,
            NUMBERS,
            DRAWN.bit_generator.state,
            random.getstate(),
        )
    )
    return buffers, (plain, outside, out, repr(np.random.get_state())), torch.get_rng_state()  # noqa: NPY002


def run(cell, engine, capsys, caplog):
    """Numbers of two runs, and all that they leave."""
    global LAST, NUMBERS, DRAWN
    LAST, NUMBERS, DRAWN = None, itertools.count(), np.random.default_rng(0)
    CALLS.clear()
    TOTAL.zero_()
    STATS["steps"] = Odd.count = 0
    if "count" in vars(cell):
        del cell.count
    layer = built(cell)
    layer.engine = engine
    torch.manual_seed(1), random.seed(1), np.random.seed(1)  # noqa: NPY002
    capsys.readouterr(), caplog.clear()
    numbers = []
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        for _ in range(2):
            x = X.clone().requires_grad_()
            y, _ = layer(x)
            numbers += [y, *torch.autograd.grad(y.square().sum(), [x, *layer.parameters()], allow_unused=True)]
        with torch.no_grad():
            numbers.append(layer(X)[0])
    said = [each for each in caplog.records if each.name == "rnnvanish.engine"]
    told = [each for each in caplog.records if each.name != "rnnvanish.engine"]
    warned = [each for each in warned if "a step" in str(each.message)]
    return numbers, everything(layer, (capsys.readouterr().out, len(told), len(warned))), said


@pytest.mark.parametrize("cell", WAYS, ids=[way.__name__ for way in WAYS])
def test_a_step_that_does_something_besides(cell, capsys, log, monkeypatch):
    own = random.Random()  # the checks of annotations draw from the one that is everybody's
    for name in ("random", "seed", "getstate"):
        monkeypatch.setattr(random, name, getattr(own, name))
    expected, left, _ = run(cell, "reference", capsys, log)
    ours, ours_left, said = run(cell, "auto", capsys, log)
    for one, other in zip(ours, expected, strict=True):
        assert one is other or torch.equal(one, other)
    assert all(map(torch.equal, ours_left[0], left[0]))
    assert ours_left[1] == left[1]
    assert torch.equal(ours_left[2], left[2])
    assert len(said) == 1
    assert f"{cell.__name__} runs as a plain Python loop" in said[0].getMessage()


#: Python 3.12 and 3.13 hand out the instructions of the first step that a process looks at only if they are asked, each in its way.
FIRST = """
import torch
from rnnvanish.engine.cache.side_effects import Sandbox
from rnnvanish.engine.ir.unsupported import Unsupported
class Step(torch.nn.Module):
    count = 0
    def forward(self):
        type(self).count += 1
for way in "first", "second":
    try:
        Sandbox(step := Step())(step)
    except Unsupported as reason:
        print(Step.count, reason)
"""


def test_the_first_step_of_a_process_is_ended_before_it_writes():
    ran = subprocess.run([sys.executable, "-c", FIRST], capture_output=True, text=True, check=True)
    assert ran.stdout == "0 way to follow its step: it sets the attribute count\n" * 2


@pytest.mark.parametrize("cell", [Reading, Local])
def test_what_a_step_makes_for_itself_it_may_change(cell, capsys, log):
    expected, *_ = run(cell, "reference", capsys, log)
    ours, _, said = run(cell, "auto", capsys, log)
    assert not said
    for one, other in zip(ours, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4 * float(other.abs().max()))


def calm(self, x):
    return x[:, :1] * len([[each] for each in range(100)]) / 100  # makes what there is to collect


@pytest.mark.parametrize("wanted", [True, False])
def test_what_runs_when_garbage_is_collected_is_none_of_the_step(wanted):
    """Others are told of a collection, which may come at any moment: it was taken for something that the step does."""
    told = []

    def count(phase, info):
        global COLLECTED
        COLLECTED += 1
        told.append(phase)

    before = gc.get_threshold(), gc.isenabled()
    gc.callbacks.append(count)
    gc.set_threshold(1)
    (gc.enable if wanted else gc.disable)()
    try:
        layer = Recurrent(odd(f"Collected{wanted}", calm), 5, 7, engine="cpu")  # which says why where it cannot
        assert layer(X)[0].isfinite().all()
        assert gc.isenabled() == wanted
    finally:
        gc.set_threshold(*before[0])
        (gc.enable if before[1] else gc.disable)()
        gc.callbacks.remove(count)
    assert bool(told) == wanted
