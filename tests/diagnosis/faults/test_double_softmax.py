"""Probabilities where a loss takes scores; and losses that take probabilities, or soften what they take."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from rnnvanish.diagnosis.find_faults import find


class Tagger(nn.Module):
    def __init__(self, last=lambda scores: scores, every=True):
        super().__init__()
        self.rnn, self.head, self.last, self.every = nn.GRU(3, 8), nn.Linear(8, 5), last, every

    def forward(self, x):
        y = self.rnn(x)[0]
        return self.last(self.head(y if self.every else y[-1]))


torch.manual_seed(0)
X, WORDS, CLASS = torch.randn(6, 4, 3), torch.randint(5, (6, 4)), torch.randint(5, (4,))
SOFT = lambda scores: scores.softmax(-1)


def of_words(y):
    return F.cross_entropy(y.flatten(0, 1), WORDS.flatten())


def of_class(y):
    return F.cross_entropy(y, CLASS)


DOUBLE = {
    "module": (Tagger(nn.Softmax(-1), False), of_class, "softmax before cross_entropy"),
    "behind views": (Tagger(SOFT), of_words, "softmax before cross_entropy"),
    "class axis second": (
        Tagger(lambda scores: scores.softmax(-1).permute(1, 2, 0)),
        lambda y: F.cross_entropy(y, WORDS.T),
        "softmax before cross_entropy",
    ),
    "log_softmax": (Tagger(SOFT, False), lambda y: F.nll_loss(y.log_softmax(-1), CLASS), "softmax before log_softmax"),
    "nll": (Tagger(SOFT, False), lambda y: F.nll_loss(y, CLASS), "softmax before nll_loss"),
    "sigmoid": (
        Tagger(torch.sigmoid, False),
        lambda y: F.binary_cross_entropy_with_logits(y, F.one_hot(CLASS, 5).float()),
        "sigmoid before binary_cross_entropy_with_logits",
    ),
}


@pytest.mark.parametrize("kind", DOUBLE)
def test_it_is_named_and_without_it_more_comes_back(kind):
    model, loss, fault = DOUBLE[kind]
    finding = next(each for each in find(model, X, loss=loss) if " before " in each.fault)
    assert (finding.fault, finding.layer, finding.question) == (fault, "rnn", False)
    assert finding.after > 2 * finding.before
    assert "test_double_softmax.py, line" in finding.seen


def test_the_numbers_are_those_of_the_gradient_by_hand():
    model = Tagger(SOFT, False)
    finding = next(each for each in find(model, X, loss=of_class) if " before " in each.fault)
    y = model.rnn(X)[0].detach().requires_grad_()
    for value, last in ((finding.before, SOFT), (finding.after, lambda scores: scores)):
        (gradient,) = torch.autograd.grad(of_class(last(model.head(y[-1]))), y)
        assert value == pytest.approx(float(gradient.norm()), rel=1e-5)


class Attending(nn.Module):
    """A softmax of its own, whose weighted sum is what is scored."""

    def __init__(self):
        super().__init__()
        self.rnn, self.head = nn.GRU(3, 8), nn.Linear(8, 5)

    def forward(self, x):
        y = self.rnn(x)[0]
        return self.head((y.sum(-1, keepdim=True).softmax(0) * y).sum(0))


RIGHT = {
    "scores": (Tagger(every=False), of_class),
    "smoothed": (Tagger(every=False), lambda y: F.cross_entropy(y, CLASS, label_smoothing=0.1)),
    "log-probabilities": (Tagger(nn.LogSoftmax(-1), False), lambda y: F.nll_loss(y, CLASS)),
    "logarithm": (Tagger(SOFT, False), lambda y: F.nll_loss(y.log(), CLASS)),
    "binary": (Tagger(torch.sigmoid, False), lambda y: F.binary_cross_entropy(y, F.one_hot(CLASS, 5).float())),
    "soft targets": (Tagger(every=False), lambda y: F.cross_entropy(y, y.detach().flip(-1).softmax(-1))),
    "attention": (Attending(), of_class),
}


@pytest.mark.parametrize("kind", RIGHT)
def test_a_loss_that_gets_what_it_takes_is_right(kind):
    model, loss = RIGHT[kind]
    assert find(model, X, loss=loss) == ()
