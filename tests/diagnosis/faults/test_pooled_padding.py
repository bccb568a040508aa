"""Means, maxima and attention over padded steps; the remedy is a mask, and is given only where it helps."""

import pytest
import torch
from padded_windows import LENGTHS, padded_words
from torch import nn

from rnnvanish.diagnosis import faults
from rnnvanish.diagnosis.fault import Symptom
from rnnvanish.diagnosis.find_faults import USELESS, find


def words(lengths=LENGTHS, front=False):
    x = padded_words(lengths)
    return x.flip(1) if front else x


def mean(output, there, masked):
    return (output * there).sum(1) / there.sum(1) if masked else output.mean(1)


def maximum(output, there, masked):
    return output.masked_fill(~there, -torch.inf).amax(1) if masked else output.amax(1)


def attention(output, there, masked):
    scores = output.sum(-1, keepdim=True)
    return ((scores.masked_fill(~there, -1e9) if masked else scores).softmax(1) * output).sum(1)


class Pooled(nn.Module):
    def __init__(self, pool, masked=False, dropout=0.0, kind=nn.GRU, **options):
        super().__init__()
        torch.manual_seed(0)
        self.words, self.dropout = nn.Embedding(20, 6), nn.Dropout(dropout)
        self.memory = kind(6, 8, batch_first=True, **options)
        self.pool, self.masked = pool, masked

    def forward(self, x):
        return self.pool(self.memory(self.dropout(self.words(x)))[0], (x != 0)[..., None], self.masked)


def padding(model, x, **options):
    return [each for each in find(model, x, **options) if "padding" in each.fault]


@pytest.mark.parametrize("front", [False, True])
@pytest.mark.parametrize("pool", [mean, maximum, attention])
def test_it_is_named_and_masks_mend_it(pool, front):
    x = words(front=front)
    (finding,) = padding(Pooled(pool), x)
    assert (finding.fault, finding.question) == ("padding pooled", False)
    assert "3 of 4 sequences are padded and read there, on average with 14 equal steps of 24" in finding.seen
    assert "mask" in finding.remedy
    assert 0 < finding.before < 1
    assert finding.after == 0
    assert padding(Pooled(pool, masked=True), x) == []


def test_of_a_mean_the_share_is_that_of_the_steps():
    (finding,) = padding(Pooled(mean), words())
    assert finding.before == pytest.approx(float((words() == 0).double().mean()), rel=1e-6)


@pytest.mark.parametrize(
    ("options", "lengths"),
    [
        ({"dropout": 0.3}, LENGTHS),
        ({}, (9,)),
        ({}, (9, 9, 9)),
        ({"num_layers": 2, "bidirectional": True, "kind": nn.LSTM}, LENGTHS),
    ],
)
def test_dropout_a_batch_of_one_and_layers_hide_nothing(options, lengths):
    (finding,) = padding(Pooled(mean, **options), words(lengths))
    assert finding.fault == "padding pooled"
    assert finding.after == 0


@pytest.mark.parametrize("pool", [mean, maximum])
def test_the_copy_pools_the_text(pool):
    """What the mended layer hands on, pooled without a mask, is what the mask gives."""
    from rnnvanish.diagnosis.faults.pooled_padding import pool_text

    x, mended = words(), Pooled(pool)
    pool_text(mended.memory, (x == 0).T)
    torch.testing.assert_close(mended(x), Pooled(pool, masked=True)(x))


class Attending(nn.Module):
    """A decoder whose every step reads a mean of the encoder's states."""

    def __init__(self, masked, pool=mean):
        super().__init__()
        torch.manual_seed(0)
        self.words, self.encoder, self.step = nn.Embedding(20, 6), nn.GRU(6, 8, batch_first=True), nn.GRUCell(8, 8)
        self.masked = masked

    def forward(self, x):
        states, _ = self.encoder(self.words(x))
        read = attention(states, (x != 0)[..., None], self.masked)
        h = torch.zeros_like(read)
        for _ in range(4):
            h = self.step(read, h)
        return h


def test_padding_that_a_decoder_attends_to_is_named():
    (finding,) = padding(Attending(masked=False), words())
    assert (finding.layer, finding.after) == ("encoder/layer0/forward", 0)
    assert padding(Attending(masked=True), words()) == []


class Stack(nn.Module):
    """Two modules: the upper one reads every step of the lower one."""

    def __init__(self, every):
        super().__init__()
        torch.manual_seed(0)
        self.words, self.lower, self.upper = nn.Embedding(20, 6), nn.GRU(6, 8), nn.GRU(8, 8)
        self.every = every

    def forward(self, x):
        output, state = self.upper(self.lower(self.words(x.T))[0])
        return output if self.every else state[0]


def test_a_layer_above_is_no_pooling():
    assert padding(Stack(every=True), words()) == []
    (finding,) = padding(Stack(every=False), words())
    assert (finding.fault, finding.layer) == ("padding read at the end", "upper/layer0/forward")


class Tagger(nn.Module):
    """A tag of each word, from attention to all words."""

    def __init__(self, masked):
        super().__init__()
        torch.manual_seed(0)
        self.words, self.memory = nn.Embedding(20, 6), nn.GRU(6, 8, batch_first=True)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.masked = masked

    def forward(self, x):
        output, _ = self.memory(self.words(x))
        return self.attention(output, output, output, key_padding_mask=x == 0 if self.masked else None)[0]


def test_attention_from_step_to_step_is_a_fault_where_text_attends_to_padding():
    """What the rows of the padding themselves read is left out of the loss, or not: that cannot be seen."""
    assert [each.fault for each in padding(Tagger(masked=False), words())] == ["padding pooled"]
    assert padding(Tagger(masked=True), words()) == []


def test_steps_beside_what_is_pooled_hide_nothing():
    class Both(Pooled):
        def forward(self, x):
            output, _ = self.memory(self.words(x))
            return self.pool(output, (x != 0)[..., None], self.masked), output

    (finding,) = padding(Both(mean), words())
    assert finding.fault == "padding pooled"
    assert padding(Both(mean, masked=True), words()) == []


def test_where_only_a_number_comes_out_it_is_a_question():
    class Learner(Pooled):
        def training_step(self, batch, index=0):
            x, _ = batch
            return self(x).square().mean()

    (finding,) = padding(Learner(mean), (words(), torch.zeros(4)), loss="training_step")
    assert finding.question
    assert "ignore_index" in finding.seen


def test_a_remedy_that_does_not_help_is_not_given(monkeypatch):
    def planted(watched):
        worse = Symptom("planted", "", "Seen.", "Do this.", "share", 0.5, lambda _: 0.9, lambda _: None)
        better = {"helps": lambda before, after: after < before}
        return [Symptom(**{**vars(worse), **better})]

    monkeypatch.setattr(faults, "OF_RUN", (planted,))
    (finding,) = [each for each in find(Pooled(mean), words()) if each.fault == "planted"]
    assert finding.remedy == USELESS
    assert (finding.before, finding.after) == (0.5, 0.9)
