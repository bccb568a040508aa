"""Weights of a `Recurrent` by torch's names: registered, saved, loaded, and taken away for what stands for them."""

import copy
import importlib
import io
import re

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, parametrize, prune
from torch_layers import EXACT, HIDDEN, INPUT, KINDS, both, names, torchs, x_of

from rnnvanish import Recurrent, cells

parallel_replicate = importlib.import_module("torch.nn.parallel.replicate")  # the package has a function of that name


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


@pytest.mark.parametrize("kind", KINDS)
def test_weights_go_by_torchs_names_in_torchs_order(kind):
    """So recipes by name and the states of an optimiser, which count parameters, find what they found in torch."""
    theirs, ours = both(kind)
    assert names(ours) == names(theirs)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    assert names(nn.Sequential(ours)) == names(nn.Sequential(theirs))
    assert list(nn.Sequential(ours).state_dict()) == list(nn.Sequential(theirs).state_dict())
    for module in (ours, copy.deepcopy(ours), pickled(ours), copy.deepcopy(ours).float(), ours.to("meta")):
        weights = dict(module.named_parameters())
        assert all(weights[name] is getattr(module, name) for name in names(theirs))
        assert module.cells[0].from_x.weight is weights["weight_ih_l0"]
        assert len(list(module.parameters())) == len(weights)


def test_a_layer_that_was_built_here_has_its_own_names_or_torchs():
    layer = Recurrent(cells.GRU, INPUT, HIDDEN)
    assert names(layer) == [f"cells.0.{where}.{what}" for where in ("from_x", "from_h") for what in ("weight", "bias")]
    layer.named_as_torch = True
    assert names(layer) == list(layer.state_dict()) == names(nn.GRU(INPUT, HIDDEN))
    parametrizations.weight_norm(layer, "weight_hh_l0")
    layer = Recurrent(cells.GRU, INPUT, HIDDEN, num_layers=2, skip="residual")  # torch could not hold it
    layer.named_as_torch = True
    assert "cells.0.from_x.weight" in names(layer)
    assert "cells.0.from_x.weight" in layer.state_dict()


def pickled(module):
    file = io.BytesIO()
    torch.save(module, file)
    file.seek(0)
    return torch.load(file, weights_only=False)


@pytest.mark.parametrize("assign", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_checkpoints_load_whatever_their_names(kind, assign):
    theirs, _ = both(kind)
    x = x_of()
    expected = theirs(x)
    built = Recurrent.from_torch(torchs(kind))
    built.named_as_torch = False
    for saved in (theirs, Recurrent.from_torch(theirs)):
        for layer in (Recurrent.from_torch(torchs(kind)), copy.deepcopy(built)):
            nn.ModuleDict({"rnn": layer}).load_state_dict(
                {f"rnn.{name}": value for name, value in saved.state_dict().items()}, assign=assign
            )
            torch.testing.assert_close(layer(x), expected, **EXACT)
            own = layer.state_dict()  # ours of one layer, torch's of the other
            again = Recurrent.from_torch(torchs(kind))
            again.load_state_dict(own, assign=assign)
            torch.testing.assert_close(again(x), expected, **EXACT)
            assert names(again) == names(theirs)
            assert (
                again.cells[3].from_h.weight
                is again.weight_hh_l1_reverse
                is dict(again.named_parameters())["weight_hh_l1_reverse"]
            )
    torchs(kind).load_state_dict(again.state_dict())


def loading(layer, state):
    with pytest.raises(RuntimeError) as raised:
        nn.ModuleDict({"rnn": layer}).load_state_dict({f"rnn.{name}": value for name, value in state.items()})
    found = {}
    for kind, listed in re.findall(r"(Missing|Unexpected) key\(s\) in state_dict: (.*)\. ", str(raised.value)):
        found[kind] = [name.strip('"') for name in listed.split(", ")]
    found["sizes"] = re.findall(r"size mismatch for (\S+):", str(raised.value))
    return found


def test_what_is_wrong_with_a_checkpoint_is_said_in_its_own_names():
    theirs, ours = both()
    right = theirs.state_dict()
    wrong = {name: value for name, value in right.items() if name != "weight_hh_l1"}
    wrong |= {"weight_hr_l0": x_of(2, 5), "weight_ih_l0": x_of(2, 2)}
    assert loading(ours, wrong) == {
        "Missing": ["rnn.weight_hh_l1"],
        "Unexpected": ["rnn.weight_hr_l0"],
        "sizes": ["rnn.weight_ih_l0"],
    }
    built = Recurrent(cells.LSTM, INPUT, HIDDEN, num_layers=2, bidirectional=True).double()
    assert loading(built, wrong) == loading(ours, wrong)
    own = built.state_dict()
    del own["cells.2.from_h.weight"]
    assert loading(ours, own | {"cells.0.from_x.bias": x_of(2)}) == {
        "Missing": ["rnn.cells.2.from_h.weight"],
        "sizes": ["rnn.cells.0.from_x.bias"],
    }
    assert loading(ours, {"other": x_of(2)})["Missing"] == [f"rnn.{name}" for name in right]
    assert loading(ours, right | {"cells.0.from_x.bias": right["bias_ih_l0"]})["Unexpected"] == ["rnn.bias_ih_l0"]
    mixed = right | {"cells.0.from_x.bias": right["bias_ih_l0"]}
    del mixed["bias_ih_l0"]
    ours.load_state_dict(mixed)  # each weight once, whichever name it has
    prelu = Recurrent(cells.Elman, INPUT, HIDDEN, nonlinearity="prelu")
    assert (
        "rnn.weight_ih_l0"
        in loading(prelu, torchs("RNN", num_layers=1, bidirectional=False).state_dict())["Unexpected"]
    )


NORMS = {
    "old weight norm": lambda layer, name: nn.utils.weight_norm(layer, name),
    "weight norm": lambda layer, name: parametrizations.weight_norm(layer, name),
    "old spectral norm": lambda layer, name: nn.utils.spectral_norm(layer, name),
    "spectral norm": lambda layer, name: parametrizations.spectral_norm(layer, name),
    "pruning": lambda layer, name: prune.l1_unstructured(layer, name, 0.5),
}


@pytest.mark.filterwarnings("ignore:.*weight_norm")
@pytest.mark.parametrize("norm", NORMS)
def test_what_stands_for_a_weight_is_what_runs(norm):
    """Weight norm and its kin by torch's names: the same numbers, gradients and names as on torch's layer."""
    theirs, ours = both()
    x = x_of()
    for layer in (theirs, ours):
        torch.manual_seed(1)
        NORMS[norm](layer, "weight_hh_l0")
    close = EXACT if norm != "spectral norm" else {"rtol": 1e-5, "atol": 1e-5}  # a power iteration at every look
    for _ in range(2):
        outputs = [layer(x)[0] for layer in (theirs, ours)]
        torch.testing.assert_close(*outputs, **close)
        for output, layer in zip(outputs, (theirs, ours), strict=True):
            layer.zero_grad()
            output.square().sum().backward()
    gradients = [{name: weight.grad for name, weight in layer.named_parameters()} for layer in (theirs, ours)]
    torch.testing.assert_close(*gradients, **close)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    assert all(gradient.any() for gradient in gradients[0].values())


def test_weight_drop():
    """The recipe of AWD-LSTM: the weight is deleted, and a dropped copy of it set before each run."""
    theirs, ours = both()
    x = x_of()
    for layer in (theirs, ours):
        raw = nn.Parameter(layer.weight_hh_l0.detach().clone())
        del layer._parameters["weight_hh_l0"]
        layer.register_parameter("weight_hh_l0_raw", raw)
        assert len(list(layer.parameters())) == 16
    for seed in range(2):
        for layer in (theirs, ours):
            torch.manual_seed(seed)
            layer.weight_hh_l0 = nn.functional.dropout(layer.weight_hh_l0_raw, 0.5)
        torch.testing.assert_close(ours(x), theirs(x), **EXACT)
    ours(x)[0].sum().backward()
    assert ours.weight_hh_l0_raw.grad.any()
    assert names(ours) == names(theirs)


def test_functional_calls_take_either_name():
    theirs, ours = both()
    x, half = x_of(), {name: value / 2 for name, value in theirs.state_dict().items()}
    expected = torch.func.functional_call(theirs, half, (x,))
    torch.testing.assert_close(torch.func.functional_call(ours, half, (x,)), expected, **EXACT)
    own = {"cells.0.from_x.weight": half.pop("weight_ih_l0")} | half
    torch.testing.assert_close(torch.func.functional_call(ours, own, (x,)), expected, **EXACT)


def test_a_constraint_on_the_cell_keeps_what_is_learnt():
    layer = Recurrent.from_torch(torchs())
    parametrizations.weight_norm(layer.cells[0].from_h)
    assert "cells.0.from_h.parametrizations.weight.original0" in names(layer)
    assert "weight_hh_l0" not in names(layer)
    assert parametrize.is_parametrized(layer.cells[0].from_h)
    other = torchs()
    layer.load_state_dict(other.state_dict())
    x = x_of()
    torch.testing.assert_close(layer(x), other(x), **EXACT)
    with pytest.raises(ValueError, match="computed from other weights"):
        del layer.weight_hh_l0


def test_replicas_of_data_parallel_leave_the_original_alone(monkeypatch):
    """By torch's own code, but for the copy from one GPU to the others."""
    _, layer = both()
    model, x = nn.Sequential(layer), x_of()
    expected = model(x)
    copies = lambda tensors, devices, detach: [[tensor.clone() for tensor in tensors] for _ in devices]
    monkeypatch.setattr(parallel_replicate, "_broadcast_coalesced_reshape", copies)
    replicas = parallel_replicate.replicate(model, [0, 1])
    for replica in replicas:
        torch.testing.assert_close(replica(x), expected, **EXACT)
    sum(replica(x)[0].sum() for replica in replicas).backward()
    twice = {name: weight.grad for name, weight in model.named_parameters()}
    model.zero_grad()
    model(x)[0].sum().backward()
    torch.testing.assert_close(twice, {name: 2 * weight.grad for name, weight in model.named_parameters()}, **EXACT)
