"""What else torch does with a layer: hooks, parametrizations, copies, modes of its own, forks."""

import copy
import itertools
import os
import pickle

import pytest
import torch
from impure_cells import COUNTS, Local, Reading, X, built
from torch import nn
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook
from torch.nn.utils import parametrizations, parametrize

from rnnvanish import Recurrent, cells
from rnnvanish.engine import programs
from rnnvanish.engine import run as engine_run


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


@pytest.mark.parametrize("layer", ["from_x", "from_y", "from_z"])
def test_a_constrained_weight_is_taken_for_no_other_of_its_shape(layer):
    ours = Recurrent(cells.CoRNN, 6, 6, engine="cpu", dt=1.0, epsilon=1.0).double()
    parametrizations.weight_norm(ours.cells[0].get_submodule(layer))
    x, results = torch.randn(5, 2, 6).double(), []
    for ours.engine in ("cpu", "reference"):
        ours.zero_grad()
        y = ours(x)[0]
        y.square().sum().backward()
        results.append([y.detach(), *(weight.grad for weight in ours.parameters())])
    torch.testing.assert_close(*results, rtol=1e-10, atol=1e-10)


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
