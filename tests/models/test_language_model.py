"""A character language model, an LSTM with an embedding: its forget gates were initialised closed."""

import torch
from torch import nn

from rnnvanish import diagnose
from rnnvanish.diagnosis.find_faults import find

ALPHABET = "abcdefgh.|"
STEPS = 10


class LanguageModel(nn.Module):
    def __init__(self, planted=True):
        super().__init__()
        self.embed = nn.Embedding(len(ALPHABET), 16)
        self.lstm = nn.LSTM(16, 48, batch_first=True)
        self.head = nn.Linear(48, len(ALPHABET))
        if planted:
            with torch.no_grad():
                self.lstm.bias_hh_l0[48:96] = -6.0  # meant for the input gate

    def forward(self, characters):
        return self.head(self.lstm(self.embed(characters))[0])


def draw(generator, count=64):
    """Lines such as "c........|c": what was opened has to be closed by the same letter."""
    lines = torch.full((count, STEPS + 1), ALPHABET.index("."))
    lines[:, 0] = lines[:, -1] = torch.randint(8, (count,), generator=generator)
    lines[:, -2] = ALPHABET.index("|")
    return lines


def loss(model, lines):
    return nn.functional.cross_entropy(model(lines[:, :-1]).flatten(0, 1), lines[:, 1:].flatten())


def closed_right(model):
    lines = draw(torch.Generator().manual_seed(99), 400)
    with torch.no_grad():
        return float((model(lines[:, :-1])[:, -1].argmax(-1) == lines[:, -1]).float().mean())


def test_the_fault_is_named_and_the_advice_repairs_it(trained, prescribed):
    torch.manual_seed(1)
    model = LanguageModel()
    (finding,) = diagnose(model, draw(torch.Generator().manual_seed(0))[:, :-1]).findings
    assert (finding.fault, finding.layer) == ("closed forget gate", "lstm/layer0/forward")
    assert finding.before < 1e-6
    assert finding.after > 0.1
    torch.manual_seed(1)
    assert closed_right(trained(model, draw, loss, 220, lr=2e-2)) < 0.3  # guessing gives an eighth
    torch.manual_seed(1)
    assert closed_right(trained(prescribed(finding, LanguageModel()), draw, loss, 220, lr=2e-2)) > 0.9


def test_the_healthy_model_has_no_finding():
    torch.manual_seed(1)
    assert find(LanguageModel(planted=False), draw(torch.Generator().manual_seed(0))[:, :-1]) == ()
