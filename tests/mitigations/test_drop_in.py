"""Cures in models that use what torch's layers have: they train on, old checkpoints load, and a saved run goes on."""

import copy
import io

import pytest
import torch
from builds import skip_unsuited
from torch import nn

from rnnvanish import Recurrent, cells, mitigations
from rnnvanish.diagnosis.advice.replace_cell import Swap
from rnnvanish.mitigation import Build

WORDS, HIDDEN, BATCH, TIME = 11, 6, 4, 7
#: But one that takes a single layer in one direction: test_truncation.py.
BUILDS = {name: cure() for name, cure in mitigations.ALL.items() if issubclass(cure, Build) and name != "UORO"}
CURES = {"from_torch": None, "Swap": Swap(), **BUILDS}
#: Those that add parts to a state: a model that takes the state apart has to be changed, as they say.
ADD_PARTS = (
    "Dilated",
    "SkipThroughTime",
    "VariationalDropout",
    "TruncatedBackpropagation",
    "SparseAttentiveBacktracking",
    "RecurrentBatchNormalisation",
)
#: Those that add parameters.
ADD_PARAMETERS = (
    "SyntheticGradients",
    "AttentionOverPast",
    "HighwayThroughTime",
    "LayerNormalisation",
    "LeakyStep",
    "MultiplicativeIntegration",
    "RMSNormalisation",
    "RecurrentBatchNormalisation",
    "ResidualThroughTime",
    "SparseAttentiveBacktracking",
)


class LanguageModel(nn.Module):
    """Draws by name, flattens, starts from zeros, reads `bias`, `num_layers` and weights; hands its state on."""

    def __init__(self, change=lambda layer: layer):
        super().__init__()
        self.words = nn.Embedding(WORDS, HIDDEN)
        self.rnn = change(nn.LSTM(HIDDEN, HIDDEN, num_layers=2, dropout=0.2, batch_first=True))
        self.out = nn.Linear(HIDDEN, WORDS)
        for name, parameter in self.rnn.named_parameters():
            if "weight_ih" in name:
                nn.init.xavier_uniform_(parameter)
            elif "weight_hh" in name:
                nn.init.orthogonal_(parameter)
            elif "bias" in name:
                nn.init.zeros_(parameter)
                parameter.data[HIDDEN : 2 * HIDDEN] = 0.5

    def zeros(self, batch):
        weight = next(self.rnn.parameters())
        shape = self.rnn.num_layers * (1 + self.rnn.bidirectional), batch, self.rnn.hidden_size
        return weight.new_zeros(shape), weight.new_zeros(shape)

    def forward(self, words, state=None):
        self.rnn.flatten_parameters()
        assert self.rnn.bias
        assert self.rnn.mode == "LSTM"
        assert len(self.rnn.all_weights) == 2
        assert self.rnn.weight_hh_l1.shape == (4 * HIDDEN, HIDDEN)
        output, state = self.rnn(self.words(words), self.zeros(len(words)) if state is None else state)
        return self.out(output), state

    def loss(self, words):
        first, state = self(words[:, :4])
        second, _ = self(words[:, 4:-1], tuple(part.detach() for part in state))
        return nn.functional.cross_entropy(torch.cat([first, second], 1)[:, :-1].flatten(0, 1), words[:, 2:].flatten())


class Translator(nn.Module):
    """An encoder over packed sentences, whose two directions are joined, and a decoder that is given a state by `hx=`."""

    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(WORDS, HIDDEN)
        self.encoder = nn.GRU(HIDDEN, HIDDEN, bidirectional=True)
        self.bridge = nn.Linear(2 * HIDDEN, HIDDEN)
        self.decoder = nn.GRU(input_size=HIDDEN, hidden_size=HIDDEN)
        self.out = nn.Linear(HIDDEN, WORDS)

    def forward(self, source, lengths, target):
        packed = nn.utils.rnn.pack_padded_sequence(self.words(source), lengths, enforce_sorted=False)
        _, h = self.encoder(input=packed)
        start = torch.tanh(self.bridge(torch.cat([h[0], h[1]], -1)))[None]
        output, _ = self.decoder(input=self.words(target), hx=start)
        return self.out(output)

    def loss(self, words):
        words = words.T
        lengths = torch.tensor([3, 7, 1, 5])
        return nn.functional.cross_entropy(self(words, lengths, words[:-1]).flatten(0, 1), words[1:].flatten())


MODELS = {"language model": LanguageModel, "translator": Translator}
LAYERS = {"language model": "LSTM", "translator": "GRU"}


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def text():
    return torch.randint(WORDS, (BATCH, TIME))


def cured(name, model):
    if name == "Swap":
        return Swap("LSTM" if isinstance(model, LanguageModel) else "GRU")(model)
    if CURES[name] is not None:
        return CURES[name](model)
    for attribute, layer in list(model.named_children()):
        if isinstance(layer, nn.RNNBase):
            setattr(model, attribute, Recurrent.from_torch(layer))
    return model


def step(model, adam, words, seed):
    torch.manual_seed(seed)
    adam.zero_grad()
    loss = model.loss(words)
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 0.5)
    mitigations.AdaptiveClip(0.1).apply(model.parameters())
    adam.step()
    return loss.item()


def saved(*modules):
    file = io.BytesIO()
    torch.save([module.state_dict() for module in modules], file)
    file.seek(0)
    return torch.load(file, weights_only=True)


def values(model, words):
    """Both losses that a model has: what it computes, drop-outs aside."""
    torch.manual_seed(5)
    return model.eval().loss(words).item()


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("name", CURES)
def test_a_cured_model_trains_is_saved_and_goes_on(name, kind):
    skip_unsuited(name, LAYERS[kind])
    words, model = text(), MODELS[kind]()
    model = cured(name, model)
    adam = torch.optim.Adam(model.parameters(), lr=0.01)
    losses = [step(model, adam, words, seed) for seed in range(3)]
    weights, moments = saved(model, adam)
    losses.append(step(model, adam, words, 3))
    assert losses[3] < losses[0]
    again = cured(name, MODELS[kind]())
    again.load_state_dict(weights)
    resumed = torch.optim.Adam(again.parameters(), lr=0.01)
    resumed.load_state_dict(moments)
    assert step(again, resumed, words, 3) == losses[3]


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("name", [name for name in CURES if name != "Swap"])
def test_a_checkpoint_from_before_the_cure_loads_after_it(name, kind):
    """It is the cure of the model that the checkpoint is of. What the cure itself adds is as it was drawn."""
    skip_unsuited(name, LAYERS[kind])
    words, old = text(), MODELS[kind]()
    checkpoint = saved(old)[0]
    model = cured(name, MODELS[kind]())
    before = values(model, words)
    model.load_state_dict(checkpoint)
    torch.manual_seed(0)
    expected = cured(name, old)
    for mine, other in zip(model.named_modules(), expected.named_modules(), strict=True):
        if mine[0].endswith(("attention", "match", "transform_x", "transform_h")):  # with numbers of its own
            other[1].load_state_dict(mine[1].state_dict())
    assert values(model, words) == pytest.approx(values(expected, words), rel=1e-6)
    assert abs(values(model, words) - before) > 1e-3


@pytest.mark.parametrize("name", BUILDS)
def test_a_layers_own_checkpoint_from_before_the_cure_loads_after_it(name):
    """The same of a Recurrent that never was torch's: its names are those of its cells."""
    x = torch.randn(TIME, BATCH, HIDDEN)
    if name in ADD_PARAMETERS:
        pytest.skip("its own parameters are missing from that checkpoint, and load_state_dict says so")
    old, other = (Recurrent(cells.LSTM, HIDDEN, HIDDEN, num_layers=2) for _ in range(2))
    checkpoint = saved(old)[0]
    assert "cells.1.from_h.weight" in checkpoint
    layer = BUILDS[name](other).eval()
    layer.load_state_dict(checkpoint)
    torch.testing.assert_close(layer(x)[0], BUILDS[name](old).eval()(x)[0])


@pytest.mark.parametrize("kind", MODELS)
def test_what_torch_can_hold_goes_back_to_it(kind):
    """Trained as a Recurrent and saved, the original model computes with it what was computed before, and the optimiser goes on."""
    words, original = text(), MODELS[kind]()
    model = cured("from_torch", copy.deepcopy(original))
    sgd, old = (torch.optim.SGD(each.parameters(), lr=0.1, momentum=0.9) for each in (model, original))
    step(original, old, words, 0)
    for mine, theirs in ((model, original), (sgd, old)):  # an old run, resumed
        mine.load_state_dict(saved(theirs)[0])
    for each, rule in ((model, sgd), (original, old)):
        step(each, rule, words, 1)
    torch.testing.assert_close(model.state_dict(), original.state_dict(), rtol=1e-4, atol=1e-6)
    step(model, sgd, words, 2)
    original.load_state_dict(saved(model)[0])
    assert values(original, words) == pytest.approx(values(model, words), rel=1e-6)
    assert list(saved(Swap("GRU")(copy.deepcopy(original)))[0]) == list(original.state_dict())


@pytest.mark.parametrize("name", BUILDS)
def test_what_torch_cannot_hold_does_not_load_into_it_unseen(name):
    model = cured(name, LanguageModel())
    assert "weight_hh_l0" not in vars(model.rnn)["_parameters"]  # at once, not when somebody asks for parameters
    with pytest.raises(RuntimeError, match="Missing key"):
        LanguageModel().load_state_dict(model.state_dict())
    assert model.rnn.weight_hh_l0 is not None


@pytest.mark.parametrize("name", ADD_PARTS)
def test_a_layer_whose_state_has_more_parts_takes_the_state_of_torchs(name):
    """What is not given is as it is before the first step: zeros given are nothing given."""
    cure = BUILDS[name] if name != "Dilated" else mitigations.Dilated(start=2)
    layer = cure(nn.GRU(HIDDEN, HIDDEN)).eval()
    x, h = torch.randn(TIME, BATCH, HIDDEN), torch.zeros(1, BATCH, HIDDEN)
    assert len(layer.state_names) > 1
    torch.testing.assert_close(layer(x, h), layer(x), rtol=0, atol=0)
    assert not torch.allclose(layer(x, hx=h + 1)[0], layer(x)[0])
    with pytest.raises(ValueError, match=f"needs a state of {len(layer.state_names)} parts"):
        layer(x, (h,) * (len(layer.state_names) + 1))


@pytest.mark.parametrize("name", [*BUILDS, "Swap"])
@pytest.mark.parametrize("kind", [nn.RNN, nn.GRU, nn.LSTM])
def test_a_cured_layer_hands_back_the_state_that_its_callers_take_apart(name, kind):
    """The last layer's h is what they read of it, whatever the cure carries beside."""
    skip_unsuited(name, kind.__name__)
    cure = BUILDS[name] if name != "Swap" else Swap("LSTM")
    layer = cure(kind(HIDDEN, HIDDEN, num_layers=2)).eval()
    output, state = layer(torch.randn(TIME, BATCH, HIDDEN))
    if kind is nn.LSTM:
        h, _ = state
    else:
        h = state
    assert h.shape == (2, BATCH, HIDDEN)
    if name not in ("AttentionOverPast", "SkipThroughTime", "Dilated"):  # of these the output is more than h
        torch.testing.assert_close(h[-1], output[-1])
    if name in ADD_PARTS:
        copied = h.detach() if kind is not nn.LSTM else (h.detach(), state[1])
        with pytest.warns(UserWarning, match="of the state is not given"):
            layer(torch.randn(TIME, BATCH, HIDDEN), copied)


def test_a_state_of_fewer_parts_fails_where_it_is_taken_apart():
    _, state = Swap("GRU")(nn.LSTM(HIDDEN, HIDDEN, num_layers=2))(torch.randn(TIME, BATCH, HIDDEN))
    with pytest.raises(ValueError, match="expected 2, got 1"):
        _, _ = state


def test_a_layer_that_stands_in_two_places_is_replaced_in_both():
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.GRU(HIDDEN, HIDDEN)
            self.below = nn.ModuleDict({"second": self.first})

    model = mitigations.Zoneout()(Tied())
    assert model.first is model.below["second"]
    assert isinstance(model.first, Recurrent)


def test_a_class_with_a_forward_of_its_own_is_not_replaced_unseen():
    class Reversed(nn.GRU):
        def forward(self, input, hx=None):
            return super().forward(input.flip(0), hx)

    with pytest.raises(ValueError, match=r"Reversed has a forward of its own.* hold a torch.nn.GRU"):
        mitigations.Zoneout()(nn.Sequential(Reversed(2, 3)))


def test_attention_has_what_its_layer_has():
    model = mitigations.AttentionOverPast()(nn.LSTM(HIDDEN, HIDDEN, num_layers=2, dropout=0.3))
    assert model.weight_hh_l1 is model.layer.weight_hh_l1
    model.weight_hh_l1 = nn.Parameter(torch.zeros(4 * HIDDEN, HIDDEN))
    model.dropout = 0.1
    assert not model.layer.cells[1].from_h.weight.any()
    assert model.layer.dropout == model.dropout == 0.1
    assert copy.deepcopy(model).num_layers == 2
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = model.nonsense
