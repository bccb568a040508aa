"""A layer of every cell, by the plain loop: each way to run it that a user has gives what its steps give one by one."""

import copy
import pickle

import pytest
import torch
from every_cell import BATCH, HIDDEN, TIME, built, parts_of, sequences, state_for, wanted
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from rnnvanish import Recurrent, cells

every_cell = pytest.mark.parametrize("name", cells.ALL)
LENGTHS = [2, TIME, 1]
#: Cells whose derivative is, by their paper, not that of what they compute.
STRAIGHT_THROUGH = {"SkipRNN": "A rounding counts as none."}
#: Parameters that are scales: near nought, where none is in use, differences are too coarse for second derivatives.
SCALES = {"PhasedLSTM": "period"}
exact = {"rtol": 1e-12, "atol": 1e-12}


@every_cell
def test_two_layers_in_both_directions_are_their_steps_one_by_one(name):
    layer, x = built(name, num_layers=2, bidirectional=True), sequences()
    state = parts_of(state_for(layer, x))
    below, finals = x, []
    for first in (0, 2):
        outputs = []
        for direction in (0, 1):
            cell, parts = layer.cells[first + direction], tuple(part[first + direction] for part in state)
            found = {}
            for t in reversed(range(TIME)) if direction else range(TIME):
                before, parts = parts, cell(below[t], parts)
                found[t] = cell.output(below[t], before, parts)
            outputs.append(torch.stack([found[t] for t in range(TIME)]))
            finals.append(parts)
        below = torch.cat(outputs, dim=-1)
    output, final = layer(x, state if len(state) > 1 else state[0])
    torch.testing.assert_close(output, below, **exact)
    for part, expected in zip(parts_of(final), zip(*finals, strict=True), strict=True):
        torch.testing.assert_close(part, torch.stack(expected), **exact)


@every_cell
def test_two_halves_are_the_whole(name):
    layer, x = built(name, num_layers=2), sequences()
    whole, final = layer(x)
    first, between = layer(x[:2])
    second, last = layer(x[2:], between)
    torch.testing.assert_close(torch.cat([first, second]), whole, **exact)
    torch.testing.assert_close(last, final, **exact)


@every_cell
def test_sequences_of_any_length_are_each_of_them_alone(name):
    layer, x = built(name, num_layers=2, bidirectional=True), sequences()
    given = wanted(layer, x)
    output, final = layer(x, lengths=LENGTHS, **given)
    for i, length in enumerate(LENGTHS):
        alone, last = layer(x[:length, i : i + 1], **{name: each[:length, i : i + 1] for name, each in given.items()})
        torch.testing.assert_close(output[:length, i : i + 1], alone, **exact)
        assert not output[length:, i].any()
        for part, expected in zip(parts_of(final), parts_of(last), strict=True):
            torch.testing.assert_close(part[:, i : i + 1], expected, **exact)
    packed, last = layer(pack_padded_sequence(x, torch.tensor(LENGTHS), enforce_sorted=False))
    output, final = layer(x, lengths=LENGTHS)
    torch.testing.assert_close(pad_packed_sequence(packed)[0], output, **exact)
    torch.testing.assert_close(last, final, **exact)


@every_cell
def test_where_a_sequence_begins_anew_it_is_its_pieces(name):
    layer, x = built(name, bidirectional=True), sequences()
    given, resets = wanted(layer, x), torch.zeros(TIME, BATCH, dtype=torch.bool)
    resets[2, 0] = resets[1, 1] = True
    output, final = layer(x, resets=resets, **given)
    for i, at in ((0, 2), (1, 1)):
        found, last = [], []
        for steps in (slice(0, at), slice(at, TIME)):
            piece = steps, slice(i, i + 1)
            alone, ends = layer(x[piece], **{name: each[piece] for name, each in given.items()})
            found.append(alone)
            last.append(ends)
        torch.testing.assert_close(output[:, i : i + 1], torch.cat(found), **exact)
        for part, backward, forward in zip(*map(parts_of, (final, *last)), strict=True):
            torch.testing.assert_close(part[0, i], forward[0, 0], **exact)
            torch.testing.assert_close(part[1, i], backward[1, 0], **exact)


@every_cell
def test_copies_compute_the_same(name):
    layer, x = built(name, num_layers=2), sequences()
    with torch.no_grad():
        before = layer(x)
    options = {"engine": layer.engine, **cells.ALL[name].small}
    fresh = Recurrent(cells.ALL[name], layer.input_size, HIDDEN, num_layers=2, **options).double().eval()
    fresh.load_state_dict(layer.state_dict())
    for twin in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer)), fresh):
        torch.testing.assert_close(twin(x), before, rtol=0, atol=0)
    single = layer.float()(x.float())[0]
    assert single.dtype == torch.float32
    torch.testing.assert_close(single.double(), before[0], rtol=0, atol=1e-4 * max(1.0, float(before[0].abs().max())))


@every_cell
def test_it_is_exported_for_any_number_of_sequences(name):
    layer, x = built(name), sequences(time=2)
    layer.engine = "auto"
    exported = torch.export.export(layer, (x,), dynamic_shapes=({1: torch.export.Dim("batch")},)).module()
    more = torch.cat([x, 2 * x, -x], dim=1)
    torch.testing.assert_close(exported(more), layer(more), **exact)


@every_cell
def test_it_runs_in_16_bits(name):
    layer, x = built(name).float(), sequences().float()
    with torch.autocast("cpu", torch.bfloat16):
        output, _ = layer(x)
    output.float().sum().backward()
    expected = layer(x)[0].detach()
    torch.testing.assert_close(output.float(), expected, rtol=0, atol=0.05 * max(1.0, float(expected.abs().max())))


@every_cell
def test_vmap_gives_each_sequence_its_gradient(name):
    layer, x = built(name), sequences(time=3).unsqueeze(2)
    weights = {key: value.detach() for key, value in layer.named_parameters()}

    def loss(weights, x):
        return torch.func.functional_call(layer, weights, (x,))[0].square().sum()

    found = torch.func.vmap(torch.func.grad(loss), in_dims=(None, 1))(weights, x)
    for i in range(BATCH):
        layer.zero_grad()
        loss(dict(layer.named_parameters()), x[:, i]).backward()
        for key, weight in layer.named_parameters():
            expected = torch.zeros_like(weight) if weight.grad is None else weight.grad
            torch.testing.assert_close(found[key][i], expected, rtol=1e-9, atol=1e-10)


@every_cell
def test_gradients_are_those_of_finite_differences(name):
    layer, x = built(name, input_size=2), sequences(3, 2, 2)
    if name in SCALES:
        with torch.no_grad():
            layer.cells[0].get_parameter(SCALES[name]).abs_().add_(1)
    weights, state = tuple(layer.parameters()), parts_of(state_for(layer, x))
    moved = [part for part in state if part.is_floating_point() or part.is_complex()]
    inputs = (*(each.detach().requires_grad_() for each in (x, *moved)), *weights)  # weights are moved in place

    def run(x, *rest):
        given = iter(rest)
        parts = tuple(next(given) if part.is_floating_point() or part.is_complex() else part for part in state)
        output, final = layer(x, parts if len(parts) > 1 else parts[0], lengths=[3, 2])
        return output, *(part for part in parts_of(final) if part.requires_grad)

    through = name in STRAIGHT_THROUGH
    for check in (torch.autograd.gradcheck, torch.autograd.gradgradcheck):
        assert check(run, inputs, fast_mode=True, raise_exception=not through) != through
