"""A speech classifier: utterances are padded to a second, and it reads the state behind the padding."""

import torch
from torch import nn
from torch.nn.functional import pad

from rnnvanish import diagnose
from rnnvanish.diagnosis.find_faults import find
from rnnvanish.tasks import Vowels

LENGTH = 100


class Classifier(nn.Module):
    def __init__(self):
        super().__init__()
        self.gru = nn.GRU(12, 32, batch_first=True)
        self.head = nn.Linear(32, 9)

    def forward(self, sound, lengths):
        output, _ = self.gru(sound)
        return self.head(output[:, -1])


class AsAdvised(Classifier):
    def forward(self, sound, lengths):
        output, _ = self.gru(sound)
        return self.head(output[range(len(output)), lengths - 1])


class Packed(Classifier):
    def forward(self, sound, lengths):
        packed = nn.utils.rnn.pack_padded_sequence(sound, lengths, batch_first=True, enforce_sorted=False)
        return self.head(self.gru(packed)[1][-1])


def draw(generator, count=32, part="train"):
    """Who says this vowel?"""
    batch = Vowels().sample(count, generator, part)
    sound = batch.inputs.transpose(0, 1)
    return pad(sound, (0, 0, 0, LENGTH - sound.shape[1])), batch.lengths, batch.targets


def loss(model, batch):
    *inputs, speaker = batch
    return nn.functional.cross_entropy(model(*inputs), speaker)


def right(model):
    *inputs, speaker = draw(torch.Generator().manual_seed(99), 300, "test")
    with torch.no_grad():
        return float((model(*inputs).argmax(-1) == speaker).float().mean())


def test_the_fault_is_named_and_the_advice_repairs_it(trained):
    torch.manual_seed(0)
    model, (sound, lengths, _) = Classifier(), draw(torch.Generator().manual_seed(0), 8)
    (finding,) = diagnose(model, (sound, lengths)).findings
    assert (finding.fault, finding.layer) == ("padding read at the end", "gru/layer0/forward")
    padded = float((LENGTH - lengths).double().mean())
    assert f"8 of 8 sequences end in padding, on average {padded:.3g} equal steps of 100" in finding.seen
    assert "output[range(batch), lengths - 1]" in finding.remedy
    assert finding.after > 1e6 * finding.before
    torch.manual_seed(0)
    as_advised = AsAdvised()
    assert right(trained(model, draw, loss, 50)) < 0.3
    assert right(trained(as_advised, draw, loss, 50)) > 0.75


def test_the_healthy_model_has_no_finding():
    torch.manual_seed(0)
    sound, lengths, _ = draw(torch.Generator().manual_seed(0))
    assert find(AsAdvised(), (sound, lengths)) == ()
    assert find(Packed(), (sound, lengths)) == ()
    assert find(Classifier(), (sound[:, :7], lengths.clamp(max=7))) == ()  # nothing is padded here
