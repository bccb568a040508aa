"""Batch and time swapped, or sequences mixed: seen, mended on a copy, and silent where a batch is kept apart or cannot be told."""

from collections import Counter

import pytest
import torch
from torch import nn
from torch.nn.functional import normalize
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence, pad_sequence
from torch.utils.data import DataLoader

from rnnvanish import Recurrent, cells, diagnose
from rnnvanish.diagnosis.fault import Subject
from rnnvanish.diagnosis.faults.mixed_sequences import mixed_sequences
from rnnvanish.diagnosis.find_faults import find
from rnnvanish.diagnosis.rerun.separation import Answers
from rnnvanish.observe.call import sample_batches

BATCH, TIME, FEATURES = 6, 10, 5
X = torch.randn(BATCH, TIME, FEATURES, generator=torch.Generator().manual_seed(0))
X8 = torch.randn(8, 6, FEATURES, generator=torch.Generator().manual_seed(0))  # as many as the layer is wide
LENGTHS = torch.tensor([10, 7, 9, 4, 10, 5])


class Reads(nn.Module):
    """A recurrent layer, and what `read` makes of it."""

    def __init__(self, read, width=8, classes=3, kind=nn.GRU, head=True, **options):
        super().__init__()
        torch.manual_seed(0)
        self.rnn, self.read = kind(FEATURES, 8, **options), read
        self.head = nn.Linear(width, classes) if head else nn.Identity()
        self.norm = nn.BatchNorm1d(width)
        self.own_norm = nn.BatchNorm1d(width, track_running_stats=False)

    def forward(self, *inputs):
        return self.read(self, *inputs)


def last(model, x):
    return model.head(model.rnn(x)[0][:, -1])


def first_axis(model, x):
    return model.head(model.rnn(x)[0][-1])


def every(model, x):
    return model.head(model.rnn(x)[0])


def mean(model, x):
    return model.head(model.rnn(x)[0].mean(1))


def viewed_states(model, x):
    return model.head(model.rnn(x)[1].view(len(x), -1))


def viewed_input(model, x):
    return model.head(model.rnn(x.view(x.shape[1], len(x), -1))[0][-1])


def viewed_output(model, x):
    return model.head(model.rnn(x.transpose(0, 1))[0].reshape(BATCH, TIME, -1)[:, -1])


def neighbours(model, x):
    y = every(model, x)
    return (y + y.roll(1, 0)).flatten(0, 1)


def neighbouring_states(model, x):
    y = model.head(model.rnn(x)[1][-1])
    return y + y.roll(1, 0)


def loader(x=X):
    return DataLoader(x, batch_size=BATCH)


def call_of(model, inputs):
    return sample_batches(model, inputs, 1)[0]


def seen(model, inputs):
    return find(model.eval(), inputs)


@pytest.mark.parametrize(
    ("model", "inputs", "fault", "remedy"),
    [
        (Reads(last), X, "batch and time swapped", "If axis 0 (6) is the batch, set batch_first=True of rnn."),
        (Reads(last), loader(), "batch and time swapped", "Set batch_first=True of rnn."),
        (Reads(every), loader(), "batch and time swapped", "Set batch_first=True of rnn."),
        (Reads(mean), loader(), "batch and time swapped", "Set batch_first=True of rnn."),
        (Reads(first_axis), loader(), "batch and time swapped", "Give the model its input with the axes swapped"),
        (Reads(first_axis, batch_first=True), X, "batch and time swapped", "its last step is output[:, -1]"),
        (Reads(first_axis, batch_first=True), loader(), "batch and time swapped", "its last step is output[:, -1]"),
        (Reads(last), X[:, :BATCH], "batch and time swapped", "set batch_first=True"),
        (
            Reads(viewed_states, 16, num_layers=2, batch_first=True),
            X,
            "sequences mixed",
            "h_n.transpose(0, 1).reshape(batch, -1)",
        ),
        (
            Reads(viewed_states, 16, bidirectional=True, batch_first=True),
            X[:2],
            "sequences mixed",
            "h_n.transpose(0, 1).reshape(batch, -1)",
        ),
        (Reads(viewed_states, num_layers=2, batch_first=True, head=False), X, "sequences mixed", "h_n.transpose(0, 1)"),
        (Reads(viewed_input), X, "sequences mixed", "what rnn reads by transpose(0, 1)"),
        (Reads(viewed_output), X, "sequences mixed", "what rnn returns by transpose(0, 1)"),
    ],
)
def test_what_is_mixed_is_named_and_mended_on_a_copy(model, inputs, fault, remedy):
    (finding,) = seen(model, inputs)
    assert (finding.fault, finding.layer, finding.question) == (fault, "rnn", False)
    assert remedy in finding.remedy
    assert finding.before <= 0.5
    assert finding.after == 1


def test_a_mix_of_neighbours():
    """Their order has a meaning: it is not meant, as attention over the batch may be."""
    (finding,) = seen(Reads(neighbours, batch_first=True), loader())
    assert not finding.question
    (finding,) = seen(Reads(neighbouring_states, batch_first=True), X)
    assert (finding.fault, finding.question) == ("sequences mixed", False)
    assert "could not be tried" in str(finding)


def test_a_mix_of_steps_that_are_three_apart():
    x = torch.randn(9, 6, FEATURES, generator=torch.Generator().manual_seed(0))
    (finding,) = seen(Reads(viewed_input), x)
    assert "what rnn reads by transpose(0, 1)" in finding.remedy


def test_a_report_has_it_first_and_counts_as_one_backward_pass_does():
    model = Reads(last)
    diagnosis = diagnose(model, X)
    assert not diagnosis.healthy
    (finding,) = diagnosis.findings
    assert "rnn ran over 6 steps of 10 sequences" in finding.seen
    x = X.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(model(x)[-1].sum(), x)
    assert (int(gradient.abs().sum((1, 2)).count_nonzero()), int(gradient.abs().sum((0, 2)).count_nonzero())) == (6, 1)
    assert "changes with 3.5 of 6" in finding.seen  # the last output with 6, the first with 1
    assert "Nor is it axis 1 (10): 9 of 10 entries change nothing at all." in finding.seen


def frames_first(model, x):
    """(batch, channels, features, frames): as music separation has it; its layer reads (frames, batch, features)."""
    y = model.rnn(x.permute(3, 0, 1, 2).flatten(0, 1).reshape(x.shape[3], -1, FEATURES))[0]
    return model.head(y).reshape(x.shape[3], len(x), 2, 3).permute(1, 2, 3, 0)


def rows_by_view(model, x):  # as readers of text lines do
    y = model.rnn(x)[0]
    return model.head(y.view(-1, y.shape[-1])).view(*y.shape[:2], -1)[:, -1]


def test_a_view_that_would_refuse_the_turned_output_is_told():
    for inputs in (X, loader()):
        (finding,) = seen(Reads(rows_by_view), inputs)
        assert (finding.fault, finding.after) == ("batch and time swapped", 1)
        assert "et batch_first=True of rnn, and write reshape, not view, for what comes out of it" in finding.remedy


def test_an_axis_further_back_that_is_kept_apart_leaves_a_question():
    x = torch.randn(4, 2, FEATURES, 9, generator=torch.Generator().manual_seed(0))
    assert not seen(Reads(frames_first), x)
    (finding,) = seen(Reads(frames_first, batch_first=True), x)
    assert (finding.fault, finding.question, finding.after) == ("batch and time swapped", True, 1)
    assert finding.remedy.startswith(
        "If axis 3 (9) is the batch, nothing. Otherwise: if axis 0 (4) is the batch, set batch_first=False of rnn."
    )
    (finding,) = seen(Reads(frames_first, batch_first=True), DataLoader(x, batch_size=4))
    assert not finding.question


def ragged(model, x):
    """One tensor for each sequence, each as long as its own."""
    return [y[: int(length)] for y, length in zip(every(model, x).unbind(1), LENGTHS, strict=False)]


def test_of_a_list_with_a_tensor_for_each_sequence_the_place_is_an_axis():
    x = X.transpose(0, 1).contiguous()
    assert not seen(Reads(lambda model, x: list(every(model, x).unbind(1))), x)
    assert not seen(Reads(lambda model, x: (ragged(model, x), x.mean())), x)
    (finding,) = seen(Reads(lambda model, x: list(every(model, x).unbind(0))), loader())
    assert finding.fault == "batch and time swapped"
    mixed = Reads(lambda model, x: list(neighbours(model, x).unflatten(0, (BATCH, TIME))), batch_first=True)
    assert [each.fault for each in seen(mixed, loader())] == ["sequences mixed"]


class OwnLoop(nn.Module):
    """Goes along the first axis."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.cell = nn.GRUCell(FEATURES, 8)

    def forward(self, x):
        h = x.new_zeros(x.shape[1], 8)
        for step in x:
            h = self.cell(step, h)
        return h


def test_a_loop_of_the_model_itself():
    assert not seen(OwnLoop(), X)  # time-major, and right for all one knows
    (finding,) = seen(OwnLoop(), loader())
    assert (finding.fault, finding.layer, finding.after) == ("batch and time swapped", "cell", 1)


def over_the_batch(model, x):
    y = model.rnn(x)[0][:, -1]
    return model.head((y @ y.T).softmax(-1) @ y)


class Attends(nn.Module):
    def __init__(self, batch_first):
        super().__init__()
        torch.manual_seed(0)
        self.rnn = nn.GRU(FEATURES, 8, batch_first=True)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=batch_first)

    def forward(self, x):
        y, _ = self.rnn(x)
        return self.attention(y, y, y)[0].mean(1)


def test_layers_of_our_own():
    def read(batch_first):
        model = Reads(last)
        model.rnn = Recurrent(cells.GRU, FEATURES, 8, batch_first=batch_first)
        return seen(model, X)

    assert not read(True)
    (finding,) = read(False)
    assert (finding.fault, finding.after) == ("batch and time swapped", 1)


@pytest.mark.parametrize(
    ("model", "remedy"),
    [
        (Reads(over_the_batch, batch_first=True), "instead of time or features"),
        (Reads(lambda model, x: last(model, x).softmax(0), batch_first=True), "instead of time or features"),
        (Reads(mean), "set batch_first=True of rnn"),  # or time-major, and the mean over the batch is meant
        (Attends(False), "set batch_first=True of attention"),
    ],
)
def test_what_may_be_meant_is_a_question(model, remedy):
    (finding,) = seen(model, X)
    assert finding.question
    assert remedy in finding.remedy
    assert finding.remedy.startswith("If sequences are meant to be seen together, nothing.")
    assert str(diagnose(model.eval(), X).findings) == str((finding,))  # what was not tried is nan, equal to nothing


def packed(model, x, lengths):
    return model.rnn(pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False))


def of_sorted(model, x):
    order = x[:, 0, 0].argsort()
    return model.head(model.rnn(x[order])[1][-1])[order.argsort()]


def similarity_of_embeddings(model, x):
    return normalize(model.rnn(x)[1][-1]), normalize(model.rnn(x.flip(1))[1][-1])


def windows(model, x):
    cut = x.unfold(1, 5, 5).permute(0, 1, 3, 2)
    return model.head(model.rnn(cut.flatten(0, 1))[1][-1].view(len(x), -1, 8).mean(1))


def of_list(model, sequences):
    return last(model, pad_sequence(sequences, batch_first=True))


def noisy(model, x):
    return last(model, x) + torch.randn(BATCH, 3)


def with_static(model, x):
    static = x[:FEATURES, :, 0].T  # (sequences, features of as many)
    return model.head(torch.cat([model.rnn(x)[1][-1], static], -1))


def rows_of_sequences(model, x):  # as policies read a rollout
    return model.head(model.rnn(x.reshape(BATCH, TIME, FEATURES))[0].flatten(0, 1))


def rows_of_steps(model, x):
    return model.head(model.rnn(x.reshape(TIME, BATCH, FEATURES))[0].flatten(0, 1))


class Carries(Reads):
    """Each sequence of the next batch goes on where that of the last one ended."""

    state = torch.randn(1, BATCH, 8, generator=torch.Generator().manual_seed(0))

    def forward(self, x):
        output, state = self.rnn(x, self.state)
        self.state = state.detach()
        return self.head(output[:, -1])


@pytest.mark.parametrize(
    ("model", "inputs"),
    [
        (Reads(last, batch_first=True), X),
        (Reads(last, batch_first=True), loader()),
        (Reads(last, batch_first=True), X[:, :BATCH]),
        (Reads(last, batch_first=True), X[:1]),
        (Reads(last), X[:1]),
        (Reads(first_axis), X),  # time-major
        (Reads(first_axis), X[:, :BATCH]),
        (Reads(every), X),
        (Reads(lambda model, x: every(model, x).flatten(0, 1), classes=TIME), X),
        (Reads(lambda model, x: every(model, x).transpose(0, 1), batch_first=True), loader()),  # as CTC takes it
        (Reads(lambda model, x: model.head(model.norm(model.rnn(x)[1][-1])), batch_first=True), X),
        (Reads(lambda model, x: model.head(model.own_norm(model.rnn(x)[1][-1])), batch_first=True), X),
        (
            Reads(lambda model, x: model.head(model.rnn(x)[1][-1].mean(0)), batch_first=True),
            loader(),
        ),  # of the whole set
        (Reads(lambda model, x: (every(model, x), model.rnn(x)[0].mean((0, 1))), batch_first=True), X),
        (Reads(similarity_of_embeddings, batch_first=True), X),
        (Reads(windows, batch_first=True), X),
        (Reads(rows_of_sequences, batch_first=True), X.flatten(0, 1)),
        (Reads(rows_of_steps), X.flatten(0, 1)),
        (Reads(of_list, batch_first=True), (list(X),)),
        (Reads(of_list, batch_first=True), ([*X[:5], X[5, :BATCH]],)),
        (Reads(noisy, batch_first=True), X),
        (Carries(None, batch_first=True), X),
        (Reads(of_sorted, batch_first=True), X),
        (Reads(lambda model, x: model.head(torch.cat([*model.rnn(x)[1]], -1)), 16, bidirectional=True), X),
        (Reads(viewed_states, batch_first=True), X),  # of one layer
        (Reads(lambda *each: packed(*each)[1][-1], batch_first=True), (X, LENGTHS)),
        (Reads(lambda *each: packed(*each)[0].data, batch_first=True), (X, LENGTHS)),
        (Reads(lambda *each: packed(*each)[0].data, batch_first=True), (X8, torch.tensor([6, 3, 2, 6, 5, 4, 6, 1]))),
        (Reads(lambda *each: pad_packed_sequence(packed(*each)[0])[0], batch_first=True), (X, LENGTHS)),
        (Reads(with_static, 8 + FEATURES), X.transpose(0, 1)[:, :FEATURES].contiguous()),
        (nn.GRU(FEATURES, 4), X),
        (nn.GRU(FEATURES, 4), X[0]),
        (nn.GRU(FEATURES, 4), pack_padded_sequence(X, LENGTHS, batch_first=True, enforce_sorted=False)),
        (Attends(True), X),
    ],
)
def test_a_batch_that_is_kept_apart_and_one_that_cannot_be_told(model, inputs):
    model.train()
    subject = Subject.of(model, inputs, [call_of(model, inputs)])
    assert mixed_sequences(subject) == []
    assert model.training


RUNS = Counter()  # a snapshot of a model does not reach here


def counted(read):
    def counts(model, x):
        RUNS[read] += 1
        return read(model, x)

    return counts


@pytest.mark.parametrize(("read", "batch_first", "times"), [(last, True, 4), (first_axis, False, 7)])
def test_a_right_model_is_run_once_and_with_three_sequences_replaced(read, batch_first, times):
    """Along the first axis, and where that is not the batch, along the second."""
    model = Reads(counted(read), batch_first=batch_first)
    subject = Subject.of(model, X, [call_of(model, X)])
    RUNS.clear()
    assert mixed_sequences(subject) == []
    assert RUNS[read] == times


def test_what_is_counted_of_an_axis():
    answers = Answers(Reads(last), call_of(Reads(last), X))
    batch, time, _ = answers.axes
    assert answers.loops == {"rnn": (BATCH, TIME)}
    assert (answers.verdict(batch), answers.verdict(time)) == ("mixed", "unread")
    read = answers.entries_read(time)
    assert (read.count, read.unread, read.apart, read.mean) == (TIME, TIME - 1, 1, 1.0)
    assert answers.repeatable()
    assert not answers.symmetric(batch)
