"""Padding read behind the text: in front or behind, hidden by dropout and positions; and padding that nothing reads."""

import re

import pytest
import torch
from padded_windows import LENGTHS, TIME, padded_words
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence

from rnnvanish.diagnosis.find_faults import find


def words(lengths=LENGTHS, front=False):
    x = padded_words(lengths)
    return torch.stack([each.roll(TIME - n) for each, n in zip(x, lengths, strict=True)]) if front else x


def sounds(lengths=LENGTHS):
    torch.manual_seed(1)
    return torch.randn(len(lengths), TIME, 3) * (torch.arange(TIME) < torch.tensor(lengths)[:, None])[..., None]


class Reader(nn.Module):
    """Words or sounds, and how the layer is read."""

    def __init__(self, read, dropout=0.0, positions=False, padding_idx=None, kind=nn.GRU, sound=False, **options):
        super().__init__()
        torch.manual_seed(0)
        self.words = nn.Linear(3, 6) if sound else nn.Embedding(20, 6, padding_idx)
        self.dropout = nn.Dropout(dropout)
        self.positions = nn.Parameter(torch.randn(TIME, 6)) if positions else 0.0
        self.memory = kind(6, 8, batch_first=True, **options)
        self.read = read

    def forward(self, x):
        output, state = self.memory(self.dropout(self.words(x)) + self.positions)
        return self.read(x, output, state[0] if isinstance(state, tuple) else state)


def last(x, output, state):
    return output[:, -1]


def final(x, output, state):
    return state.transpose(0, 1).flatten(1)


def own_end(x, output, state):
    return output[torch.arange(len(x)), (x.flatten(2).any(-1) if x.dim() > 2 else x != 0).sum(1) - 1]


def first(x, output, state):
    return output[:, 0]


def every(x, output, state):
    return output


def padding(model, x, **options):
    return [each for each in find(model, x, **options) if "padding" in each.fault]


FOUND = {
    "last step": (Reader(last), words()),
    "final state": (Reader(final, kind=nn.LSTM), words()),
    "dropout": (Reader(last, dropout=0.3), words()),
    "positions": (Reader(last, positions=True), words()),
    "a batch of one": (Reader(last, dropout=0.3, positions=True), words((9,))),
    "all equally short": (Reader(last), words((9, 9, 9))),
    "declared": (Reader(last, padding_idx=0), words((9, 9, 9))),
    "two layers": (Reader(last, num_layers=2), words()),
    "both directions": (Reader(final, bidirectional=True), words()),
    "in front, read backwards": (Reader(final, bidirectional=True), words(front=True)),
    "sounds": (Reader(last, sound=True), sounds()),
}


@pytest.mark.parametrize("name", FOUND)
def test_the_last_step_behind_padding_is_named_and_packing_mends_it(name):
    model, x = FOUND[name]
    (finding,) = padding(model, x)
    assert (finding.fault, finding.question) == ("padding read at the end", False)
    assert finding.layer.endswith("reverse" if "backwards" in name else "forward")
    assert re.search(f"{'begins?' if 'front' in name else 'ends?'} in padding", finding.seen)
    assert "pack_padded_sequence" in finding.remedy
    assert finding.after > 10 * finding.before


def test_the_copy_reads_what_packing_gives():
    """The number that is promised is that of the model with a packed batch, measured by itself."""

    class Packed(Reader):
        def forward(self, x):
            packed = pack_padded_sequence(self.words(x), (x != 0).sum(1), batch_first=True, enforce_sorted=False)
            return self.memory(packed)[1][0]

    x = words()
    (finding,) = padding(Reader(last), x)
    model = Packed(None)
    lengths = (x != 0).sum(1)
    arriving = []
    for row, length in zip(x, lengths, strict=True):
        h, states = torch.zeros(1, 1, 8), []
        for word in model.words(row[:length]):
            _, h = model.memory(word[None, None], h)
            states.append(h)
        first, end = torch.autograd.grad(states[-1].sum(), [states[0], states[-1]])
        arriving.append((first.norm() / end.norm()).log())
    assert finding.after == pytest.approx(float(torch.stack(arriving).mean().exp()), rel=1e-4)
    assert padding(model, x) == []


def test_a_loop_that_the_model_writes_itself_holds_its_state():
    class Loop(nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.step = nn.LSTMCell(3, 8)

        def forward(self, x):
            h = c = x.new_zeros(len(x), 8)
            for t in range(TIME):
                h, c = self.step(x[:, t], (h, c))
            return h

    (finding,) = padding(Loop(), sounds())
    assert finding.layer == "step"
    assert finding.after > 10 * finding.before


def test_what_single_precision_does_not_hold_is_measured_in_double():
    x = torch.randint(1, 20, (2, 60))
    x[0, 50:] = x[1, 46:] = 0
    model = Reader(last, kind=nn.RNN)
    model.memory.weight_hh_l0.data.mul_(0.1)
    (finding,) = padding(model, x)
    assert 0 < finding.before < finding.after < 1e-46
    assert "pack_padded_sequence" in finding.remedy


class Translator(nn.Module):
    """A decoder that starts from the encoder's final state."""

    def __init__(self, packed):
        super().__init__()
        torch.manual_seed(0)
        self.words, self.encoder, self.decoder = nn.Embedding(20, 6), nn.GRU(6, 8), nn.GRU(6, 8)
        self.packed = packed

    def forward(self, source, target):
        x = self.words(source.T)
        if self.packed:
            x = pack_padded_sequence(x, (source != 0).sum(1), enforce_sorted=False)
        return self.decoder(self.words(target.T), self.encoder(x)[1])[0]


def test_an_encoder_whose_final_state_starts_a_decoder_is_named():
    inputs = words(), torch.randint(1, 20, (4, 5))
    (finding,) = padding(Translator(packed=False), inputs)
    assert (finding.layer, finding.fault) == ("encoder/layer0/forward", "padding read at the end")
    assert padding(Translator(packed=True), inputs) == []


def test_of_sounds_that_are_all_equally_short_it_is_a_question():
    """They may end in silence."""
    (finding,) = padding(Reader(last, sound=True), sounds((9, 9)))
    assert finding.question
    assert "Nothing says that these are padding: they may be data, too." in finding.seen

    class Told(Reader):
        def forward(self, x, lengths):
            return super().forward(x)

    (finding,) = padding(Told(last, sound=True), (sounds((9, 9)), torch.tensor([9, 9])))
    assert not finding.question


def words_from_zero():
    """The index of padding is that of a word, too: some texts have it, and one ends in it."""
    x = words()
    x[0, 2] = x[1, 5] = x[1, LENGTHS[1] - 1] = 0
    return x


class ByLengths(Reader):
    def forward(self, x):
        output, _ = self.memory(self.words(x))
        return output[torch.arange(len(x)), torch.tensor(LENGTHS) - 1]


def test_a_word_with_the_index_of_padding_hides_nothing():
    (finding,) = padding(Reader(last), words_from_zero())
    assert (finding.fault, finding.question) == ("padding read at the end", False)
    assert padding(ByLengths(None), words_from_zero()) == []


def test_a_mask_that_is_given_says_what_is_padding():
    class Masked(Reader):
        def forward(self, ids, mask):
            return super().forward(ids)

    x = words()
    x[:, ::3] = 0  # a word as any other
    mask = (torch.arange(TIME) < torch.tensor(LENGTHS)[:, None]).long()
    (finding,) = padding(Masked(last), {"ids": x, "mask": mask})
    assert not finding.question
    assert f"on average {sum(TIME - n for n in LENGTHS) / 3:.3g} equal steps" in finding.seen
    assert padding(Masked(last), {"ids": x, "mask": torch.ones_like(mask)}) == []


class Twins(nn.Module):
    """Two texts, one layer for both or one for each."""

    def __init__(self, shared, dropout):
        super().__init__()
        torch.manual_seed(0)
        self.words, self.dropout = nn.Embedding(20, 6), nn.Dropout(dropout)
        self.first = nn.GRU(6, 8, batch_first=True)
        self.second = self.first if shared else nn.GRU(6, 8, batch_first=True)

    def forward(self, one, other):
        return torch.cat(
            [f(self.dropout(self.words(x)))[0][:, -1] for f, x in ((self.first, one), (self.second, other))]
        )


@pytest.mark.parametrize("dropout", [0.0, 0.3])
@pytest.mark.parametrize(
    ("shared", "layer"), [(False, "second/layer0/forward"), (True, "first (call 2)/layer0/forward")]
)
def test_of_two_texts_the_padded_one_is_named(shared, layer, dropout):
    (finding,) = padding(Twins(shared, dropout), (words((TIME,) * 4), words()))
    assert finding.layer == layer


def silence():
    x = sounds()
    x[:, 3:5] = 0
    return x


def copying():
    """Symbols, blanks, a sign to begin, and blanks where the answer is due."""
    x = torch.zeros(4, TIME, dtype=torch.long)
    x[:, :5] = torch.randint(1, 9, (4, 5))
    x[:, -6] = 9
    return x


def constant_feature():
    x = sounds((TIME,) * 4)
    x[..., 2] = 1.0
    return x


def onset():
    """A signal of zeros and ones: from some step on it is one."""
    return (torch.arange(TIME) >= torch.tensor(LENGTHS)[:, None]).double().float()[..., None].expand(-1, -1, 3) * 1.0


def ending_in_the_same():
    x = words((TIME,) * 4)
    x[0, -4:] = 5
    return x


def one_of_many(value):
    x = sounds((TIME,) * 6)
    x[2, -8:] = value
    return x


NEAR = {
    "one that ends in equal steps": lambda: (Reader(last, sound=True), one_of_many(torch.randn(3))),
    "its own end": lambda: (Reader(own_end), words()),
    "the own end of sounds": lambda: (Reader(own_end, sound=True), sounds()),
    "full": lambda: (Reader(last), words((TIME,) * 4)),
    "in front": lambda: (Reader(last), words(front=True)),
    "in front, equally short": lambda: (Reader(last, positions=True), words((9, 9), front=True)),
    "the first step, in front": lambda: (Reader(first), words(front=True)),
    "every step returned": lambda: (Reader(every), words()),
    "every step of both directions": lambda: (Reader(every, bidirectional=True), words()),
    "silence": lambda: (Reader(last, sound=True), silence()),
    "blanks": lambda: (Reader(last), copying()),
    "a constant feature": lambda: (Reader(last, sound=True), constant_feature()),
    "an onset": lambda: (Reader(last, sound=True), onset()),
    "zeros": lambda: (Reader(last, sound=True), torch.zeros(4, TIME, 3)),
    "the same words at the end": lambda: (Reader(last), ending_in_the_same()),
    "a word of two at the end": lambda: (Reader(last), words((TIME, TIME - 2, TIME - 1))),
}


@pytest.mark.parametrize("name", NEAR)
def test_what_is_no_padding_or_is_not_read_is_no_fault(name):
    assert padding(*NEAR[name]()) == []


def test_of_one_of_many_that_ends_in_zeros_it_is_a_question():
    (finding,) = padding(Reader(last, sound=True), one_of_many(0.0))
    assert finding.question


@pytest.mark.parametrize("kind", ["ignore_index", "lengths", "all"])
def test_a_loss_of_every_step_may_leave_padding_out_by_itself(kind):
    x = words()
    targets = torch.where(x == 0, 0, x % 8)

    def loss(output):
        if kind == "lengths":
            scores = output.log_softmax(-1).transpose(0, 1)
            return nn.functional.ctc_loss(scores, torch.full((4, 3), 2), torch.tensor(LENGTHS), torch.tensor([3] * 4))
        ignored = 0 if kind == "ignore_index" else -100
        return nn.functional.cross_entropy(output.flatten(0, 1), targets.flatten(), ignore_index=ignored)

    assert padding(Reader(every), x, loss=loss) == []
