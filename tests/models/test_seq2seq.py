"""An encoder and a decoder with local monotonic attention: recurrent weights orthogonal, but with too small a gain.

The attention is that of Luong, Pham & Manning 2015, Effective Approaches to Attention-based Neural Machine Translation,
"local-m": step t of the decoder sees the encoder's states near t alone.
"""

import pytest
import torch
from torch import nn

from rnnvanish import diagnose
from rnnvanish.diagnosis.find_faults import find

LETTERS, STEPS, HIDDEN = 4, 9, 32


class Translator(nn.Module):
    def __init__(self, gain=0.1):
        super().__init__()
        self.embed = nn.Embedding(LETTERS + 2, HIDDEN)
        self.encoder = nn.RNN(HIDDEN, HIDDEN, batch_first=True)
        self.decoder = nn.RNNCell(HIDDEN, HIDDEN)
        self.score = nn.Linear(HIDDEN, HIDDEN, bias=False)
        self.head = nn.Linear(2 * HIDDEN, LETTERS)
        nn.init.orthogonal_(self.encoder.weight_hh_l0, gain)
        nn.init.orthogonal_(self.decoder.weight_hh, gain)
        with torch.no_grad():
            self.embed.weight.mul_(0.3)

    def forward(self, source):
        seen, _ = self.encoder(self.embed(source))
        h, words = torch.zeros_like(seen[:, 0]), []
        for t in range(source.shape[1]):
            near = seen[:, max(0, t - 1) : t + 2]
            weights = (near @ self.score(h)[:, :, None]).softmax(1)
            context = (weights * near).sum(1)
            h = self.decoder(context, h)
            words.append(self.head(torch.cat([h, context], -1)))
        return torch.stack(words, 1)


def draw(generator, count=48):
    """The first token names the language, as in multilingual translation: say each letter, or its counterpart."""
    source = torch.randint(LETTERS, (count, STEPS), generator=generator)
    language = torch.randint(2, (count, 1), generator=generator)
    source[:, :1] = LETTERS + language
    return source, torch.where(language == 1, LETTERS - 1 - source, source)[:, 1:]


def loss(model, batch):
    source, target = batch
    return nn.functional.cross_entropy(model(source)[:, 1:].flatten(0, 1), target.flatten())


def right(model):
    source, target = draw(torch.Generator().manual_seed(99), 200)
    with torch.no_grad():
        return float((model(source)[:, 1:].argmax(-1) == target).float().mean())


def test_the_fault_is_named_and_the_advice_repairs_it(trained, prescribed):
    torch.manual_seed(1)
    model, (source, _) = Translator(), draw(torch.Generator().manual_seed(0), 12)
    found = diagnose(model, source).findings
    assert [(each.fault, each.layer) for each in found] == [
        ("too small orthogonal gain", "encoder/layer0/forward"),
        ("too small orthogonal gain", "decoder"),
    ]
    assert all("orthogonal with a gain of 0.1" in each.seen for each in found)
    assert all(each.after > 1000 * each.before for each in found)
    torch.manual_seed(1)
    repaired = prescribed(found[0], Translator())
    assert right(trained(model, draw, loss, 200)) < 0.65  # the letter is plain to see; which language, a guess
    assert right(trained(repaired, draw, loss, 200)) > 0.9


@pytest.mark.parametrize("gain", [0.95, 1.0])
def test_the_healthy_model_has_no_finding(gain):
    torch.manual_seed(1)
    assert find(Translator(gain), draw(torch.Generator().manual_seed(0))[0]) == ()
