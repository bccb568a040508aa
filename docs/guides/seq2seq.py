# ---
# description: A translator with attention whose memory is too short, although its weights were drawn as one should.
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Guide: a translator with attention
#
# One network reads a sentence, another writes the translation. While it writes, the second one looks back at what the
# first one read. That looking back is called **attention**. It is a short cut past the memory, so what can go wrong?
#
# Here the writer looks only at the neighbourhood of the word that it is about to write. That is called local
# attention. The toy language has four letters. The first sign of each sentence says which of two languages is wanted, and
# has to be remembered all along.

# %%
import torch
from torch import nn

LETTERS, HIDDEN = 4, 32


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
        nn.init.normal_(self.embed.weight, std=0.3)

    def forward(self, sentence):
        read, _ = self.encoder(self.embed(sentence))
        h, written = torch.zeros_like(read[:, 0]), []
        for t in range(sentence.shape[1]):
            near = read[:, max(0, t - 1) : t + 2]
            weights = (near @ self.score(h)[:, :, None]).softmax(1)
            seen = (weights * near).sum(1)
            h = self.decoder(seen, h)
            written.append(self.head(torch.cat([h, seen], -1)))
        return torch.stack(written, 1)


def sentences(count, generator):
    letters = torch.randint(LETTERS, (count, 9), generator=generator)
    language = torch.randint(2, (count, 1), generator=generator)
    letters[:, :1] = LETTERS + language
    return letters, torch.where(language == 1, LETTERS - 1 - letters, letters)[:, 1:]


# %% [markdown]
# ## Ask

# %%
from rnnvanish import diagnose

torch.manual_seed(1)
model = Translator()
sentence, _ = sentences(12, torch.Generator().manual_seed(0))
for finding in diagnose(model, sentence).findings:
    print(finding, "\n")

# %% [markdown]
# Both halves are named: the reader, an `nn.RNN`, and the writer, an `nn.RNNCell` in a loop of our own. *Orthogonal*
# weights turn a memory round without making it smaller, and are well known as a good start. But the *gain* they were
# drawn with makes all of it smaller at every step.
#
# ## Do what it says, and train both

# %%
from rnnvanish import mitigations


def train(model, steps=200):
    generator = torch.Generator().manual_seed(0)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(steps):
        sentence, translation = sentences(48, generator)
        loss = nn.functional.cross_entropy(model(sentence)[:, 1:].flatten(0, 1), translation.flatten())
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    sentence, translation = sentences(400, generator)
    with torch.no_grad():
        return (model(sentence)[:, 1:].argmax(-1) == translation).float().mean().item()


before = train(model)
torch.manual_seed(1)
after = train(mitigations.OrthogonalStart(gain=1.0)(Translator()))

# %% tags=["remove-input"]
from rnnvanish import plots

plots.say(
    f"As it was, {before:.0%} of the letters are right: each letter is plain to see, the language is a guess. With the "
    f"gain of 1: **{after:.0%}**."
)

# %% [markdown]
# Attention helps where it can look. What it cannot see has to be remembered.
#
# ??? info "For engineers"
#     The attention is the local, monotonic one of Luong, Pham and Manning (2015), *Effective Approaches to
#     Attention-based Neural Machine Translation*, <https://arxiv.org/abs/1508.04025>. `probes.bypass` measures how much of
#     a gradient takes the way through attention, and how much the recurrence.
