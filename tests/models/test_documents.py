"""A classifier of documents that reads words of sentences, and then sentences: a loop over rows that another loop's steps are.

The design of sgrvinod/a-PyTorch-Tutorial-to-Text-Classification: all sentences of all documents stand in one batch of a
bidirectional GRU, packed; attention makes a vector of each; the sentences of each document are the steps of a second GRU.

Yang et al. 2016, Hierarchical Attention Networks for Document Classification.
"""

import end_point
import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from rnnvanish import diagnose, probes
from rnnvanish.diagnosis.find_faults import find

WORDS, CLASSES, HIDDEN = 40, 4, 8
SENTENCES = torch.tensor([7, 4, 6])
LENGTHS = torch.tensor([12, 5, 9, 7, 3, 10, 8, 12, 6, 4, 11, 5, 8, 9, 12, 7, 6])


class Reader(nn.Module):
    """A GRU both ways, and attention over what it has read; `masked` where it leaves the padding out."""

    def __init__(self, inputs, masked):
        super().__init__()
        self.gru = nn.GRU(inputs, HIDDEN, batch_first=True, bidirectional=True)
        self.attention = nn.Linear(2 * HIDDEN, 2 * HIDDEN)
        self.context = nn.Linear(2 * HIDDEN, 1, bias=False)
        self.masked = masked

    def pool(self, seen, lengths):
        scores = self.context(self.attention(seen).tanh())
        if self.masked:
            scores = scores.masked_fill((torch.arange(seen.shape[1]) >= lengths[:, None])[..., None], -1e9)
        return (scores.softmax(1) * seen).sum(1)

    def forward(self, x, lengths):
        if self.masked:
            packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
            seen, _ = pad_packed_sequence(self.gru(packed)[0], batch_first=True)
        else:
            seen, _ = self.gru(x)
        return self.pool(seen, lengths)


class Documents(nn.Module):
    def __init__(self, masked=True):
        super().__init__()
        self.embedding = nn.Embedding(WORDS, 8, padding_idx=0)
        self.words, self.sentences = Reader(8, masked), Reader(2 * HIDDEN, masked)
        self.head = nn.Linear(2 * HIDDEN, CLASSES)

    def forward(self, words, lengths, sentences):
        read = self.words(self.embedding(words), lengths)
        return self.head(self.sentences(by_document(read, sentences), sentences))


def by_document(sentences, counts):
    return nn.utils.rnn.pad_sequence(sentences.split(counts.tolist()), batch_first=True)


def by_hand(model, words, lengths, sentences):
    """Scores of the classes, and of each loop its states, the lengths of its sequences and its direction."""
    x, loops = model.embedding(words).detach(), {}
    for name, reader, own in (("words", model.words, lengths), ("sentences", model.sentences, sentences)):
        x = by_document(x, sentences) if name == "sentences" else x
        seen, forth, back = end_point.both_ways(reader.gru, x.transpose(0, 1), own)
        loops[f"{name}.gru/layer0/forward"] = forth, own, False
        loops[f"{name}.gru/layer0/reverse"] = back, own, True
        x = reader.pool(seen.transpose(0, 1), own)
    return model.head(x), loops


def expected(model, batch, loss):
    scores, loops = by_hand(model, *batch)
    gradient = end_point.by_output(loss, scores)
    return {
        name: end_point.gains(scores, gradient, states, end_point.whole(states, own, back))
        for name, (states, own, back) in loops.items()
    }


@pytest.fixture
def batch():
    torch.manual_seed(0)
    words = torch.randint(1, WORDS, (len(LENGTHS), int(LENGTHS.max())))
    return words.where(torch.arange(words.shape[1]) < LENGTHS[:, None], 0), LENGTHS, SENTENCES


@pytest.fixture
def model():
    torch.manual_seed(1)
    return Documents().double()


def cross_entropy(scores):
    return nn.functional.cross_entropy(scores, torch.tensor([0, 3, 1]))


LOSSES = {"what it returns": None, "cross entropy": cross_entropy}


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_gains_agree_with_a_loop_by_hand(model, batch, loss):
    end_point.assert_same_gains(probes.retention(model, batch, loss), expected(model, batch, loss or torch.sum))


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_the_sound_model_is_healthy(model, batch, loss):
    diagnosis = diagnose(model, batch, loss)
    assert diagnosis.findings == ()
    assert diagnosis.healthy


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_attention_to_padding_is_named(batch, loss):
    torch.manual_seed(1)
    found = find(Documents(masked=False), batch, loss)
    loops = ["words.gru/layer0/forward", "sentences.gru/layer0/forward"]
    assert [(each.fault, each.layer, each.after) for each in found] == [("padding pooled", loop, 0) for loop in loops]
