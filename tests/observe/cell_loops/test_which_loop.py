"""Which call goes on with which loop: chains that share weights, carried and detached states, sequences that end, attention."""

import pytest
import torch
from cell_loops import BATCH, HIDDEN, INPUT, TIME, Zeros, by_hand, same
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence

from rnnvanish.probes import retention


class TwoChains(nn.Module):
    """The same weights read two sequences, in turns."""

    def __init__(self):
        super().__init__()
        self.cell = nn.GRUCell(INPUT, HIDDEN)

    def forward(self, x, y):
        h = g = x.new_zeros(x.shape[1], HIDDEN)
        for t in range(len(x)):
            h = self.cell(x[t], h)
            if t < len(y):
                g = self.cell(y[t], g)
        return h, g


def test_weights_shared_by_two_chains():
    torch.manual_seed(0)
    model, x, y = TwoChains().double(), torch.randn(TIME, BATCH, INPUT).double(), torch.randn(4, BATCH, INPUT).double()
    curves = retention(model, (x, y))
    assert list(curves) == ["cell", "cell (call 2)"]
    for curve, sequence in zip(curves.values(), (x, y), strict=True):
        zeros, h = Zeros(), x.new_zeros(BATCH, HIDDEN)
        for now in sequence:
            (h,) = zeros.add(by_hand(model.cell, now, [h]))
        same(curve.gain, zeros.gain(h.sum()))


class Twice(nn.Module):
    """A layer reads its own output; and another sequence, for comparison."""

    def __init__(self):
        super().__init__()
        self.first = self.second = self.third = nn.GRU(HIDDEN, HIDDEN)

    def forward(self, x, y):
        return self.second(self.first(x)[0])[1] - self.third(y)[1]


def test_a_layer_that_is_called_again_and_again_is_as_many_layers():
    torch.manual_seed(0)
    x, y = torch.randn(TIME, BATCH, HIDDEN).double(), torch.randn(3, BATCH, HIDDEN).double()
    shared, apart = Twice().double(), Twice().double()
    for name in ("first", "second", "third"):
        setattr(apart, name, nn.GRU(HIDDEN, HIDDEN).double())
        getattr(apart, name).load_state_dict(shared.first.state_dict())
    found, expected = retention(shared, (x, y)), retention(apart, (x, y))
    assert list(found) == [f"first{call}/layer0/forward" for call in ("", " (call 2)", " (call 3)")]
    for one, other in zip(found.values(), expected.values(), strict=True):
        same(one.gain, other.gain)


class Windows(nn.Module):
    """A layer called window by window, its state carried."""

    def __init__(self, carry, size=3, kind=nn.LSTM):
        super().__init__()
        self.layer, self.carry, self.size = kind(INPUT, HIDDEN, num_layers=2), carry, size

    def forward(self, x):
        state, outputs = None, []
        for window in x.split(self.size):
            output, state = self.layer(window, state)
            outputs.append(output)
            state = tuple(map(self.carry, state)) if isinstance(state, tuple) else self.carry(state)
        return torch.cat(outputs)


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU])
@pytest.mark.parametrize("size", [1, 3])
def test_a_carried_state_goes_on(kind, size):
    """Windows of three steps, or a decoder that calls its layer step by step, are one loop: that of the whole."""
    torch.manual_seed(0)
    model, x = Windows(lambda state: state, size, kind).double(), torch.randn(TIME, BATCH, INPUT).double()
    whole = retention(model.layer, x, loss=lambda returned: returned[0][-1].sum())
    for layer in range(2):
        curve = retention(model, x)[f"layer/layer{layer}/forward"]
        same(curve.gain, whole[f"{kind.__name__}/layer{layer}/forward"].gain)
        assert curve.notes == ()


@pytest.mark.parametrize("cut", [torch.Tensor.detach, lambda part: part.detach().clone()])
def test_a_detached_state_begins_another_loop_and_says_so(cut):
    torch.manual_seed(0)
    model, x = Windows(cut).double(), torch.randn(TIME, BATCH, INPUT).double()
    curves = retention(model, x)
    assert [name.partition("/")[0] for name in curves][::2] == ["layer", "layer (call 2)", "layer (call 3)"]
    assert [len(curve.gain) for curve in curves.values()] == [3, 3, 3, 3, 1, 1]
    for name, curve in curves.items():
        assert any("arrives detached" in note for note in curve.notes) == ("call" in name)
    assert any("single step" in note for note in curve.notes)


def test_a_batch_that_shrinks_as_sequences_end():
    torch.manual_seed(0)

    class Shrinking(nn.Module):
        def __init__(self):
            super().__init__()
            self.cell = nn.LSTMCell(INPUT, HIDDEN)

        def forward(self, x, lengths):
            h = c = x.new_zeros(x.shape[1], HIDDEN)
            ended = []
            for t in range(len(x)):
                going = sum(length > t for length in lengths)
                ended += reversed(h[going:].unbind(0))
                h, c = self.cell(x[t, :going], (h[:going], c[:going]))
            return torch.stack([*h.unbind(0), *reversed(ended)])

    lengths = [7, 5, 2]
    model, x = Shrinking().double(), torch.randn(TIME, BATCH, INPUT).double()
    layer = nn.LSTM(INPUT, HIDDEN).double()
    layer.load_state_dict({f"{name}_l0": weight for name, weight in model.cell.state_dict().items()})
    packed = pack_padded_sequence(x, lengths)
    (expected,) = retention(layer, packed, loss=lambda returned: returned[1][0].sum()).values()
    same(retention(model, (x, lengths))["cell"].gain, expected.gain)


class Attending(nn.Module):
    """Encoder, decoder and attention between them; the decoder is a layer that is called step by step."""

    def __init__(self):
        super().__init__()
        self.encoder, self.decoder = nn.LSTM(INPUT, HIDDEN), nn.GRUCell(2 * HIDDEN, HIDDEN)
        self.start, self.head = nn.Linear(HIDDEN, HIDDEN), nn.Linear(HIDDEN, HIDDEN)

    def forward(self, source):
        memory, (h, _) = self.encoder(source)
        return self.decode(memory, self.start(h[0]), lambda state: state)

    def decode(self, memory, state, see):
        y, outputs = torch.zeros_like(state), []
        for _ in range(4):
            scores = (memory * state).sum(-1).softmax(0)
            read = (scores[..., None] * memory).sum(0)
            state = see(self.decoder(torch.cat([y, read], -1), state))
            y = self.head(state)
            outputs.append(y)
        return torch.stack(outputs)


def test_encoder_decoder_and_attention():
    torch.manual_seed(0)
    model, x = Attending().double(), torch.randn(TIME, BATCH, INPUT).double()
    curves = retention(model, x)
    encoder, decoder = Zeros(), Zeros()
    h = c = x.new_zeros(BATCH, HIDDEN)
    weights = model.encoder
    cell = nn.LSTMCell(INPUT, HIDDEN).double()
    cell.load_state_dict({name.removesuffix("_l0"): value for name, value in weights.state_dict().items()})
    memory = []
    for now in x:
        h, c = encoder.add(by_hand(cell, now, [h, c]))
        memory.append(h)
    outputs = model.decode(torch.stack(memory), model.start(h), lambda state: decoder.add([state])[0])
    loss = outputs[-1].sum()
    same(curves["encoder/layer0/forward"].gain, encoder.gain(loss))
    same(curves["decoder"].gain, decoder.gain(loss))
