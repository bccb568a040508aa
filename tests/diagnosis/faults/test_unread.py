"""Read at the first step, a direction, a layer or sequences that are never read: seen, mended, and silent where all is read."""

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence
from torch.utils.data import DataLoader

from rnnvanish import diagnose
from rnnvanish.diagnosis.find_faults import find
from rnnvanish.diagnosis.rerun import reading

BATCH, TIME, FEATURES, SIZE = 4, 12, 3, 6
X = torch.randn(BATCH, TIME, FEATURES, generator=torch.Generator().manual_seed(0))
LENGTHS = torch.tensor([12, 7, 12, 4])
NAMES = ("read at its first step", "unread direction", "unread layer", "unread sequences")


class Reads(nn.Module):
    """A recurrent layer, and what `read` makes of what it returns."""

    def __init__(self, read, kind=nn.GRU, **options):
        super().__init__()
        torch.manual_seed(0)
        self.rnn, self.read = kind(FEATURES, SIZE, batch_first=True, **options), read
        self.head = nn.Identity()

    def forward(self, x, lengths=None):
        if lengths is None:
            return self.head(self.read(*self.rnn(x)))
        packed, state = self.rnn(pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False))
        output, lengths = pad_packed_sequence(packed, batch_first=True)
        return self.head(self.read(output, state, lengths))


def reads(read, **options):
    model = Reads(read, **options)
    model.head = nn.Linear(read(*model.rnn(X), *([LENGTHS] if read.__code__.co_argcount == 3 else [])).shape[-1], 3)
    return model


def both(read, **options):
    return reads(read, bidirectional=True, **options)


def found(model, inputs, loss=None):
    return [each for each in find(model, inputs, loss) if each.fault in NAMES]


def last(output, state):
    return output[:, -1]


def every(output, state):
    return output


def own_end(output, state, lengths):
    return output[torch.arange(len(output)), lengths - 1]


def last_column(output, state, lengths):
    return output[:, -1]


def read_last(y):
    return y[:, -1].square().sum()


@pytest.mark.parametrize(
    ("model", "inputs", "loss", "layer", "steps"),
    [
        (both(last), X, None, "rnn/layer0/reverse", 1 / 12),
        (both(last, kind=nn.LSTM, num_layers=2), X, None, "rnn/layer1/reverse", 1 / 12),
        (both(every), X, read_last, "rnn/layer0/reverse", 1 / 12),
        (both(lambda output, state: output[:, 0]), X, None, "rnn/layer0/forward", 1 / 12),
        (reads(lambda output, state: output[:, 0]), X, None, "rnn/layer0/forward", 1 / 12),
        (both(own_end), (X, LENGTHS), None, "rnn/layer0/reverse", (1 / 12 + 1 / 7 + 1 / 12 + 1 / 4) / 4),
    ],
)
def test_a_direction_that_has_read_one_step(model, inputs, loss, layer, steps):
    (finding,) = found(model, inputs, loss)
    assert (finding.fault, finding.layer) == ("read at its first step", layer)
    assert "has read 1 of 12 steps" in finding.seen
    assert "h_n[-1]" in finding.remedy
    assert finding.before == pytest.approx(steps)
    assert finding.after == 1


def test_one_backward_pass_shows_the_same():
    model, x = both(last), X.clone().requires_grad_()
    output, _ = model.rnn(x)
    (gradient,) = torch.autograd.grad(output[:, -1, SIZE:].sum(), x)
    assert gradient.abs().sum((0, 2)).nonzero().flatten().tolist() == [TIME - 1]
    diagnosis = diagnose(model, X)
    assert not diagnosis.healthy
    assert [each.fault for each in diagnosis.findings] == ["read at its first step"]


class ByHand(nn.Module):
    """A backward direction by hand, turned back, and read at the end."""

    def __init__(self, at):
        super().__init__()
        torch.manual_seed(0)
        self.backward_rnn, self.at = nn.GRU(FEATURES, SIZE, batch_first=True), at

    def forward(self, x):
        return self.backward_rnn(x.flip(1))[0].flip(1)[:, self.at]


def test_a_backward_direction_by_hand():
    (finding,) = found(ByHand(-1), X)
    assert (finding.layer, finding.after) == ("backward_rnn/layer0/forward", 1)
    assert not found(ByHand(0), X)


@pytest.mark.parametrize(
    ("model", "fault", "layer", "before"),
    [
        (both(lambda output, state: state[-1]), "unread direction", "rnn/layer0/forward", 1 / 2),
        (both(lambda output, state: state[0]), "unread direction", "rnn/layer0/reverse", 1 / 2),
        (both(lambda output, state: output[..., :SIZE].mean(1)), "unread direction", "rnn/layer0/reverse", 1 / 2),
        (both(lambda output, state: state[-1], num_layers=2), "unread direction", "rnn/layer1/forward", 3 / 4),
        (reads(lambda output, state: state[0], num_layers=2), "unread layer", "rnn/layer1/forward", 1 / 2),
        (
            both(lambda output, state: state[0][:2].sum(0), num_layers=2, kind=nn.LSTM),
            "unread layer",
            "rnn/layer1/reverse",
            1 / 2,
        ),
    ],
)
def test_a_direction_or_a_layer_that_is_never_read(model, fault, layer, before):
    (finding,) = found(model, X)
    assert (finding.fault, finding.layer, finding.before) == (fault, layer, before)
    assert layer.partition("/")[2] in finding.seen
    assert finding.after == 1


def test_the_last_column_of_what_was_packed_is_that_of_the_longest():
    (finding,) = found(reads(last_column), (X, LENGTHS))
    assert (finding.fault, finding.before, finding.after) == ("unread sequences", 0.5, 1.0)
    assert "2 of 4 sequences" in finding.seen
    assert [each.fault for each in found(both(last_column), (X, LENGTHS))] == [NAMES[0], "unread sequences"]


class Twice(nn.Module):
    """One direction of the first call, the other of the second."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.rnn = nn.GRU(FEATURES, SIZE, batch_first=True, bidirectional=True)

    def forward(self, x):
        return self.rnn(x)[1][0] + self.rnn(x + 1)[1][1]


class Attends(nn.Module):
    """An encoder of which its decoder reads the outputs alone, all of them, at every step."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.encoder = nn.GRU(FEATURES, SIZE, 2, batch_first=True, bidirectional=True)
        self.decoder = nn.GRU(FEATURES, 2 * SIZE, batch_first=True)

    def forward(self, x):
        keys, queries = self.encoder(x)[0], self.decoder(x)[0]
        return queries + (queries @ keys.transpose(1, 2)).softmax(-1) @ keys


def masked(rows):
    """A cross entropy of which some sequences have no target."""
    targets = torch.zeros(BATCH, dtype=torch.long)
    targets[rows] = -100
    return lambda y: cross_entropy(y if y.dim() == 2 else y[:, -1], targets)


@pytest.mark.parametrize(
    ("model", "inputs", "loss"),
    [
        (both(every), X, None),
        (both(every), X, lambda y: cross_entropy(y.flatten(0, 1), torch.arange(BATCH * TIME) % 3)),
        (both(lambda output, state: torch.cat([*state[-2:]], -1)), X, None),
        (both(lambda output, state: torch.cat([output[:, -1, :SIZE], output[:, 0, SIZE:]], -1)), X, None),
        (both(lambda output, state: output.mean(1), num_layers=2), X, None),
        (both(lambda output, state: output.amax(1)), X, None),
        (reads(last), X, masked([1, 3])),
        (reads(last, num_layers=2), X, None),
        (reads(lambda output, state, lengths: state[-1]), (X, LENGTHS), None),
        (reads(lambda output, state, lengths: state[-1]), (X, LENGTHS), masked([1, 3])),  # those that are shorter
        (reads(own_end), (X, LENGTHS), None),
        (reads(last_column), (X, torch.full((BATCH,), TIME)), None),
        (both(last), X[:, :1], None),  # one step is all there is
        (Twice(), X, None),
        (Attends(), X, None),
        (nn.LSTM(FEATURES, SIZE, 2, bidirectional=True), X, None),
    ],
)
def test_where_all_is_read_there_is_none(model, inputs, loss):
    assert found(model, inputs, loss) == []


class Labels(nn.Module):
    """A tagger that reads every step; which of them the loss does, the batch says."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.rnn = nn.GRU(FEATURES, SIZE, batch_first=True, bidirectional=True)

    def forward(self, x):
        return self.rnn(x)[0]


@pytest.mark.parametrize(("labelled", "count"), [(1, 0), (2, 1)])
def test_a_batch_that_happens_to_be_labelled_at_its_end_alone_is_no_fault(labelled, count):
    rows = torch.zeros(2, BATCH, TIME)
    rows[:, :, -1] = 1
    rows[labelled:] = 1
    loader = DataLoader([(X, rows[0]), (X, rows[1])], batch_size=None)
    diagnosis = diagnose(Labels(), loader, loss=lambda y, batch: (y.square().sum(-1) * batch[1]).sum())
    assert [each.fault for each in diagnosis.findings] == ["read at its first step"] * count


def test_it_needs_no_further_pass_where_it_cannot_be(monkeypatch):
    monkeypatch.setattr(reading, "state_gradients", lambda *_: pytest.fail("a gradient of the whole loss"))
    assert find(both(every), X) == ()
