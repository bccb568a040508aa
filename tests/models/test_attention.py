"""A translator with attention of three kinds: dot product, general and additive; it learns by teacher forcing.

The designs of PyTorch's chatbot tutorial after Luong (two bidirectional layers over packed sentences, whose directions are
added; the decoder starts from the first states of the encoder's stack, is called word by word, and looks back with its new
state) and of bentrevett/pytorch-seq2seq after Bahdanau (it looks back with its old state, and reads what it saw beside the
word). The loss is masked behind the end of each translation.

Luong, Pham & Manning 2015, Effective Approaches to Attention-based Neural Machine Translation; Bahdanau, Cho & Bengio 2015,
Neural Machine Translation by Jointly Learning to Align and Translate.
"""

import random

import end_point
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from rnnvanish import probes
from rnnvanish.diagnosis.find_faults import find

WORDS, HIDDEN, LAYERS, TIME = 15, 8, 2, 8
LENGTHS, TRANSLATED = torch.tensor([9, 7, 4]), torch.tensor([6, 8, 3])
BATCH, START, KINDS = len(LENGTHS), 1, ("dot", "general", "additive")


class Attention(nn.Module):
    def __init__(self, kind, over=0):
        super().__init__()
        self.kind, self.over = kind, over
        if kind != "dot":
            self.of_seen = nn.Linear(HIDDEN, HIDDEN, bias=kind == "additive")
        if kind == "additive":
            self.of_state, self.energy = nn.Linear(HIDDEN, HIDDEN), nn.Linear(HIDDEN, 1, bias=False)

    def forward(self, state, seen, there):
        """What of `seen`, (time, batch, size), a state (batch, size) looks at."""
        if self.kind == "additive":
            scores = self.energy((self.of_seen(seen) + self.of_state(state)).tanh())[..., 0]
        else:
            scores = (state * (seen if self.kind == "dot" else self.of_seen(seen))).sum(-1)
        weights = scores.masked_fill(~there, -1e9).softmax(self.over)
        return (weights[..., None] * seen).sum(0)


class Translator(nn.Module):
    def __init__(self, kind, forced=1.0, over=0):
        super().__init__()
        self.late = kind != "additive"  # whether it looks back with the new state
        self.embedding = nn.Embedding(WORDS, HIDDEN)
        self.encoder = nn.GRU(HIDDEN, HIDDEN, LAYERS, bidirectional=True)
        self.attention = Attention(kind, over)
        self.decoder = nn.GRU(HIDDEN if self.late else 2 * HIDDEN, HIDDEN, LAYERS)
        self.concat = nn.Linear(2 * HIDDEN, HIDDEN)
        self.out = nn.Linear(HIDDEN, WORDS)
        self.forced = forced

    def encode(self, source, lengths):
        packed = pack_padded_sequence(self.embedding(source), lengths, enforce_sorted=False)
        seen, state = self.encoder(packed)
        seen, _ = pad_packed_sequence(seen)
        return seen[..., :HIDDEN] + seen[..., HIDDEN:], state[:LAYERS]

    def forward(self, source, lengths, target):
        seen, state = self.encode(source, lengths)
        return decode(self, seen, state, torch.arange(len(seen))[:, None] < lengths, target, self.step)

    def step(self, x, state):
        out, state = self.decoder(x[None], state)
        return out[0], state


def decode(model, seen, state, there, target, step):
    """Scores of each word of the translation, (time, batch, words); `step` is that of the decoder's layers."""
    word, scores = torch.full((BATCH,), START), []
    for t in range(len(target)):
        x = model.embedding(word)
        if model.late:
            h, state = step(x, state)
            looked = model.attention(h, seen, there)
        else:
            looked = model.attention(state[-1], seen, there)
            h, state = step(torch.cat([x, looked], -1), state)
        scores.append(model.out(model.concat(torch.cat([h, looked], -1)).tanh()))
        word = target[t] if random.random() < model.forced else scores[-1].argmax(-1)
    return torch.stack(scores)


def by_hand(model, source, lengths, target):
    """The scores, and the states of each loop, its direction, and the lengths of its sequences."""
    x, loops = model.embedding(source).detach(), {}
    for number in range(LAYERS):
        x, forth, back = end_point.both_ways(model.encoder, x, lengths, number)
        loops[f"encoder/layer{number}/forward"] = forth, lengths, False
        loops[f"encoder/layer{number}/reverse"] = back, lengths, True
    seen = x[..., :HIDDEN] + x[..., HIDDEN:]
    steps = [end_point.step_of(model.decoder, f"_l{number}") for number in range(LAYERS)]
    decoded = [[] for _ in steps]

    def step(h, state):
        after = []
        for one, before, states in zip(steps, state, decoded, strict=True):
            h = one(h, (before,))[0].clone()
            after.append(h)
            states.append((h,))
        return h, after

    begin = [loops["encoder/layer0/forward"][0][-1][0], loops["encoder/layer0/reverse"][0][-1][0]]
    scores = decode(model, seen, begin, torch.arange(len(seen))[:, None] < lengths, target, step)
    return scores, loops | {f"decoder/layer{n}/forward": (states, None, False) for n, states in enumerate(decoded)}


def expected(model, batch, loss, ends):
    random.seed(4)
    scores, loops = by_hand(model, *batch)
    at_ends = end_point.only(end_point.by_output(loss, scores), ends)
    return {
        name: end_point.gains(scores, at_ends, states, end_point.whole(states, ends + 1 if own is None else own, back))
        for name, (states, own, back) in loops.items()
    }


def batch():
    torch.manual_seed(0)
    return torch.randint(2, WORDS, (9, BATCH)), LENGTHS, torch.randint(2, WORDS, (TIME, BATCH))


def masked(target):
    there = torch.arange(TIME)[:, None] < TRANSLATED
    return lambda scores: F.cross_entropy(scores[there], target[there])


@pytest.mark.parametrize("named", [False, True], ids=["what it returns", "masked cross entropy"])
@pytest.mark.parametrize(("kind", "forced"), [*((kind, 1.0) for kind in KINDS), ("general", 0.5)])
def test_gains_agree_with_a_loop_by_hand(kind, forced, named):
    torch.manual_seed(1)
    model, inputs = Translator(kind, forced).double(), batch()
    loss = masked(inputs[2]) if named else None
    gains = expected(model, inputs, loss or torch.sum, TRANSLATED - 1 if named else torch.full((BATCH,), TIME - 1))
    random.seed(4)
    end_point.assert_same_gains(probes.retention(model, inputs, loss), gains)


@pytest.mark.parametrize("kind", KINDS)
def test_the_sound_model_has_no_finding(kind):
    torch.manual_seed(1)
    model, inputs = Translator(kind), batch()
    assert find(model, inputs, masked(inputs[2])) == ()


@pytest.mark.parametrize("kind", KINDS)
def test_attention_over_the_batch_is_asked_about(kind):
    torch.manual_seed(1)
    model, inputs = Translator(kind, over=1), batch()
    found = find(model, inputs, masked(inputs[2]))
    assert [(each.fault, each.question) for each in found] == [("sequences mixed", True)]
    assert "a softmax, a mean, a norm or an attention that goes along the batch" in found[0].remedy
