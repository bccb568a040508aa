"""Where a loss stops to read: rows of a padded batch at their own ends, and outputs that are made of the state before."""

from functools import partial

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from rnnvanish import Recurrent, cells
from rnnvanish.diagnosis.cause.cause import causes
from rnnvanish.probes import bypass, depth, retention, sensitivity, shares

TIME, BATCH, INPUT, HIDDEN = 9, 4, 3, 5
LENGTHS = torch.tensor([5, TIME, 3, 8])
same = partial(torch.testing.assert_close, rtol=1e-10, atol=1e-12)

#: Ways to read each row of (time, batch, hidden) at its own end.
ENDS = {
    "index": lambda y: y[LENGTHS - 1, torch.arange(BATCH)],
    "gather": lambda y: y.gather(0, (LENGTHS - 1)[None, :, None].expand(1, BATCH, y.shape[2]))[0],
    "list of rows": lambda y: torch.stack([y[n - 1, row] for row, n in enumerate(LENGTHS.tolist())]),
    "mask": lambda y: (y * (torch.arange(TIME)[:, None] == LENGTHS - 1)[..., None]).sum(0),
}
#: Ways to read every step of each row; the gradient comes in all along.
SUMS = {
    "masked sum": lambda y: (y.exp() * (torch.arange(TIME)[:, None] < LENGTHS)[..., None]).sum(0),
    "masked fill": lambda y: y.exp().masked_fill((torch.arange(TIME)[:, None] >= LENGTHS)[..., None], 0.0).sum(0),
    "list of sums": lambda y: torch.stack([y[:n, row].exp().sum(0) for row, n in enumerate(LENGTHS.tolist())]),
}


class Whole(nn.Module):
    """An unpacked batch."""

    def __init__(self, layer, reads):
        super().__init__()
        self.layer, self.reads = layer, reads

    def forward(self, x):
        output = self.layer(x)[0]
        return self.reads(output.transpose(0, 1) if self.layer.batch_first else output)


class Packed(Whole):
    def forward(self, x):
        packed = pack_padded_sequence(x, LENGTHS, self.layer.batch_first, enforce_sorted=False)
        return self.reads(pad_packed_sequence(self.layer(packed)[0], total_length=TIME)[0])


class Loop(Whole):
    """Cells in a loop of the user's own, with the weights of a layer."""

    def __init__(self, layer, reads):
        super().__init__(layer, reads)
        sizes = [INPUT] + [HIDDEN] * (layer.num_layers - 1)
        self.cells = nn.ModuleList(nn.LSTMCell(size, HIDDEN) for size in sizes).double()
        for place, cell in enumerate(self.cells):
            for name, weight in cell.named_parameters():
                weight.data = getattr(layer, f"{name}_l{place}").data
        del self.layer

    def forward(self, x):
        states, outputs = [None] * len(self.cells), []
        for now in x:
            for place, cell in enumerate(self.cells):
                states[place] = cell(now, states[place])
                now = states[place][0]
            outputs.append(now)
        return self.reads(torch.stack(outputs))


def square(output):
    return (output**2).sum()


def compare(ours, theirs):
    """Two curves of the same function."""
    same(ours.gain, theirs.gain)
    for name, part in ours.parts.items():
        same(part, theirs.parts[name])
    assert (ours.total is None) == (theirs.total is None)
    if theirs.total is not None:
        same(ours.total.gain, theirs.total.gain)
    assert any("3 of 4 sequences have no part in the loss" in note for note in ours.notes)
    assert theirs.notes == ()


@pytest.mark.parametrize("reads", {**ENDS, **SUMS})
@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU, partial(nn.LSTM, proj_size=4), partial(Recurrent, cells.Elman)])
@pytest.mark.parametrize("form", [{}, {"num_layers": 2, "batch_first": True}], ids=["plain", "two, batch first"])
def test_a_padded_batch_that_is_read_at_its_ends_is_the_packed_one(kind, form, reads):
    torch.manual_seed(0)
    layer, reading = kind(INPUT, HIDDEN, **form).double(), {**ENDS, **SUMS}[reads]
    x = torch.randn(TIME, BATCH, INPUT).double()
    x = x.transpose(0, 1) if form else x
    for loss in (None, square):
        theirs = retention(Packed(layer, reading), x, loss=loss)
        for name, curve in retention(Whole(layer, reading), x, loss=loss).items():
            compare(curve, theirs[name])


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("reads", ["index", "masked sum"])
def test_a_loop_of_cells_likewise(reads, layers):
    torch.manual_seed(0)
    layer, reading = nn.LSTM(INPUT, HIDDEN, layers).double(), {**ENDS, **SUMS}[reads]
    x = torch.randn(TIME, BATCH, INPUT).double()
    theirs = retention(Packed(layer, reading), x, loss=square)
    ours = retention(Loop(layer, reading), x, loss=square)
    for place in range(layers):
        compare(ours[f"cells.{place}"], theirs[f"layer/layer{place}/forward"])


def test_both_directions_by_hand():
    """A reverse direction has read the padding before it: its curve ends where it is read, and not where it stops."""
    torch.manual_seed(0)
    layer, x = nn.GRU(INPUT, HIDDEN, bidirectional=True).double(), torch.randn(TIME, BATCH, INPUT).double()
    curves = retention(Whole(layer, ENDS["index"]), x, loss=square)
    cell = nn.GRUCell(INPUT, HIDDEN).double()
    for direction, suffix in (("forward", ""), ("reverse", "_reverse")):
        cell.load_state_dict({name: getattr(layer, f"{name}_l0{suffix}") for name, _ in cell.named_parameters()})
        rows = []
        for row, n in enumerate(LENGTHS.tolist()):
            sequence = x[:n, row] if direction == "forward" else x[n - 1 :, row].flip(0)
            h, zeros = x.new_zeros(1, HIDDEN), []
            for now in sequence:
                zeros.append(x.new_zeros(1, HIDDEN).requires_grad_())
                h = cell(now[None], h) + zeros[-1]
            norms = torch.stack(torch.autograd.grad(square(h), zeros)).flatten(1).norm(dim=1).flip(0)
            rows.append((norms / norms[0]).log())
        longest = max(map(len, rows))
        expected = [torch.stack([row[lag] for row in rows if lag < len(row)]).mean().exp() for lag in range(longest)]
        same(curves[f"layer/layer0/{direction}"].gain, torch.stack(expected))


def test_other_measures_count_from_there_too():
    torch.manual_seed(0)
    layer, x = nn.LSTM(INPUT, HIDDEN).double(), torch.randn(TIME, BATCH, INPUT).double()
    ours, theirs = Whole(layer, ENDS["gather"]), Packed(layer, ENDS["gather"])
    name = "layer/layer0/forward"
    same(shares(ours, x, square)[name].all, shares(theirs, x, square)[name].all)
    same(sensitivity(ours, x, square)[name].size, sensitivity(theirs, x, square)[name].size)
    same(torch.tensor(depth(ours, x, square)[name].leaves), torch.tensor(depth(theirs, x, square)[name].leaves))
    same(bypass(ours, x, square)[name].share, torch.zeros(TIME, dtype=torch.float64))
    same(causes(ours, x, square)[name].gain, causes(theirs, x, square)[name].gain)


@pytest.mark.parametrize("loss", [None, square])
def test_a_long_batch_runs_compiled_where_it_can(loss):
    torch.manual_seed(0)
    layer, x, ends = nn.GRU(1, 64).double(), torch.randn(70, 2, 1).double(), torch.tensor([70, 20])
    (ours,) = retention(Whole(layer, lambda y: y[ends - 1, torch.arange(2)]), x, loss=loss).values()
    packed = pack_padded_sequence(x, ends)
    (theirs,) = retention(layer, packed, loss=loss and (lambda output: square(output[1]))).values()
    same(ours.gain, theirs.gain)


def test_a_batch_that_is_read_at_its_end_has_no_note():
    (curve,) = retention(nn.GRU(INPUT, HIDDEN), torch.randn(TIME, BATCH, INPUT)).values()
    assert curve.notes == ()


class CharRNN(nn.Module):
    """The old recipe: output and next state are both made of the input and of the state before."""

    def __init__(self):
        super().__init__()
        self.i2h, self.i2o = nn.Linear(INPUT + HIDDEN, HIDDEN), nn.Linear(INPUT + HIDDEN, 4)

    def forward(self, x, h):
        both = torch.cat((x, h), 1)
        return self.i2o(both).log_softmax(-1), self.i2h(both).tanh()

    def start(self, x):
        return x.new_zeros(x.shape[1], HIDDEN)


class Beside(CharRNN):
    """The output is one half of the state, before the halves are put together."""

    def forward(self, x, h):
        both = torch.cat((x, h[:, :HIDDEN]), 1)
        u, v = self.i2h(both).tanh(), h[:, HIDDEN:] + self.i2h(both).sigmoid()
        return v, torch.cat([u, v], dim=1)

    def start(self, x):
        return x.new_zeros(x.shape[1], 2 * HIDDEN)


class Both(CharRNN):
    """The output reads the state before and the one after: then the last one is read."""

    see = staticmethod(lambda h: h)

    def forward(self, x, h):
        output, new = super().forward(x, h)
        new = self.see(new)
        return output[:, :1] * new, new


class Running(nn.Module):
    def __init__(self, step):
        super().__init__()
        self.step = step

    def forward(self, x):
        return self.run(x, lambda h: h)

    def run(self, x, see):
        h = self.step.start(x)
        for now in x:
            y, h = self.step(now, h)
            h = see(h)
        return y


@pytest.mark.parametrize("make", [CharRNN, Beside, Both])
def test_an_output_of_the_state_before(make):
    torch.manual_seed(0)
    model, x, zeros = Running(make()).double(), torch.randn(TIME, BATCH, INPUT).double(), []

    def see(h):
        zeros.append(torch.zeros_like(h, requires_grad=True))
        return h + zeros[-1]

    if make is Both:
        model.step.see = see
    value = model.run(x, see if make is not Both else lambda h: h)
    model.step.see = Both.see
    found = torch.autograd.grad(square(value), zeros, materialize_grads=True)
    norms = torch.stack([each.norm(dim=1) for each in found]).flip(0)
    assert bool((norms[0] == 0).all()) == (make is not Both)
    norms = norms if make is Both else norms[1:]
    (curve,) = retention(model, x, loss=square, cells=[CharRNN]).values()
    same(curve.gain, (norms / norms[0]).log().mean(1).exp())
    assert curve.total is None
    assert ("all sequences have no part in the loss" in "".join(curve.notes)) == (make is not Both)
    (cause,) = causes(model, x, square, cells=[CharRNN]).values()
    same(cause.gain, curve.gain.log().diff())


class Every(Running):
    def run(self, x, see):
        h, outputs = see(self.step.start(x)), []
        for now in x:
            y, h = self.step(now, h)
            outputs.append(y)
        return torch.stack(outputs)


@pytest.mark.parametrize("make", [CharRNN, Beside, Both])
def test_of_all_outputs_the_last_is_the_end_where_no_loss_is_named(make):
    torch.manual_seed(0)
    step, x = make().double(), torch.randn(TIME, BATCH, INPUT).double()
    (every,) = retention(Every(step), x, cells=[CharRNN]).values()
    (last,) = retention(Running(step), x, cells=[CharRNN]).values()
    same(every.gain, last.gain)
    assert every.notes == last.notes


def test_of_a_model_that_returns_its_last_window_the_last_step_is_read():
    class Windows(nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn = nn.GRU(2, 5)

        def forward(self, x):
            _, h = self.rnn(x[:7])
            return self.rnn(x[7:], h)[0]

    torch.manual_seed(0)
    model, x = Windows().double(), torch.randn(12, 3, 2).double()
    (found,) = retention(model, x).values()
    (named,) = retention(model, x, lambda output: output[-1].sum()).values()
    assert len(found.gain) == 12
    torch.testing.assert_close(found.gain, named.gain, rtol=1e-10, atol=0)
