"""Looking changes nothing, refusing costs nothing: what cannot be compiled runs as the plain loop does, and no more."""

import copy
import itertools
import logging
import os
import pickle
import random
import time
import warnings

import numpy as np
import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook
from torch.nn.utils import parametrizations, parametrize

from rnnvanish import Recurrent
from rnnvanish.cell import Cell, Paper
from rnnvanish.engine import programs
from rnnvanish.engine import run as engine_run

X = torch.randn(40, 16, 5, generator=torch.Generator().manual_seed(0))
CALLS, STATS, LAST = [], {"steps": 0}, None
NUMBERS = itertools.count()
TOTAL = torch.zeros(3)
DRAWN = np.random.default_rng(0)


@pytest.fixture
def log(caplog, monkeypatch):
    monkeypatch.setattr(engine_run, "_logged", set())
    caplog.set_level(logging.WARNING, logger="rnnvanish.engine")
    return caplog


class Odd(Cell):
    """A step that does something besides; each way is one method."""

    paper = Paper("-", 2026, "written for the tests", "-")
    count = 0

    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.from_x, self.from_h = nn.Linear(input_size, hidden_size), nn.Linear(hidden_size, hidden_size)
        self.steps, self.seen, self.kept = 0, [], {}

    def forward(self, x, state):
        return (torch.tanh(self.from_x(x) + self.from_h(state[0]) + self.besides(x)),)


def odd(name, besides, **parts):
    """A class of such a cell; `parts` are made anew for each."""

    def start(self, input_size, hidden_size):
        Odd.__init__(self, input_size, hidden_size)
        for part, make in parts.items():
            value = make()
            if isinstance(value, torch.Tensor):
                self.register_buffer(part, value)
            else:
                setattr(self, part, value)

    return type(name, (Odd,), {"besides": besides, "__init__": start})


def counts(self, x):
    self.steps += 1
    return 0.0


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


COUNTS = odd("Counts", counts)
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


def built(cell):
    torch.manual_seed(0)
    return Recurrent(cell, 5, 8)


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


class Reading(Odd):
    """Near misses: what only looks like one of those."""

    def besides(self, x):
        found, total = [], 0.0
        for each in (0.1, 0.2):
            found.append(each)
            total += each
        if self.kept:
            print("never")
        rows = x.clone()
        rows.mul_(0.5)
        return sum(found) * rows.mean(-1, keepdim=True) * min(1.0, total + STATS["steps"])


class Local(Odd):
    def besides(self, x):
        x = x + x.new_zeros(len(x), x.shape[1])
        found = {"gain": 0.1}
        found["gain"] += 0.2
        return found["gain"] * x.mean(-1, keepdim=True)


@pytest.mark.parametrize("cell", [Reading, Local])
def test_what_a_step_makes_for_itself_it_may_change(cell, capsys, log):
    expected, *_ = run(cell, "reference", capsys, log)
    ours, _, said = run(cell, "auto", capsys, log)
    assert not said
    for one, other in zip(ours, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4 * float(other.abs().max()))


def test_hooks_of_all_modules_and_of_one_are_called_at_every_step(log):
    layer = built(Reading)
    layer.cells[0].kept = {}
    layer(X)
    for register in (
        register_module_forward_hook,
        register_module_forward_pre_hook,
        layer.cells[0].from_x.register_forward_hook,
    ):
        seen = []
        with register(lambda module, *args, seen=seen: seen.append(module)):
            layer(X)
        assert seen.count(layer.cells[0].from_x) == len(X)


def test_constrained_weights_are_computed_once_a_run_and_nothing_of_torchs_is_switched(log):
    class Counted(nn.Module):
        calls = 0

        def forward(self, weight):
            type(self).calls += 1
            assert parametrize._cache_enabled == 0
            return weight * 0.5

    for cell, engine in itertools.product((Reading, COUNTS), ("auto", "reference")):
        layer = built(cell)
        layer.engine = engine
        parametrize.register_parametrization(layer.cells[0].from_h, "weight", Counted())
        twin = built(cell)
        with torch.no_grad():
            twin.cells[0].from_h.weight.mul_(0.5)
        for _ in range(2):
            Counted.calls = 0
            x = X.clone().requires_grad_()
            torch.testing.assert_close(layer(x)[0], twin(X)[0])
            assert Counted.calls == 1
        if cell is COUNTS:
            assert layer.cells[0].steps == 2 * len(X)
        layer(x)[0].sum().backward()
        twin(X)[0].sum().backward()
        original = layer.cells[0].from_h.parametrizations.weight.original
        torch.testing.assert_close(original.grad, 0.5 * twin.cells[0].from_h.weight.grad, rtol=1e-4, atol=1e-4)
        assert isinstance(layer.cells[0].from_h, nn.Linear)
        assert "weight" not in layer.cells[0].from_h._parameters


def test_spectral_norm_learns_its_vectors_as_it_does_in_the_plain_loop():
    found = []
    for engine in ("reference", "auto"):
        layer = built(Reading)
        layer.engine = engine
        torch.manual_seed(2)
        parametrizations.spectral_norm(layer.cells[0].from_h)
        outputs = [layer(X)[0].detach() for _ in range(3)]
        found.append((outputs, [each.clone() for each in layer.state_dict().values()]))
    (plain, held), (ours, ours_held) = found
    assert all(map(torch.equal, held, ours_held))
    for one, other in zip(ours, plain, strict=True):
        torch.testing.assert_close(one, other)


def test_a_copy_of_a_used_layer_is_a_layer_of_its_own():
    layer = built(Reading)
    y = layer(X)[0]
    before = set(vars(layer.cells[0]))
    twin = copy.deepcopy(layer)
    torch.testing.assert_close(twin(X)[0], y)
    assert set(vars(layer.cells[0])) == before


def test_modes_in_which_a_loop_is_only_described(log):
    layer = built(Local)
    y = layer(X)[0]
    traced = torch.jit.trace(layer, (X,), check_trace=False)
    torch.testing.assert_close(traced(2 * X)[0], layer(2 * X)[0])
    assert built(Local).to("meta")(X.to("meta"))[0].shape == y.shape
    with FakeTensorMode():
        assert isinstance(built(Local)(torch.randn(40, 16, 5))[0], FakeTensor)

    class Mine(torch.Tensor):
        pass

    assert type(layer(X.as_subclass(Mine))[0]) is Mine
    exported = torch.export.export(layer, (X,)).module()
    torch.testing.assert_close(exported(X)[0], y)
    weights = {name: 2 * each for name, each in layer.named_parameters()}
    doubled = copy.deepcopy(layer)
    doubled.load_state_dict(weights)
    torch.testing.assert_close(torch.func.functional_call(layer, weights, (X,))[0], doubled(X)[0])
    again = pickle.loads(pickle.dumps(layer))
    torch.testing.assert_close(again(X)[0], y)
    reasons = " ".join(log.messages)
    for word in ("torch.jit.trace", "code generator for meta", "FakeTensor", "class Mine"):
        assert word in reasons


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_child_makes_programs_whoever_made_one_when_it_was_forked():
    layer = built(Local)
    y = layer(X)[0]
    programs._lock.acquire()
    try:
        child = os.fork()
        if child == 0:
            fine = torch.allclose(layer(X)[0], y) and torch.allclose(built(Reading)(X)[0], built(Reading)(X)[0])
            os._exit(0 if fine else 1)
    finally:
        programs._lock.release()
    assert os.waitpid(child, 0)[1] == 0


def test_whatever_the_engine_stumbles_over_the_plain_loop_runs(log, monkeypatch):
    from rnnvanish.engine.cache import serialise

    monkeypatch.setattr(serialise, "load", lambda name: 1 / 0)
    monkeypatch.setattr(engine_run, "_programs", {})
    layer = built(Local)
    assert layer(X)[0].shape == (40, 16, 8)
    assert "ZeroDivisionError" in log.text
