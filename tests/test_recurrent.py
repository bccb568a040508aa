"""Recurrent against torch.nn in double precision: outputs, final states and every gradient."""

import itertools
import math

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence

from rnnvanish import Recurrent, cells, mitigations

TIME, BATCH, INPUT, HIDDEN = 7, 4, 3, 5
TORCH = {
    "RNN": lambda **options: nn.RNN(INPUT, HIDDEN, **options),
    "RNN relu": lambda **options: nn.RNN(INPUT, HIDDEN, nonlinearity="relu", **options),
    "LSTM": lambda **options: nn.LSTM(INPUT, HIDDEN, **options),
    "GRU": lambda **options: nn.GRU(INPUT, HIDDEN, **options),
}


def inputs(form: str) -> torch.Tensor | PackedSequence:
    x = torch.randn(TIME, BATCH, INPUT, dtype=torch.float64)
    if form == "unbatched":
        return x[:, 0]
    if form == "batch_first":
        return x.transpose(0, 1).contiguous()
    if form == "packed, sorted":
        return pack_padded_sequence(x, torch.tensor([7, 5, 5, 1]))
    if form == "packed, in any order":
        return pack_padded_sequence(x, torch.tensor([2, 7, 1, 5]), enforce_sorted=False)
    return x


def initial_state(module: nn.RNNBase, form: str):
    loops = module.num_layers * (2 if module.bidirectional else 1)
    shape = (loops, HIDDEN) if form == "unbatched" else (loops, BATCH, HIDDEN)
    parts = [torch.randn(shape, dtype=torch.float64, requires_grad=True) for _ in range(1 + (module.mode == "LSTM"))]
    return tuple(parts) if len(parts) > 1 else parts[0]


def as_tuple(state) -> tuple[torch.Tensor, ...]:
    return state if isinstance(state, tuple) else (state,)


def everything(layer, x, state):
    """Output, final state and the gradients of a loss that weighs each of their entries differently."""
    data = (x.data if isinstance(x, PackedSequence) else x).detach().requires_grad_()
    x = PackedSequence(data, *x[1:]) if isinstance(x, PackedSequence) else data
    output, final = layer(x, state)
    values = [output.data if isinstance(output, PackedSequence) else output, *as_tuple(final)]
    loss = sum((value * torch.arange(1.0, 1 + value.numel()).view_as(value).cos()).sum() for value in values)
    named = {"x": data} | {f"state{i}": part for i, part in enumerate(as_tuple(state))}
    weights = dict(layer.named_parameters())
    gradients = torch.autograd.grad(loss, [*named.values(), *weights.values()])
    return values, dict(zip([*named, *weights], gradients, strict=True))


def by_torch_names(layer: Recurrent, gradients: dict) -> dict:
    """Rename our gradients as torch names its own."""
    directions = 2 if layer.bidirectional else 1
    torch_name = {
        "from_x.weight": "weight_ih",
        "from_h.weight": "weight_hh",
        "from_x.bias": "bias_ih",
        "from_h.bias": "bias_hh",
    }
    renamed = {}
    for name, value in gradients.items():
        if name.startswith("cells."):
            _, index, parameter = name.split(".", 2)
            layer_index, direction = divmod(int(index), directions)
            name = f"{torch_name[parameter]}_l{layer_index}" + ("_reverse" if direction else "")
        renamed[name] = value
    return renamed


@pytest.mark.parametrize("form", ["time first", "batch_first", "unbatched", "packed, sorted", "packed, in any order"])
@pytest.mark.parametrize(("layers", "bidirectional"), [(1, False), (1, True), (3, False), (3, True)])
@pytest.mark.parametrize("kind", TORCH)
def test_equals_torch(kind, layers, bidirectional, form):
    torch.manual_seed(0)
    theirs = TORCH[kind](num_layers=layers, bidirectional=bidirectional, batch_first=form == "batch_first").double()
    ours = Recurrent.from_torch(theirs)
    x, state = inputs(form), initial_state(theirs, form)
    their_values, their_gradients = everything(theirs, x, state)
    our_values, our_gradients = everything(ours, x, state)
    for mine, other in zip(our_values, their_values, strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(by_torch_names(ours, our_gradients), their_gradients, rtol=1e-12, atol=1e-12)
    if isinstance(x, PackedSequence):
        assert torch.equal(ours(x)[0].batch_sizes, theirs(x)[0].batch_sizes)
        assert ours(x)[0].sorted_indices is x.sorted_indices


@pytest.mark.parametrize("kind", TORCH)
def test_weights_go_to_torch_and_back(kind):
    torch.manual_seed(0)
    theirs = TORCH[kind](num_layers=2, bidirectional=True, bias=False, dropout=0.25).double().eval()
    theirs.weight_hh_l1.requires_grad_(False)
    back = Recurrent.from_torch(theirs).to_torch()
    assert repr(back) == repr(theirs)
    assert back.training is False
    assert back.weight_hh_l1.requires_grad is False
    assert back.weight_hh_l0.requires_grad is True
    for name, weight in theirs.named_parameters():
        assert torch.equal(back.get_parameter(name), weight), name


def test_from_torch_copies():
    theirs = nn.GRU(INPUT, HIDDEN)
    ours = Recurrent.from_torch(theirs)
    before = ours.cells[0].from_h.weight.clone()
    with torch.no_grad():
        theirs.weight_hh_l0.zero_()
    assert torch.equal(ours.cells[0].from_h.weight, before)


def test_residual_skip_adds_the_input_of_each_upper_layer():
    torch.manual_seed(0)
    layer = Recurrent(cells.GRU, INPUT, HIDDEN, num_layers=3, skip="residual").double()
    x = inputs("time first")
    output, _ = layer(x)
    expected = x
    for index, cell in enumerate(layer.cells):
        alone = Recurrent(cells.GRU, cell.input_size, HIDDEN).double()
        alone.cells[0].load_state_dict(cell.state_dict())
        expected = alone(expected)[0] + (expected if index else 0.0)
    torch.testing.assert_close(output, expected, rtol=1e-12, atol=1e-12)


def alone(cell):
    """A layer of its own with the weights of `cell`."""
    layer = Recurrent(type(cell), cell.input_size, HIDDEN).double()
    layer.cells[0].load_state_dict(cell.state_dict())
    return lambda x: layer(x)[0]


def test_highway_mixes_number_by_number():
    """The highway network's y = H T + x (1 − T), for one number at a time."""
    torch.manual_seed(0)
    layer = Recurrent(cells.GRU, INPUT, HIDDEN, num_layers=3, skip="highway").double()
    assert all((gate.bias == -1).all() for gate in layer.transforms)
    start = inputs("time first")
    x = alone(layer.cells[0])(start)
    for cell, gate in zip(list(layer.cells)[1:], layer.transforms, strict=True):
        gate.bias.data.normal_()
        h, mixed = alone(cell)(x), torch.empty_like(x)
        for t, b, unit in itertools.product(range(TIME), range(BATCH), range(HIDDEN)):
            a = gate.bias[unit] + sum(gate.weight[unit, j] * x[t, b, j] for j in range(HIDDEN))
            transform = 1 / (1 + math.exp(-a.item()))
            mixed[t, b, unit] = h[t, b, unit] * transform + x[t, b, unit] * (1 - transform)
        x = mixed.detach()
    torch.testing.assert_close(layer(start)[0], x, rtol=1e-10, atol=1e-12)


def test_dense_layers_read_everything_below():
    torch.manual_seed(0)
    layer = Recurrent(cells.GRU, INPUT, HIDDEN, num_layers=3, skip="dense").double()
    x = inputs("time first")
    first = alone(layer.cells[0])(x)
    second = alone(layer.cells[1])(torch.cat([x, first], -1))
    third = alone(layer.cells[2])(torch.cat([x, first, second], -1))
    torch.testing.assert_close(layer(x)[0], third, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("skip", ["residual", "highway", "dense"])
def test_skips_stand_with_lengths_directions_and_packing(skip):
    torch.manual_seed(0)
    layer = Recurrent(cells.LSTM, INPUT, HIDDEN, num_layers=3, bidirectional=True, skip=skip, dropout=0.5).double()
    layer.eval()
    x, lengths = inputs("time first"), torch.tensor([2, 7, 1, 5])
    output, _ = layer(x, lengths=lengths)
    packed, _ = layer(pack_padded_sequence(x, lengths, enforce_sorted=False))
    torch.testing.assert_close(nn.utils.rnn.pad_packed_sequence(packed)[0], output)
    for i, length in enumerate(lengths):
        torch.testing.assert_close(output[:length, i], layer(x[:length, i])[0])
        assert not output[length:, i].any()
    output.sum().backward()
    assert all(weight.grad.any() for weight in layer.parameters())


def test_dropout_draws_the_masks_that_torch_draws():
    theirs = nn.GRU(INPUT, HIDDEN, num_layers=3, dropout=0.5).double()
    ours = Recurrent.from_torch(theirs)
    for form in ("time first", "packed, in any order"):
        x = inputs(form)
        runs = []
        for layer in (ours, theirs):
            torch.manual_seed(1)
            output, _ = layer(x)
            runs.append(output.data if isinstance(output, PackedSequence) else output)
        torch.testing.assert_close(*runs, rtol=1e-12, atol=1e-12)
        assert not torch.allclose(ours.eval()(x)[0].data, runs[0])
        ours.train()


X = torch.zeros(TIME, BATCH, INPUT)


@pytest.mark.parametrize(
    ("call", "needed"),
    {
        "features": (lambda layer: layer(X[..., :2]), "x with 3 features last"),
        "dimensions": (lambda layer: layer(X[0, 0]), r"shape \(time, batch, input\)"),
        "dtype": (lambda layer: layer(X.double()), "dtype of its weights, torch.float32, got torch.float64"),
        "no step": (lambda layer: layer(X[:0]), "at least one step"),
        "no sequence": (lambda layer: layer(X[:, :0]), "at least one step and one sequence"),
        "zero length": (lambda layer: layer(X, lengths=[7, 0, 1, 1]), "lengths from 1 to 7"),
        "too long": (lambda layer: layer(X, lengths=[8, 1, 1, 1]), "lengths from 1 to 7"),
        "too few lengths": (lambda layer: layer(X, lengths=[7, 7]), "4 whole numbers"),
        "fractional lengths": (lambda layer: layer(X, lengths=torch.full((4,), 7.0)), "4 whole numbers"),
        "unbatched lengths": (lambda layer: layer(X[:, 0], lengths=[7]), "padded batch only"),
        "parts": (lambda layer: layer(X, (torch.zeros(2, BATCH, HIDDEN),)), r"2 parts \(h, c\), got 1"),
        "a tensor as state": (lambda layer: layer(X, torch.zeros(2, BATCH, HIDDEN)), r"2 parts \(h, c\), got 1"),
        "batch of one in the state": (
            lambda layer: layer(X, (torch.zeros(2, 1, HIDDEN),) * 2),
            r"h of the state in shape \(2, 4, 5\), got \(2, 1, 5\)",
        ),
    }.values(),
)
def test_errors_say_what_was_needed(call, needed):
    with pytest.raises(ValueError, match=needed):
        call(Recurrent(cells.LSTM, INPUT, HIDDEN, num_layers=2))


@pytest.mark.parametrize(
    ("options", "needed"),
    [
        ({"num_layers": 0}, "num_layers >= 1"),
        ({"dropout": 1.5}, r"probability in \[0, 1\]"),
        ({"skip": "dence"}, "skip=None, 'residual', 'highway' or 'dense', got 'dence'"),
        ({"engine": "fast"}, "engine of auto, reference, cpu, gpu"),
        ({"nonlinearity": "rleu"}, "tanh, sigmoid, relu, leaky_relu, prelu"),
        ({"hidden_size": 0}, "hidden_size >= 1"),
    ],
)
def test_options_are_checked(options, needed):
    with pytest.raises(ValueError, match=needed):
        Recurrent(cells.Elman, **{"input_size": 3, "hidden_size": 4} | options)


@pytest.mark.parametrize("options", [{}, {"bidirectional": True, "bias": False, "batch_first": True}])
def test_an_lstm_with_a_projection_comes_and_goes(options):
    torch.manual_seed(0)
    theirs, x = nn.LSTM(3, 8, num_layers=2, proj_size=2, **options), torch.randn(6, 4, 3)
    ours = Recurrent.from_torch(theirs)
    assert ours.proj_size == 2
    assert list(ours.state_dict()) == list(theirs.state_dict())
    output, (h, c) = theirs(x)
    for one, other in zip((output, h, c), (ours(x)[0], *ours(x)[1]), strict=True):
        torch.testing.assert_close(one, other)
    torch.testing.assert_close(ours(x, (h, c))[0], theirs(x, (h, c))[0])
    torch.testing.assert_close(ours.to_torch()(x)[0], output)
    ours.load_state_dict(nn.LSTM(3, 8, num_layers=2, proj_size=2, **options).state_dict())
    assert not torch.allclose(ours(x)[0], output)


def test_what_torch_has_not_is_refused():
    with pytest.raises(ValueError, match="weight_hh_l0 of this ParametrizedGRU follow from other parameters"):
        Recurrent.from_torch(nn.utils.parametrizations.weight_norm(nn.GRU(3, 4), "weight_hh_l0"))
    with pytest.raises(ValueError, match=r"got Elman \{'nonlinearity': 'sigmoid'\}"):
        Recurrent(cells.Elman, 3, 4, nonlinearity="sigmoid").to_torch()
    with pytest.raises(ValueError, match="skip='residual'"):
        Recurrent(cells.GRU, 3, 4, num_layers=2, skip="residual").to_torch()
    with pytest.raises(ValueError, match="from_x is a _Normalised"):
        mitigations.LayerNormalisation()(nn.GRU(3, 4)).to_torch()


def test_a_constrained_matrix_goes_to_torch_as_it_is():
    layer = mitigations.OrthogonalConstraint()(nn.LSTM(INPUT, HIDDEN, num_layers=2).double())
    x = inputs("time first")
    torch.testing.assert_close(layer.to_torch()(x), layer(x), rtol=1e-12, atol=1e-12)
