"""Loops that a model writes itself, against the equations written again with a zero added to every state."""

from functools import partial
from typing import NamedTuple

import pytest
import torch
from torch import nn
from torch.nn.functional import linear
from torch.nn.utils.rnn import pack_padded_sequence

from rnnvanish.live import live_cells
from rnnvanish.observe.watch import watch
from rnnvanish.probes import retention

TIME, BATCH, INPUT, HIDDEN = 7, 3, 2, 4
same = partial(torch.testing.assert_close, rtol=1e-11, atol=1e-12)


def by_hand(cell, x, state):
    """One step of torch's cells, from its documentation; the state is a list of tensors."""
    a, b = linear(x, cell.weight_ih, cell.bias_ih), linear(state[0], cell.weight_hh, cell.bias_hh)
    if isinstance(cell, nn.LSTMCell):
        i, f, g, o = (a + b).chunk(4, -1)
        c = f.sigmoid() * state[1] + i.sigmoid() * g.tanh()
        return [o.sigmoid() * c.tanh(), c]
    if isinstance(cell, nn.GRUCell):
        (ar, az, an), (br, bz, bn) = a.chunk(3, -1), b.chunk(3, -1)
        z = (az + bz).sigmoid()
        return [(1 - z) * (an + (ar + br).sigmoid() * bn).tanh() + z * state[0]]
    return [(a + b).relu() if cell.nonlinearity == "relu" else (a + b).tanh()]


class Zeros:
    """A zero added to a state after a step: the gradient of the zero is the one asked for."""

    def __init__(self):
        self.steps = []

    def add(self, state):
        zeros = [torch.zeros_like(part).requires_grad_() for part in state]
        self.steps.append(zeros)
        return [part + zero for part, zero in zip(state, zeros, strict=True)]

    def gradients(self, loss):
        """(time, batch, whole state)."""
        flat = [zero for zeros in self.steps for zero in zeros]
        found = iter(torch.autograd.grad(loss, flat, materialize_grads=True, retain_graph=True))
        return torch.stack([torch.cat([next(found) for _ in zeros], -1) for zeros in self.steps])

    def gain(self, loss):
        norms = self.gradients(loss).norm(dim=-1).flip(0)
        return (norms / norms[0]).log().reshape(len(norms), -1).mean(1).exp()


CELLS = {
    "RNNCell": nn.RNNCell,
    "RNNCell relu": partial(nn.RNNCell, nonlinearity="relu"),
    "LSTMCell": nn.LSTMCell,
    "GRUCell": nn.GRUCell,
}


class Loop(nn.Module):
    """A stack of cells in a loop, as one writes it."""

    def __init__(self, make, layers=1, width=INPUT):
        super().__init__()
        self.cells = nn.ModuleList(make(width if layer == 0 else HIDDEN, HIDDEN) for layer in range(layers))

    def forward(self, x, state=None):
        states = [state] * len(self.cells)
        for now in x:
            for layer, cell in enumerate(self.cells):
                states[layer] = cell(now, states[layer])
                now = states[layer][0] if isinstance(states[layer], tuple) else states[layer]
        return now

    def again(self, x, zeros):
        parts = 2 if isinstance(self.cells[0], nn.LSTMCell) else 1
        states = [[x.new_zeros(*x.shape[1:-1], HIDDEN)] * parts for _ in self.cells]
        for now in x:
            for layer, cell in enumerate(self.cells):
                states[layer] = zeros[layer].add(by_hand(cell, now, states[layer]))
                now = states[layer][0]
        return now


@pytest.mark.parametrize("form", ["batch", "single sequence"])
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("kind", CELLS)
def test_torchs_cells(kind, layers, form):
    torch.manual_seed(0)
    model = Loop(CELLS[kind], layers).double().train(layers == 1)
    x = torch.randn(TIME, BATCH, INPUT).double() if form == "batch" else torch.randn(TIME, INPUT).double()
    curves, zeros = retention(model, x), [Zeros() for _ in model.cells]
    loss = model.again(x, zeros).sum()
    assert list(curves) == [f"cells.{layer}" for layer in range(layers)]
    for curve, layer in zip(curves.values(), zeros, strict=True):
        same(curve.gain, layer.gain(loss))
    assert curve.names == (("h", "c") if kind == "LSTMCell" else ("h",))


@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 1e-11), (torch.float16, 1e-11)]
)
def test_precisions(dtype, tolerance):
    """Less than single precision is measured in double, with the weights as they are."""
    torch.manual_seed(0)
    model, x = Loop(nn.LSTMCell).to(dtype), torch.randn(TIME, BATCH, INPUT).to(dtype)
    curve = retention(model, x)["cells.0"]
    model.double()
    zeros = [Zeros()]
    loss = model.again(x.double(), zeros).sum()
    torch.testing.assert_close(curve.gain, zeros[0].gain(loss), rtol=tolerance, atol=0)


def test_cures_reach_torchs_cells():
    model = Loop(nn.GRUCell)
    (cell,) = live_cells(model)
    assert cell.from_h.bias is model.cells[0].bias_hh


# Steps of the user's own: one set of equations, called in every way that people call a step.


class State(NamedTuple):
    h: torch.Tensor
    c: torch.Tensor


class Equations(nn.Module):
    """An LSTM whose output reads both of its parts."""

    def __init__(self):
        super().__init__()
        self.core = nn.LSTMCell(HIDDEN, HIDDEN)  # as wide as its state: the shapes do not say which is which
        self.head = nn.Linear(2 * HIDDEN, HIDDEN)

    def step(self, x, h, c):
        h, c = self.core(x, (h, c))
        return self.head(torch.cat([h, c.sin()], -1)), h, c


class OutputAndState(Equations):
    def forward(self, x, state):
        y, h, c = self.step(x, *state)
        return y, (h, c)

    def start(self, x):
        return x.new_zeros(x.shape[1], HIDDEN), x.new_zeros(x.shape[1], HIDDEN)

    def loop(self, x):
        state, y = self.start(x), None
        for now in x:
            y, state = self(now, state)
        return y


class Keywords(OutputAndState):
    def loop(self, x):
        state, y = self.start(x), None
        for now in x:
            y, state = self(state=state, x=now)
        return y


class StateFirst(Equations):
    def forward(self, memory, x):
        y, h, c = self.step(x, memory["h"], memory["c"])
        return {"h": h, "c": c}, y

    def loop(self, x):
        memory = {"h": x.new_zeros(x.shape[1], HIDDEN), "c": x.new_zeros(x.shape[1], HIDDEN)}
        for now in x:
            memory, y = self(memory, now)
        return y


class Separate(Equations):
    def forward(self, x, h, c, scale=1.0):
        return self.step(scale * x, h, c)

    def loop(self, x):
        h = c = x.new_zeros(x.shape[1], HIDDEN)
        for now in x:
            y, h, c = self(2 * now, h, c=c, scale=0.5)
        return y


class Named(Equations):
    def forward(self, x, state=None):
        h, c = state or State(torch.zeros_like(x), torch.zeros_like(x))
        y, h, c = self.step(x, h, c)
        return y, State(h, c)

    def loop(self, x):
        state = None
        for now in x:
            y, state = self(now, state)
        return y


class Around(nn.Module):
    def __init__(self, step):
        super().__init__()
        self.step = step

    def forward(self, x):
        return self.step.loop(x)


@pytest.mark.parametrize("kind", [OutputAndState, Keywords, StateFirst, Separate, Named])
@pytest.mark.parametrize("named", ["by class", "by instance", "by name"])
def test_steps_of_the_users_own(kind, named):
    torch.manual_seed(0)
    model, x = Around(kind()).double(), torch.randn(TIME, BATCH, HIDDEN).double()
    cells = {"by class": [kind], "by instance": [model.step], "by name": ["step"]}[named]
    curves = retention(model, x, cells=cells)
    zeros = Zeros()
    h = c = x.new_zeros(BATCH, HIDDEN)
    for now in x:
        h, c = zeros.add(by_hand(model.step.core, now, [h, c]))
    loss = model.step.head(torch.cat([h, c.sin()], -1)).sum()
    assert list(curves) == ["step"]
    same(curves["step"].gain, zeros.gain(loss))
    assert curves["step"].names == (("state0", "state1") if kind in (OutputAndState, Keywords) else ("h", "c"))


def test_a_named_step_can_be_taken_again():
    """Probes of single steps: (x, state) -> state, with all that it reads side by side in x."""
    torch.manual_seed(0)
    model, x = Around(Separate()).double(), torch.randn(TIME, BATCH, HIDDEN).double()

    def measure(output, runs):
        (run,) = runs
        before = [run.initial, *run.states[:-1]]
        for t in range(TIME):
            for new, old in zip(run.step(run.x[t], before[t]), run.states[t], strict=True):
                same(new, old)
        rows = torch.tensor([2, 0])  # other numbers of sequences, too
        for new, old in zip(run.step(run.x[3, rows], tuple(p[rows] for p in before[3])), run.states[3], strict=True):
            same(new, old[rows])
        return run.x.shape

    assert watch(model, x, measure, cells=[Separate]) == (TIME, BATCH, HIDDEN)


class Pictures(nn.Module):
    """A convolutional step: its state is a picture."""

    def __init__(self):
        super().__init__()
        self.mix = nn.Conv2d(3, 2, 3, padding=1)

    def forward(self, x, state):
        return torch.tanh(self.mix(torch.cat([x, state], 1)))

    def loop(self, x):
        state = x.new_zeros(BATCH, 2, 3, 3)
        for now in x:
            state = self(now, state)
        return state.mean()


def test_a_state_of_any_shape():
    torch.manual_seed(0)
    model, x = Around(Pictures()).double(), torch.randn(TIME, BATCH, 1, 3, 3).double()
    zeros, state = Zeros(), x.new_zeros(BATCH, 2, 3, 3)
    for now in x:
        flat = torch.tanh(model.step.mix(torch.cat([now, state], 1))).reshape(BATCH, -1)
        state = zeros.add([flat])[0].reshape(BATCH, 2, 3, 3)
    same(retention(model, x, cells=[Pictures])["step"].gain, zeros.gain(state.mean()))


def test_what_is_fed_back_now_and_then_is_no_state():
    """Teacher forcing: half of the time a decoder reads its own last output."""

    class Decoder(nn.Module):
        def __init__(self):
            super().__init__()
            self.cell, self.head = nn.GRUCell(HIDDEN, HIDDEN), nn.Linear(HIDDEN, HIDDEN)

        def forward(self, x, state):
            state = self.cell(x, state)
            return self.head(state), state

        def loop(self, x):
            y, state = x[0], x.new_zeros(BATCH, HIDDEN)
            for t, now in enumerate(x):
                y, state = self(y if t % 2 else now, state)
            return y

    torch.manual_seed(0)
    model, x = Around(Decoder()).double(), torch.randn(TIME, BATCH, HIDDEN).double()
    zeros, state, y = Zeros(), x.new_zeros(BATCH, HIDDEN), None
    for t, now in enumerate(x):
        (state,) = zeros.add(by_hand(model.step.cell, y if t % 2 else now, [state]))
        y = model.step.head(state)
    (curve,) = retention(model, x, cells=[Decoder]).values()
    same(curve.gain, zeros.gain(y.sum()))


# Several loops


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
