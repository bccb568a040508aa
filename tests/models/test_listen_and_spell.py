"""A speech recogniser after Listen, Attend and Spell: a pyramid of packed BiLSTMs, each over pairs of frames, and a speller that attends.

The speller is an LSTMCell that reads the letter before and what it attended to before; the letters are given while it learns.
"""

import end_point
import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from rnnvanish import diagnose, probes
from rnnvanish.diagnosis.find_faults import find

SOUNDS, FRAMES, LETTERS, KINDS, FEATURES, HIDDEN = 4, 24, 7, 6, 5, 8
LENGTHS, SPELLED = torch.tensor([24, 19, 22, 16]), torch.tensor([7, 5, 6, 7])


class Recogniser(nn.Module):
    def __init__(self, softmax=False):
        super().__init__()
        self.listen = nn.ModuleList(
            nn.LSTM(size, HIDDEN, bidirectional=True, batch_first=True) for size in (FEATURES, 4 * HIDDEN, 4 * HIDDEN)
        )
        self.letters = nn.Embedding(KINDS, 4)
        self.cell = nn.LSTMCell(4 + 2 * HIDDEN, 2 * HIDDEN)
        self.query, self.head = nn.Linear(2 * HIDDEN, 2 * HIDDEN), nn.Linear(4 * HIDDEN, KINDS)
        self.softmax = softmax

    def forward(self, sound, lengths, letters):
        for number, layer in enumerate(self.listen):
            if number:
                sound, lengths = halved(sound, lengths)
            packed = pack_padded_sequence(sound, lengths, batch_first=True, enforce_sorted=False)
            sound, _ = pad_packed_sequence(layer(packed)[0], batch_first=True)
        state = tuple(sound.new_zeros(len(sound), 2 * HIDDEN) for _ in range(2))
        return self.spell(self.cell, state, sound, lengths, letters)[0]

    def spell(self, step, state, sound, lengths, letters):
        """Scores of every letter, (sounds, letters, kinds), and the states."""
        context, scores, states = sound.new_zeros(len(sound), 2 * HIDDEN), [], []
        heard = torch.arange(sound.shape[1]) < lengths[:, None]
        for letter in self.letters(letters).unbind(1):
            state = step(torch.cat([letter, context], -1), state)
            fit = torch.einsum("bf,btf->bt", self.query(state[0]), sound).masked_fill(~heard, -torch.inf)
            context = torch.einsum("bt,btf->bf", fit.softmax(-1), sound)
            scores.append(self.head(torch.cat([state[0], context], -1)))
            states.append(state)
        scores = torch.stack(scores, 1)
        return scores.softmax(-1) if self.softmax else scores, states


def halved(sound, lengths):
    """Two frames side by side for one; an odd last frame is left out."""
    sound = sound[:, : sound.shape[1] // 2 * 2]
    return sound.reshape(len(sound), -1, 2 * sound.shape[-1]), lengths // 2


def recogniser(**options):
    torch.manual_seed(0)
    return Recogniser(**options).double().eval()


def speech():
    generator = torch.Generator().manual_seed(0)
    sound = torch.randn(SOUNDS, FRAMES, FEATURES, generator=generator).double()
    letters = torch.randint(KINDS, (SOUNDS, LETTERS + 1), generator=generator)
    there = torch.arange(LETTERS) < SPELLED[:, None]
    return sound, LENGTHS, letters[:, :-1], letters[:, 1:].where(there, -100)


def misspelt(scores, batch):
    return cross_entropy(scores.flatten(0, 1), batch[-1].flatten(), ignore_index=-100)


def by_hand(model, loss, last):
    """The gain of each loop from the letter `last` of each sound, through the speller's attention."""
    sound, lengths, letters, _ = batch = speech()
    x, loops, top = sound.transpose(0, 1).requires_grad_(), {}, len(model.listen) - 1
    for number, layer in enumerate(model.listen):
        if number:
            rows, lengths = halved(x.transpose(0, 1), lengths)
            x = rows.transpose(0, 1)
        x, forth, back = end_point.both_ways(layer, x, lengths)
        read = lengths if number == top else lengths // 2 * 2  # the layer above leaves an odd last frame out
        loops[f"listen.{number}/layer0/forward"] = forth, end_point.whole(forth, read)
        loops[f"listen.{number}/layer0/reverse"] = back, end_point.whole(back, lengths, reverse=True)

    def step(x, state):
        return tuple(part.clone() for part in end_point.step_of(model.cell, "")(x, state))

    zero = tuple(x.new_zeros(SOUNDS, 2 * HIDDEN) for _ in range(2))
    scores, states = model.spell(step, zero, x.transpose(0, 1), lengths, letters)
    loops["cell"] = states, [(row, 0, end) for row, end in enumerate(last.tolist())]
    gradient = end_point.by_output(lambda y: loss(y, batch), scores)
    gradient = end_point.only(gradient.transpose(0, 1), last).transpose(0, 1)
    return {name: end_point.gains(scores, gradient, *loop) for name, loop in loops.items()}


LOSSES = {
    "its own loss": (misspelt, SPELLED - 1),
    "all letters": (lambda scores, batch: scores.square().mean(), torch.full((SOUNDS,), LETTERS - 1)),
    "the last letter": (lambda scores, batch: scores[:, -1].square().mean(), torch.full((SOUNDS,), LETTERS - 1)),
}


@pytest.mark.parametrize("name", LOSSES)
def test_agrees_with_a_loop_by_hand(name):
    model, (loss, last) = recogniser(), LOSSES[name]
    curves, expected = probes.retention(model, speech(), loss), by_hand(model, loss, last)
    assert set(curves) == set(expected)
    for loop, gain in expected.items():
        torch.testing.assert_close(curves[loop].gain, gain, rtol=1e-6, atol=0)
        assert curves[loop].verdict == "healthy"  # attention reads every frame


def test_it_is_sound():
    diagnosis = diagnose(recogniser(), speech(), misspelt, quick=True)
    assert diagnosis.healthy
    assert not diagnosis.findings
    # The first letter is no end of the listener's time: of its reverse direction, too, the gradient starts from the last.
    assert not any("first" in curve.start for curve in diagnosis.curves.values())


def test_probabilities_given_to_the_cross_entropy():
    (finding,) = find(recogniser(softmax=True), speech(), misspelt)
    assert finding.fault == "softmax before cross_entropy"
    assert finding.after > 2 * finding.before
