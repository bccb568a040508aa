"""Cures that change how a layer computes: what holds for each, alone and together."""

import pytest
import torch
from builds import BATCH, HIDDEN, INPUT, TORCH, sequences, skip_unsuited
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence

from rnnvanish import Recurrent, cells, mitigations, probes
from rnnvanish.layers import state_parts
from rnnvanish.mitigation import Build, Wrapper, innermost, wrap
from rnnvanish.mitigations.dilated import Dilated
from rnnvanish.mitigations.skip_through_time import SkipThroughTime
from rnnvanish.mitigations.truncated_backpropagation import TruncatedBackpropagation
from rnnvanish.mitigations.variational_dropout import VariationalDropout
from rnnvanish.mitigations.zoneout import Zoneout

#: But one that takes a single layer in one direction: test_truncation.py.
BUILDS = {name: cure for name, cure in mitigations.ALL.items() if issubclass(cure, Build) and name != "UORO"}

#: Those that put a cell of their own around each cell.
STEPWISE = [name for name in BUILDS if name != "AttentionOverPast"]


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


@pytest.mark.parametrize("kind", TORCH)
@pytest.mark.parametrize("name", BUILDS)
def test_a_build_works_wherever_a_layer_works(name, kind):
    """Layers, directions, dropout, lengths, packing; two halves equal one run; each sequence as if it were alone."""
    skip_unsuited(name, kind)
    theirs = TORCH[kind][1](num_layers=2, bidirectional=True, dropout=0.5)
    layer = BUILDS[name]()(theirs).eval()
    x, lengths = sequences(), torch.tensor([2, 7, 1, 5])
    output, final = layer(x, lengths=lengths)
    packed, last = layer(pack_padded_sequence(x, lengths, enforce_sorted=False))
    padded = nn.utils.rnn.pad_packed_sequence(packed)[0]
    torch.testing.assert_close(padded, output)
    for i, length in enumerate(lengths):
        alone, ended = layer(x[:length, i])
        torch.testing.assert_close(output[:length, i], alone)
        assert not output[length:, i].any()
        for part, packed_part, expected in zip(state_parts(final), state_parts(last), state_parts(ended), strict=True):
            torch.testing.assert_close(part[:, i], expected)
            torch.testing.assert_close(packed_part[:, i], expected)
    output.sum().backward()
    assert all(weight.grad is not None for weight in layer.parameters())


@pytest.mark.parametrize("kind", TORCH)
@pytest.mark.parametrize("name", STEPWISE)
def test_two_halves_equal_one_run(name, kind):
    skip_unsuited(name, kind)
    layer = BUILDS[name]()(TORCH[kind][1](num_layers=2))
    x = sequences(30)
    for training in (False,) if name in ("Zoneout", "WeightDrop") else (False, True):
        layer.train(training)
        torch.manual_seed(1)
        whole, final = layer(x)
        torch.manual_seed(1)
        first, between = layer(x[:11])
        second, last = layer(x[11:], between)
        torch.testing.assert_close(torch.cat([first, second]), whole, rtol=0, atol=1e-14)
        torch.testing.assert_close(state_parts(last), state_parts(final), rtol=0, atol=1e-14)


@pytest.mark.parametrize("kind", TORCH)
@pytest.mark.parametrize("name", STEPWISE)
def test_retention_sees_through(name, kind):
    """What the probe says of a lag is the derivative with respect to a state that is handed in so many steps before."""
    skip_unsuited(name, kind)
    layer = BUILDS[name]()(TORCH[kind][1]()).eval()
    x = sequences(30)[:, :1]
    (curve,) = probes.retention(layer, x, lambda returned: returned[0][-1].sum()).values()
    assert curve.names == tuple(each for each in layer.state_names if each not in ("clock", "counts", "mask"))
    for lag in (1, 2, 7):
        state = [part.detach().requires_grad_() for part in state_parts(layer(x[:-lag])[1])]
        handed = tuple(state) if len(state) > 1 else state[0]
        found = torch.autograd.grad(layer(x[-lag:], handed)[0][-1].sum(), state, allow_unused=True)
        squares = sum(gradient.square().sum() for gradient in found if gradient is not None)
        torch.testing.assert_close(curve.gain[lag] * HIDDEN**0.5, squares.sqrt(), rtol=1e-9, atol=0)


@pytest.mark.parametrize("name", BUILDS)
def test_a_layer_inside_a_model_is_changed_where_it_stands(name):
    model = nn.ModuleDict({"encoder": nn.ModuleDict({"rnn": nn.LSTM(INPUT, HIDDEN)}), "readout": nn.Linear(HIDDEN, 1)})
    assert BUILDS[name]()(model) is model
    assert not isinstance(model["encoder"]["rnn"], nn.LSTM)
    with pytest.raises(ValueError, match="a model with a recurrent layer"):
        BUILDS[name]()(nn.Linear(2, 2))


def test_wrappers_compose():
    """Two wrappers that change nothing, around one that does: the innermost cell is found, the numbers are the same."""
    plain = Recurrent(cells.LSTM, INPUT, HIDDEN).double()
    x = sequences()
    expected = plain(x)[0]
    cell = plain.cells[0]
    layer = wrap(TruncatedBackpropagation(3)(SkipThroughTime(2, 0.0)(plain)), Wrapper)
    assert innermost(layer.cells[0]) is cell
    assert layer.state_names == ("h", "c", "h-1", "clock")
    torch.testing.assert_close(layer(x)[0], expected, rtol=0, atol=0)


def test_what_a_wrapper_carries_is_not_touched_by_another():
    """Zoneout around a clock, a queue and a mask: every unit of the cell stands still, all else goes on."""
    layer = Recurrent(cells.LSTM, INPUT, HIDDEN)
    for cure in (VariationalDropout(0.5), SkipThroughTime(3, 0.5), TruncatedBackpropagation(4), Zoneout(1.0, 1.0)):
        layer = cure(layer)
    assert layer.state_names == ("h", "c", "mask", "h-1", "h-2", "clock")
    start = [torch.randn(1, BATCH, HIDDEN) for _ in layer.state_names[:-1]]
    clock = torch.ones(1, BATCH, 1)
    h, c, mask, *older, clock = layer(torch.randn(2, BATCH, INPUT), (*start, clock))[1]
    for now, before in ((h, start[0]), (c, start[1]), (mask, start[2]), (older[0], start[0]), (older[1], start[0])):
        torch.testing.assert_close(now, before, rtol=0, atol=0)
    assert clock.eq(3).all()


@pytest.mark.parametrize(
    ("build", "needed"),
    [
        (lambda: Zoneout(1.5), r"probability output in \[0, 1\]"),
        (lambda: SkipThroughTime(0), "lag >= 1"),
        (lambda: Dilated(base=0), "base >= 1"),
        (lambda: VariationalDropout(1.0), r"probability in \[0, 1\)"),
        (lambda: TruncatedBackpropagation(0), "window >= 1"),
    ],
)
def test_numbers_are_checked(build, needed):
    with pytest.raises(ValueError, match=needed):
        build()
