"""Watching models as their users write them: the measured run is the ordinary one, and nothing is left changed."""

import copy
import random

import pytest
import torch
from pytorch_lightning import LightningModule
from torch import nn
from torch.nn.utils import parametrizations
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from rnnvanish import Recurrent, cells
from rnnvanish.probes import retention


class Classifier(nn.Module):
    """Text classifier as one writes it: reads the last step."""

    def __init__(self, batch_first=True, bidirectional=False):
        super().__init__()
        self.embedding = nn.Embedding(20, 6)
        self.norm = nn.BatchNorm1d(6)
        self.lstm = nn.LSTM(6, 8, num_layers=2, batch_first=batch_first, dropout=0.3, bidirectional=bidirectional)
        self.head = nn.Linear(8 * (1 + bidirectional), 3)
        self.calls = 0

    def forward(self, tokens):
        self.calls += 1
        x = self.norm(self.embedding(tokens).transpose(1, 2)).transpose(1, 2)
        output, self.kept = self.lstm(x)
        return self.head(output[:, -1])


class Tagger(nn.Module):
    """A label for every step."""

    def __init__(self, width=3, batch_first=True):
        super().__init__()
        self.gru = nn.GRU(4, 8, batch_first=batch_first)
        self.head = nn.Linear(8, width)

    def forward(self, x):
        return self.head(self.gru(x)[0]).squeeze(-1)


class Packed(nn.Module):
    """Packs inside its forward, pads its output again."""

    def __init__(self):
        super().__init__()
        self.rnn = nn.RNN(4, 8, batch_first=True)

    def forward(self, x, lengths):
        packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        return pad_packed_sequence(self.rnn(packed)[0], batch_first=True)[0]


class Translator(nn.Module):
    """An encoder hands its state to a decoder."""

    def __init__(self):
        super().__init__()
        self.encoder = nn.GRU(4, 8)
        self.decoder = nn.GRU(4, 8)

    def forward(self, source, target):
        _, state = self.encoder(source)
        return self.decoder(target, state)[0]


class Lit(LightningModule):
    """A LightningModule around a layer."""

    def __init__(self):
        super().__init__()
        self.layer = Recurrent(cells.LSTM, 4, 8, batch_first=True)

    def forward(self, x):
        return self.layer(x)[0][:, -1]


def tokens():
    return torch.randint(20, (5, 12))


def remember(model):
    """Everything of a model that could change, deeply."""
    state = copy.deepcopy(model.state_dict())
    attributes = {
        name: {key: value for key, value in vars(module).items() if not key.startswith("_")}
        for name, module in model.named_modules()
    }
    modes = {name: module.training for name, module in model.named_modules()}
    grads = {name: parameter.grad for name, parameter in model.named_parameters()}
    return state, attributes, modes, grads, torch.get_rng_state()


def assert_unchanged(model, before):
    state, attributes, modes, grads, rng = before
    after = remember(model)
    torch.testing.assert_close(after[0], state, rtol=0, atol=0)
    assert after[1].keys() == attributes.keys()
    for name, kept in attributes.items():
        assert after[1][name].keys() == kept.keys(), name
        assert all(after[1][name][key] is value for key, value in kept.items()), name
    assert after[2:4] == (modes, grads)
    assert torch.equal(after[4], rng)


@pytest.mark.parametrize("training", [True, False])
def test_a_classifier_is_left_as_it_was(training):
    torch.manual_seed(0)
    model, x = Classifier().train(training), tokens()
    model(x).sum().backward()
    expected = retention(model, x)
    before = remember(model)
    again = retention(model, x)
    assert_unchanged(model, before)
    assert list(again) == ["lstm/layer0/forward", "lstm/layer1/forward"]
    for name, curve in again.items():
        assert torch.equal(curve.gain, expected[name].gain) or training  # dropout goes on where the generator stands


def test_a_model_is_left_as_it_was_after_an_exception():
    torch.manual_seed(0)
    model, x = Classifier(), tokens()

    def broken(output):
        raise KeyError("a mistake in the user's loss")

    before = remember(model)
    with pytest.raises(KeyError, match="a mistake"):
        retention(model, x, loss=broken)
    assert_unchanged(model, before)
    with pytest.raises(IndexError):
        retention(model, x + 20)
    assert_unchanged(model, before)


def test_frozen_and_parametrized_weights_and_no_grad():
    torch.manual_seed(0)
    x = torch.randn(5, 12, 4)
    model = Tagger()
    free = retention(model, x)["gru/layer0/forward"]
    model.requires_grad_(False)
    frozen = retention(model, x)["gru/layer0/forward"]
    assert torch.equal(frozen.gain, free.gain)
    with torch.no_grad():
        assert torch.equal(retention(model, x)["gru/layer0/forward"].gain, free.gain)
    layer = parametrizations.orthogonal(nn.RNN(4, 8), "weight_hh_l0")
    (curve,) = retention(layer, x).values()
    plain = nn.RNN(4, 8)
    plain.load_state_dict({name: getattr(layer, name).detach() for name in plain.state_dict()})
    torch.testing.assert_close(curve.gain, retention(plain, x)["RNN/layer0/forward"].gain)


def test_a_sequence_is_read_at_its_last_step():
    torch.manual_seed(0)
    for batch_first, shape in ((True, (5, 12, 4)), (False, (12, 5, 4)), (False, (12, 4)), (True, (5, 5, 4))):
        for width in (3, 1):
            model, x = Tagger(width, batch_first), torch.randn(shape)
            last = (slice(None), -1) if batch_first else -1
            curve = retention(model, x)["gru/layer0/forward"]
            named = retention(model, x, loss=lambda output, last=last: output[last].sum())["gru/layer0/forward"]
            assert torch.equal(curve.gain, named.gain), (shape, width)


def test_as_many_classes_as_steps_are_not_a_sequence():
    torch.manual_seed(0)
    model = Classifier()
    model.head = nn.Linear(8, 12)
    x = tokens()
    for name, curve in retention(model.eval(), x).items():
        assert torch.equal(curve.gain, retention(model, x, loss=lambda output: output.sum())[name].gain)


def test_each_packed_sequence_is_read_at_its_own_end():
    torch.manual_seed(0)
    model, x, lengths = Packed(), torch.randn(3, 9, 4), torch.tensor([4, 9, 6])
    rows = torch.arange(3)
    curve = retention(model, (x, lengths))["rnn/layer0/forward"]
    named = retention(model, (x, lengths), loss=lambda output: output[rows, lengths - 1].sum())["rnn/layer0/forward"]
    assert torch.equal(curve.gain, named.gain)
    bare = retention(model.rnn, pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False))
    torch.testing.assert_close(curve.rate, bare["RNN/layer0/forward"].rate, rtol=0.05, atol=0)


def test_the_gradient_goes_on_from_decoder_to_encoder():
    """One GRU cut in two is the GRU: the encoder's curve goes on where the decoder's ends."""
    torch.manual_seed(0)
    model = Translator().double()
    model.decoder.load_state_dict(model.encoder.state_dict())
    x = torch.randn(10, 3, 4).double()
    curves = retention(model, (x[:6], x[6:]))
    whole = retention(model.encoder, x)["GRU/layer0/forward"]
    torch.testing.assert_close(curves["decoder/layer0/forward"].gain, whole.gain[:4], rtol=1e-12, atol=0)
    encoder = curves["encoder/layer0/forward"].gain
    assert encoder[0] == 1
    assert len(encoder) == 6


def test_a_lightning_module_and_two_directions():
    torch.manual_seed(0)
    assert list(retention(Lit(), torch.randn(2, 7, 4))) == ["layer/layer0/forward"]
    curves = retention(Classifier(bidirectional=True).eval(), tokens())
    assert curves["lstm/layer1/reverse"].verdict == "nothing to carry"  # the last token is the first that it reads
    assert curves["lstm/layer1/forward"].gain[0] == 1


def test_a_chaotic_network_is_not_mistaken_for_another():
    """Rounding grows in an exploding network until two equal runs differ: they are compared in double instead."""
    torch.manual_seed(0)
    module = nn.RNN(4, 64)
    with torch.no_grad():
        module.weight_hh_l0.mul_(6)
    (curve,) = retention(module, torch.randn(100, 2, 4)).values()
    assert curve.verdict == "exploding"


class Whimsical(Tagger):
    def forward(self, x):
        return super().forward(x) * random.SystemRandom().random()


class Detached(Tagger):
    def forward(self, x):
        return self.head(self.gru(x)[0].detach())


class Unused(Tagger):
    def forward(self, x):
        return self.head(torch.zeros(5, 8))


class FrozenEncoder(Translator):
    def forward(self, source, target):
        with torch.no_grad():
            _, state = self.encoder(source)
        return self.decoder(target, state)[0]


def test_what_ran_under_no_grad_is_not_read_and_the_rest_measured():
    curves = retention(FrozenEncoder(), (torch.randn(6, 2, 4), torch.randn(6, 2, 4)))
    assert curves["encoder/layer0/forward"].verdict == "not read"
    assert curves["decoder/layer0/forward"].half_life < 3


class Words(Tagger):
    def forward(self, x):
        super().forward(x)
        return "a string"


class Precise(Tagger):
    """Insists on single precision."""

    def forward(self, x):
        return super().forward(x.float())


def test_a_model_that_insists_on_its_precision_says_what_it_cannot_resolve():
    torch.manual_seed(0)
    curve = retention(Precise(), torch.randn(5, 400, 4))["gru/layer0/forward"]
    assert curve.gain[:20].min() > 0
    assert curve.gain[-1].isnan()
    assert curve.verdict == "vanishing"


@pytest.mark.parametrize(
    ("model", "error", "said"),
    [
        (
            nn.Sequential(nn.Linear(4, 3), nn.Tanh()),
            ValueError,
            "recurrent layer is needed.*made of Linear, Sequential",
        ),
        (Unused(), ValueError, "called none of them"),
        (Detached(), ValueError, r"does not depend on a recurrent layer of Detached.*detach\(\)"),
        (Words(), ValueError, "no tensor of numbers for a gradient to start from, but a str"),
        (Whimsical(), RuntimeError, "differs from its ordinary one"),
    ],
)
def test_errors_say_what_to_do(model, error, said):
    with pytest.raises(error, match=said):
        retention(model, torch.randn(5, 12, 4))


def test_values_that_are_no_loss():
    x = torch.randn(5, 12, 4)
    with pytest.raises(ValueError, match=r"tensor of one number, got torch.Size\(\[5, 12, 3\]\)"):
        retention(Tagger(), x, loss=lambda output: output)
    x[0, 0, 0] = torch.nan
    with pytest.raises(ValueError, match="The input 0 is not finite: 1 of its 240 numbers"):
        retention(Tagger(), x)
