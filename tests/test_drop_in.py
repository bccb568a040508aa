"""`Recurrent` in the place of `torch.nn.RNN`, `LSTM` and `GRU`: every attribute and call form."""

import pytest
import torch
from checked_annotations import leave_unchecked
from torch import Tensor, nn
from torch.nn.utils import rnn
from torch_layers import BATCH, EXACT, HIDDEN, INPUT, KINDS, both, names, torchs, x_of

from rnnvanish import Recurrent, cells


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def state_of(layer, *batch):
    parts = [x_of(len(layer.all_weights), *batch, HIDDEN) for _ in range(1 + (layer.mode == "LSTM"))]
    return tuple(parts) if len(parts) > 1 else parts[0]


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
        (lambda layer, x, s: layer(x, (s[0].long(), s[1])), ValueError, "h of the state like x, .*got torch.int64"),
        (lambda layer, x, s: layer(x, (s[0], s[1].bool())), ValueError, "c of the state like x, .*got torch.bool"),
        (lambda layer, x, s: layer(x, (s[0].to("meta"), s[1])), ValueError, "h of the state like x, .* on meta"),
        (lambda layer, x, s: layer(x, (s[0].cfloat(), s[1])), ValueError, "got torch.complex64"),
        (lambda layer, x, s: layer(x[:, :1], s), ValueError, r"h of the state in shape \(4, 1, 5\), got \(4, 4, 5\)"),
        (lambda layer, x, s: layer(x[:, 0], s), ValueError, r"h of the state in shape \(4, 5\), got \(4, 4, 5\)"),
        (lambda layer, x, s: layer(x, 3.0), ValueError, r"2 parts \(h, c\), got 1"),
    ],
)
def test_a_wrong_call_is_answered_in_words(call, error, needed, monkeypatch):
    leave_unchecked(Recurrent, monkeypatch)  # the checks would say so before
    layer = Recurrent.from_torch(torchs())
    with pytest.raises(error, match=needed):
        call(layer, x_of(), state_of(layer, BATCH))


def test_what_differs_and_may_is_let_through():
    """Autocast changes formats on the way; a whole number in a state is no matter of precision."""
    layer = Recurrent.from_torch(torchs("GRU").float())
    x, h = x_of().float(), state_of(layer, BATCH).bfloat16()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert layer(x, h)[0].shape == layer(x.bfloat16())[0].shape
