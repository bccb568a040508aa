"""A bidirectional tagger on packed text: its pretrained vectors were never scaled, and saturate the LSTM."""

import re

import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from rnnvanish import diagnose
from rnnvanish.diagnosis.find_faults import find
from rnnvanish.tasks import Text
from rnnvanish.tasks.text import ALPHABET


class Tagger(nn.Module):
    def __init__(self, scale=200.0, standardised=False):
        super().__init__()
        self.vectors = nn.Embedding(len(ALPHABET), 16)
        self.vectors.weight.requires_grad_(False).mul_(scale)
        self.norm = nn.LayerNorm(16, elementwise_affine=False) if standardised else nn.Identity()
        self.lstm = nn.LSTM(16, 24, bidirectional=True, batch_first=True)
        self.head = nn.Linear(48, 2)

    def forward(self, characters, lengths):
        vectors = self.norm(self.vectors(characters))
        packed = pack_padded_sequence(vectors, lengths, batch_first=True, enforce_sorted=False)
        output, _ = pad_packed_sequence(self.lstm(packed)[0], batch_first=True)
        return self.head(output)


def draw(generator, count=32, part="train"):
    """Tag each letter: does its word end in e, s or d? Only the direction from the end can know early."""
    characters = Text(24).sample(count, generator, part).inputs.argmax(-1).T.contiguous()
    lengths = torch.randint(10, 25, (count,), generator=generator)
    lengths[0] = 24
    tags = torch.zeros_like(characters)
    for row, (line, length) in enumerate(zip(characters.tolist(), lengths.tolist(), strict=True)):
        text = "".join(ALPHABET[c] for c in line[:length])
        for word in re.finditer(r"[^ ]*[esd](?= |$)", text):
            tags[row, word.start() : word.end()] = 1
    return characters, lengths, tags, torch.arange(24) < lengths[:, None]


def loss(model, batch):
    characters, lengths, tags, there = batch
    return nn.functional.cross_entropy(model(characters, lengths)[there], tags[there])


def right(model):
    characters, lengths, tags, there = draw(torch.Generator().manual_seed(99), 100, "test")
    with torch.no_grad():
        return float((model(characters, lengths).argmax(-1) == tags)[there].float().mean())


def test_the_fault_is_named_and_the_advice_repairs_it(trained):
    torch.manual_seed(0)
    model, (characters, lengths, *_) = Tagger(), draw(torch.Generator().manual_seed(0), 8)
    (finding,) = diagnose(model, (characters, lengths)).findings
    assert (finding.fault, finding.layer) == ("saturated input", "lstm/layer0/forward")
    assert "put a torch.nn.LayerNorm in front of it" in finding.remedy
    assert finding.before > 0.8
    assert finding.after < 0.05
    torch.manual_seed(0)
    as_advised = Tagger(standardised=True)
    assert right(trained(model, draw, loss, 60)) < 0.85
    assert right(trained(as_advised, draw, loss, 60)) > 0.95


def test_the_healthy_model_has_no_finding():
    torch.manual_seed(0)
    characters, lengths, *_ = draw(torch.Generator().manual_seed(0))
    assert find(Tagger(scale=1.0), (characters, lengths)) == ()
    assert find(Tagger(standardised=True), (characters, lengths)) == ()
