"""A tagger of named entities: a bidirectional LSTM over packed sentences scores tags, a conditional random field reads them all.

The design of the taggers that grew from PyTorch's tutorial (jidasheng/bi-lstm-crf, for one, in batches): half of the width
for each direction, a linear layer to scores, a matrix of transitions between tags, and as loss log Z, summed forward in time,
minus the score of the right path.

Lample et al. 2016, Neural Architectures for Named Entity Recognition.
"""

import end_point
import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from rnnvanish import probes
from rnnvanish.diagnosis.find_faults import find

WORDS, TAGS, TIME = 30, 5, 22
LENGTHS = torch.tensor([22, 9, 17, 13])
BATCH = len(LENGTHS)


class BiLSTMCRF(nn.Module):
    def __init__(self, mixed=False):
        super().__init__()
        self.embedding = nn.Embedding(WORDS, 12, padding_idx=0)
        self.lstm = nn.LSTM(12, 8, batch_first=True, bidirectional=True)
        self.scores = nn.Linear(16, TAGS)
        self.transitions = nn.Parameter(torch.randn(TAGS, TAGS))
        self.begin, self.end = nn.Parameter(torch.randn(TAGS)), nn.Parameter(torch.randn(TAGS))
        self.mixed = mixed

    def forward(self, words, lengths):
        packed = pack_padded_sequence(self.embedding(words), lengths, batch_first=True, enforce_sorted=False)
        seen, _ = pad_packed_sequence(self.lstm(packed)[0], batch_first=not self.mixed)
        return self.scores(seen.reshape(*words.shape, 16))

    def crf(self, scores, lengths, tags):
        rows, inside = torch.arange(len(tags)), torch.arange(scores.shape[1]) < lengths[:, None]
        right = scores.gather(2, tags[..., None])[..., 0].where(inside, 0.0).sum(1)
        right = right + self.transitions[tags[:, :-1], tags[:, 1:]].where(inside[:, 1:], 0.0).sum(1)
        right = right + self.begin[tags[:, 0]] + self.end[tags[rows, lengths - 1]]
        every = self.begin + scores[:, 0]
        for t in range(1, scores.shape[1]):
            longer = (every[:, :, None] + self.transitions).logsumexp(1) + scores[:, t]
            every = longer.where(inside[:, t, None], every)
        return ((every + self.end).logsumexp(1) - right).mean()


def by_hand(model, words, lengths):
    """The scores, (time, batch, tags), and the states of both directions."""
    x = model.embedding(words).detach().transpose(0, 1)
    seen, forth, back = end_point.both_ways(model.lstm, x, lengths)
    seen = seen * (torch.arange(TIME)[:, None] < lengths)[..., None]
    return seen @ model.scores.weight.detach().T + model.scores.bias.detach(), forth, back


def expected(model, words, lengths, loss):
    scores, forth, back = by_hand(model, words, lengths)
    gradient = end_point.by_output(lambda own: loss(own.transpose(0, 1)), scores)
    last, first = (end_point.only(gradient, steps) for steps in (lengths - 1, 0 * lengths))
    return {
        "lstm/layer0/forward": end_point.gains(scores, last, forth, end_point.whole(forth, lengths)),
        "lstm/layer0/reverse": end_point.gains(scores, first, back, end_point.whole(back, lengths, reverse=True)),
    }


@pytest.fixture
def batch():
    torch.manual_seed(0)
    words, tags = torch.randint(1, WORDS, (BATCH, TIME)), torch.randint(TAGS, (BATCH, TIME))
    return words.where(torch.arange(TIME) < LENGTHS[:, None], 0), LENGTHS, tags


@pytest.fixture
def model():
    torch.manual_seed(1)
    return BiLSTMCRF().double()


def crf_of(model, batch):
    _, lengths, tags = batch
    return lambda scores: model.crf(scores, lengths, tags)


class AsLoss(nn.Module):
    """As many taggers are called in training: a number is all that comes out."""

    def __init__(self, tagger):
        super().__init__()
        self.tagger = tagger

    def forward(self, words, lengths, tags):
        return self.tagger.crf(self.tagger(words, lengths), lengths, tags)


def test_gains_agree_with_a_loop_by_hand(model, batch):
    words, lengths, _ = batch
    crf = crf_of(model, batch)
    gains = expected(model, words, lengths, crf)
    end_point.assert_same_gains(probes.retention(model, (words, lengths), crf), gains)
    alone = probes.retention(AsLoss(model), batch)
    end_point.assert_same_gains(alone, {f"tagger.{name}": gain for name, gain in gains.items()})


def test_the_verdict_is_that_of_scores_summed(model, batch):
    words, lengths, _ = batch
    curves = probes.retention(model, (words, lengths))
    assert [curve.verdict for curve in curves.values()] == ["vanishing", "vanishing"]
    named = probes.retention(model, (words, lengths), crf_of(model, batch))
    assert [curve.verdict for curve in named.values()] == ["vanishing", "vanishing"]


def test_the_sound_model_has_no_finding(model, batch):
    words, lengths, _ = batch
    assert find(model, (words, lengths)) == ()
    assert find(model, (words, lengths), crf_of(model, batch)) == ()
    assert find(AsLoss(model), batch) == ()


def test_sentences_mixed_by_a_reshape_are_named(batch):
    torch.manual_seed(1)
    model, (words, lengths, _) = BiLSTMCRF(mixed=True), batch
    for loss in (None, crf_of(model, batch)):
        found = find(model, (words, lengths), loss)
        assert [(each.fault, each.layer, each.question) for each in found] == [("sequences mixed", "lstm", False)]
