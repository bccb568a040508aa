"""A word language model with weight drop, as AWD-LSTM has it: its state goes on from batch to batch, its loss reads every word.

The design of salesforce/awd-lstm-lm: embeddings whose words are dropped whole, LSTMs one above the other whose recurrent
weights are dropped at each forward (the raw weight is the parameter, the layer's own attribute is set anew), one mask for
all steps between them, the embedding's weights tied to the softmax's, rows flattened, and a detached state.

Merity, Keskar & Socher 2018, Regularizing and Optimizing LSTM Language Models.
"""

import itertools

import end_point
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from rnnvanish import probes
from rnnvanish.diagnosis.find_faults import find

WORDS, TIME, BATCH, SIZES = 19, 28, 3, (8, 10, 10, 8)


def mask(p, *shape):
    return torch.full(shape, 1 - p).bernoulli().div(1 - p)


class WeightDrop(nn.Module):
    """Draws which recurrent weights an LSTM has at each forward."""

    def __init__(self, lstm, p):
        super().__init__()
        self.lstm, self.p = lstm, p
        self.raw = nn.Parameter(lstm.weight_hh_l0.detach().clone())
        del lstm._parameters["weight_hh_l0"]
        lstm.weight_hh_l0 = self.raw.detach()

    def drawn(self):
        return self.raw * (mask(self.p, *self.raw.shape).to(self.raw) if self.training else 1)

    def forward(self, x, state):
        self.lstm.weight_hh_l0 = self.drawn()
        return self.lstm(x, state)


class AWD(nn.Module):
    def __init__(self, flat=True, probabilities=False):
        super().__init__()
        self.encoder = nn.Embedding(WORDS, SIZES[0])
        self.layers = nn.ModuleList(WeightDrop(nn.LSTM(i, o), 0.5) for i, o in itertools.pairwise(SIZES))
        self.decoder = nn.Linear(SIZES[-1], WORDS)
        self.decoder.weight = self.encoder.weight
        self.flat, self.probabilities = flat, probabilities

    def start(self):
        return [(torch.zeros(1, BATCH, size), torch.zeros(1, BATCH, size)) for size in SIZES[1:]]

    def locked(self, x, p):
        return x * mask(p, 1, *x.shape[1:]).to(x) if self.training else x

    def forward(self, words, states):
        weight = self.encoder.weight
        weight = weight * mask(0.1, WORDS, 1).to(weight) if self.training else weight
        x, after = self.locked(F.embedding(words, weight), 0.4), []
        for layer, state in zip(self.layers, states, strict=True):
            x, state = layer(x, tuple(part.detach() for part in state))
            x = self.locked(x, 0.25)
            after.append(state)
        scores = self.decoder(x)
        scores = scores.softmax(-1) if self.probabilities else scores
        return scores.flatten(0, 1) if self.flat else scores, after


def by_hand(model, words, states):
    """What the model returns, (time, batch, words), and the states of each layer."""
    weight = model.encoder.weight.detach().double()
    if model.training:
        weight = weight * mask(0.1, WORDS, 1).double()
    x, every = model.locked(weight[words], 0.4), []
    for layer, state in zip(model.layers, states, strict=True):
        step = end_point.step_of(layer.lstm, weight_hh=layer.drawn())
        every.append(end_point.run(step, x, tuple(part[0].double() for part in state)))
        x = model.locked(end_point.outputs(every[-1]), 0.25)
    return x @ model.encoder.weight.detach().double().T + model.decoder.bias.detach().double(), every


def expected(model, words, states, loss=None):
    """Of a loss of the scores; without one of the sum of all that the model returns, its last states included."""
    torch.manual_seed(5)
    scores, every = by_hand(model, words, states)
    finals = [part for each in every for part in each[-1]] if loss is None else []
    gradient = end_point.only(end_point.by_output(loss or torch.sum, scores), torch.full((BATCH,), TIME - 1))
    read, arriving = [scores, *finals], [gradient, *map(torch.ones_like, finals)]
    return {
        f"layers.{number}.lstm/layer0/forward": end_point.gains(read, arriving, each, end_point.whole(each))
        for number, each in enumerate(every)
    }


@pytest.fixture
def batch():
    torch.manual_seed(0)
    return torch.randint(WORDS, (TIME, BATCH)), torch.randint(WORDS, (TIME, BATCH))


def going_on(model, words):
    """The state that a batch before this one has left."""
    with torch.no_grad():
        return model(words.flip(0), model.start())[1]


@pytest.fixture
def model():
    torch.manual_seed(1)
    return AWD()


def cross_entropy(following):
    return lambda scores: F.cross_entropy(scores.reshape(-1, WORDS), following.flatten())


@pytest.mark.parametrize("flat", [False, True], ids=["steps", "flat"])
@pytest.mark.parametrize("named", [False, True], ids=["what it returns", "cross entropy"])
@pytest.mark.parametrize("training", [False, True], ids=["eval", "train"])
def test_gains_agree_with_a_loop_by_hand(model, batch, training, named, flat):
    words, following = batch
    model.flat, loss = flat, cross_entropy(following) if named else None
    states = going_on(model.train(training), words)
    gains = expected(model, words, states, loss)
    inputs = words, [(h.double(), c.double()) for h, c in states]
    torch.manual_seed(5)
    end_point.assert_same_gains(probes.retention(model.double(), inputs, loss and (lambda got: loss(got[0]))), gains)


def test_the_verdict_is_that_of_the_last_word_alone(model, batch):
    words, following = batch
    every, model.flat = cross_entropy(following), False
    states, losses = (
        model.start(),
        (None, lambda got: every(got[0]), lambda got: F.cross_entropy(got[0][-1], following[-1])),
    )
    verdicts = [[curve.verdict for curve in probes.retention(model, (words, states), loss).values()] for loss in losses]
    assert verdicts == [["vanishing"] * 3] * 3


def test_the_sound_model_has_no_finding_and_is_left_as_it_was(model, batch):
    words, following = batch
    loss, before = cross_entropy(following), {name: value.clone() for name, value in model.state_dict().items()}
    for training in (False, True):
        assert find(model.train(training), (words, going_on(model, words)), lambda got: loss(got[0])) == ()
    assert "weight_hh_l0" not in model.layers[0].lstm._parameters
    for name, value in model.state_dict().items():
        torch.testing.assert_close(value, before[name], rtol=0, atol=0)


def test_a_second_softmax_is_named(model, batch):
    words, following = batch
    model.probabilities, loss = True, cross_entropy(following)
    (finding,) = find(model, (words, model.start()), lambda got: loss(got[0]))
    assert "softmax" in finding.fault
