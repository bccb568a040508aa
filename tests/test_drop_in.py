"""`Recurrent` in the place of `torch.nn.RNN`, `LSTM` and `GRU`: every attribute and call form, and every name of a weight."""

import copy
import importlib
import io
import re

import jaxtyping
import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations, parametrize, prune, rnn

from rnnvanish import Recurrent, cells

parallel_replicate = importlib.import_module("torch.nn.parallel.replicate")  # the package has a function of that name

TIME, BATCH, INPUT, HIDDEN = 6, 4, 3, 5
KINDS = {
    "RNN": nn.RNN,
    "RNN relu": lambda *sizes, **options: nn.RNN(*sizes, nonlinearity="relu", **options),
    "LSTM": nn.LSTM,
    "GRU": nn.GRU,
}
EXACT = {"rtol": 1e-12, "atol": 1e-12}


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def torchs(kind="LSTM", **options):
    return KINDS[kind](INPUT, HIDDEN, **({"num_layers": 2, "bidirectional": True} | options)).double()


def both(kind="LSTM", **options):
    theirs = torchs(kind, **options)
    return theirs, Recurrent.from_torch(theirs)


def x_of(*shape):
    return torch.randn(*(shape or (TIME, BATCH, INPUT)), dtype=torch.float64)


def state_of(layer, *batch):
    parts = [x_of(len(layer.all_weights), *batch, HIDDEN) for _ in range(1 + (layer.mode == "LSTM"))]
    return tuple(parts) if len(parts) > 1 else parts[0]


def names(module):
    return [name for name, _ in module.named_parameters()]


# Attributes.

#: What is called, beside what is looked up: with arguments that hold, and with some that do not.
CALLS = {
    "flatten_parameters": lambda layer: layer.flatten_parameters(),
    "check_input": lambda layer: layer.check_input(x_of(), None),
    "check_hidden_size": lambda layer: layer.check_hidden_size(x_of(2, 3), (2, 3)),
    "check_forward_args": lambda layer: layer.check_forward_args(x_of(4, 4, INPUT), state_of(layer, BATCH), None),
    "get_expected_hidden_size": lambda layer: (
        layer.get_expected_hidden_size(x_of(), None),
        layer.get_expected_hidden_size(x_of(9, INPUT), torch.tensor([4, 3, 2])),
    ),
    "get_expected_cell_size": lambda layer: layer.get_expected_cell_size(x_of(), None),
    "permute_hidden": lambda layer: layer.permute_hidden(state_of(layer, BATCH), torch.tensor([3, 1, 2, 0])),
    "reset_parameters": lambda layer: [layer.reset_parameters(), *layer.parameters()][1:],
}


def public(module):
    return sorted(name for name in set(dir(module)) - set(dir(nn.Module())) if not name.startswith("_"))


@pytest.mark.parametrize("options", [{}, {"bias": False, "num_layers": 1, "bidirectional": False, "batch_first": True}])
@pytest.mark.parametrize("kind", KINDS)
def test_every_public_attribute_is_torchs(kind, options):
    theirs, ours = both(kind, **options)
    assert "weight_hh_l0" in public(theirs)
    for name in [*public(theirs), "_flat_weights", "_flat_weights_names", "_all_weights"]:
        mine, other = getattr(ours, name), getattr(theirs, name)
        if callable(other):
            mine, other = (torch.manual_seed(1) and CALLS[name](layer) for layer in (ours, theirs))
        assert type(mine) is type(other), name
        if isinstance(other, Tensor | list) and not isinstance(other[0], list | str):
            torch.testing.assert_close(mine, other, rtol=0, atol=0)
        else:
            assert str(mine) == str(other), name


@pytest.mark.parametrize("kind", KINDS)
def test_an_attribute_of_a_weight_is_the_parameter_that_the_cell_keeps(kind):
    _, layer = both(kind)
    assert layer.weight_hh_l1_reverse is layer.cells[3].from_h.weight
    built = Recurrent(cells.LSTM, INPUT, HIDDEN, num_layers=2, bidirectional=True)
    assert built.bias_ih_l1 is built.cells[2].from_x.bias
    assert built.all_weights[1][1] is built.cells[1].from_h.weight
    nn.init.orthogonal_(layer.weight_hh_l0)
    block = layer.cells[0].from_h.weight
    assert torch.allclose(block.T @ block, torch.eye(HIDDEN).double())


def test_a_cell_that_torch_has_not_says_so():
    theirs = torchs("RNN")
    layer = Recurrent(cells.Elman, INPUT, HIDDEN, nonlinearity="sigmoid")
    for name in public(theirs):
        if not hasattr(layer, name):
            with pytest.raises(AttributeError, match=rf"{name} is an attribute of torch.nn's RNN \(tanh or relu\)"):
                getattr(layer, name)
    assert not hasattr(layer, "mode")
    assert not hasattr(layer, "weight_hh_l0")
    layer.flatten_parameters()
    with pytest.raises(ValueError, match="other parameters; build another one"):
        layer.reset_parameters()


@pytest.mark.parametrize(
    ("change", "error", "needed"),
    [
        (lambda layer: layer.weight_hr_l0, AttributeError, "has no weight_hr_l0; its weights are weight_ih_l0, "),
        (lambda layer: layer.weight_hh_l2, AttributeError, "has no weight_hh_l2"),
        (lambda layer: layer.nonlinearity, AttributeError, "has no nonlinearity"),
        (lambda layer: setattr(layer, "bias", False), AttributeError, "bias of a Recurrent follows from its cells"),
        (lambda layer: setattr(layer, "proj_size", 2), AttributeError, "proj_size of a Recurrent follows"),
        (lambda layer: setattr(layer, "weight_hh_l9", nn.Parameter(x_of())), AttributeError, "has no weight_hh_l9"),
        (lambda layer: setattr(layer, "weight_hh_l0", x_of(20, 5)), TypeError, "set a torch.nn.Parameter, got Tensor"),
        (lambda layer: setattr(layer, "weight_hh_l0", None), TypeError, "set a torch.nn.Parameter, got NoneType"),
        (
            lambda layer: setattr(layer, "bias_hh_l0", nn.Parameter(x_of(3))),
            ValueError,
            r"needs the shape \(20,\), got",
        ),
        (lambda layer: delattr(layer, "weight_hr_l0"), AttributeError, "has no weight_hr_l0"),
        (lambda layer: layer.check_input(x_of(2, 2, 2)), ValueError, "x with 3 features last"),
        (lambda layer: layer.check_hidden_size(x_of(2), (3,)), ValueError, r"of shape \(3,\), got \(2,\)"),
        (lambda layer: layer.no_such_thing, AttributeError, "no attribute 'no_such_thing'"),
    ],
)
def test_what_cannot_be_is_said(change, error, needed):
    with pytest.raises(error, match=needed):
        change(Recurrent.from_torch(torchs()))


def test_a_weight_that_is_set_is_the_one_that_runs():
    theirs, ours = both()
    other = torchs()
    x = x_of()
    for layer in (theirs, ours):
        layer.weight_hh_l0 = nn.Parameter(other.weight_hh_l0.detach().clone())
        layer.cells[1].from_x.bias.data.zero_() if layer is ours else layer.bias_ih_l0_reverse.data.zero_()
    torch.testing.assert_close(ours(x), theirs(x), **EXACT)
    assert names(ours) == names(theirs)
    ours.cells[0].from_h.weight = nn.Parameter(torch.zeros(4 * HIDDEN, HIDDEN).double())
    assert not dict(nn.Sequential(ours).named_parameters())["0.weight_hh_l0"].any()
    assert not ours.state_dict()["weight_hh_l0"].any()


# Calls.


@pytest.mark.parametrize("kind", KINDS)
def test_every_call_form_is_torchs(kind):
    theirs, ours = both(kind)
    x, state = x_of(), state_of(theirs, BATCH)
    ragged = rnn.pack_padded_sequence(x, torch.tensor([2, 6, 1, 5]), enforce_sorted=False)
    calls = [
        lambda layer: layer(x),
        lambda layer: layer(input=x),
        lambda layer: layer(x, None),
        lambda layer: layer(x, hx=None),
        lambda layer: layer(x, state),
        lambda layer: layer(x, hx=state),
        lambda layer: layer(input=x, hx=state),
        lambda layer: layer(x, [*state] if isinstance(state, tuple) else state),
        lambda layer: layer(input=x[:, 0], hx=state_of(layer)),
        lambda layer: layer(ragged, hx=state)[0].data,
        lambda layer: layer(input=ragged)[1],
    ]
    for call in calls:
        torch.manual_seed(1)
        expected = call(theirs)
        torch.manual_seed(1)
        torch.testing.assert_close(call(ours), expected, **EXACT)
    torch.testing.assert_close(ours(x=x, state=state), theirs(x, state), **EXACT)


@pytest.mark.parametrize(
    ("call", "error", "needed"),
    [
        (lambda layer, x, s: layer(), TypeError, "needs a sequence, as its first argument or as x="),
        (lambda layer, x, s: layer(x, input=x), TypeError, "input is another word for x"),
        (lambda layer, x, s: layer(x, s, hx=s), TypeError, "hx is another word for state"),
        (lambda layer, x, s: layer(x.numpy()), TypeError, "a tensor or a PackedSequence, got a ndarray"),
        (lambda layer, x, s: layer(x.float()), ValueError, "torch.float64, got torch.float32"),
        (lambda layer, x, s: layer(x.to("meta")), ValueError, "x on the device of its weights, cpu, got meta"),
        (lambda layer, x, s: layer(x, s[0]), ValueError, r"2 parts \(h, c\), got 1"),
        (lambda layer, x, s: layer(x, (s[0], None)), TypeError, "a tensor as c of the state, got a NoneType"),
        (lambda layer, x, s: layer(x, (s[0], s[1].float())), ValueError, "c of the state like x, torch.float64 on cpu"),
        (lambda layer, x, s: layer(x, (s[0].to("meta"), s[1])), ValueError, "h of the state like x, .* on meta"),
        (lambda layer, x, s: layer(x, (s[0].cfloat(), s[1])), ValueError, "got torch.complex64"),
        (lambda layer, x, s: layer(x[:, :1], s), ValueError, r"h of the state in shape \(4, 1, 5\), got \(4, 4, 5\)"),
        (lambda layer, x, s: layer(x[:, 0], s), ValueError, r"h of the state in shape \(4, 5\), got \(4, 4, 5\)"),
        (lambda layer, x, s: layer(x, 3.0), ValueError, r"2 parts \(h, c\), got 1"),
    ],
)
def test_a_wrong_call_is_answered_in_words(call, error, needed, monkeypatch):
    monkeypatch.setattr(
        jaxtyping.config, "jaxtyping_disable", True
    )  # it would say so before, and is not there for users
    layer = Recurrent.from_torch(torchs())
    with pytest.raises(error, match=needed):
        call(layer, x_of(), state_of(layer, BATCH))


def test_what_differs_and_may_is_let_through():
    """Autocast changes formats on the way; a whole number in a state is no matter of precision."""
    layer = Recurrent.from_torch(torchs("GRU").float())
    x, h = x_of().float(), state_of(layer, BATCH).bfloat16()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert layer(x, h)[0].shape == layer(x.bfloat16())[0].shape


# Names of weights.


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
