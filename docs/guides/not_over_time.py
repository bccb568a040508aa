# ---
# description: "Universal Transformers, equilibrium and recursive reasoning models use one block again and again: how far the gradient reaches through the rounds, and when it need not."
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Guide: loops that are not over time
#
# Some networks read everything at once, and then think in rounds. In each round the same block works on what the round
# before left behind. Nothing new is read. A Universal Transformer does so, ALBERT, an equilibrium model (DEQ), a recursive
# reasoning model (HRM, TRM).
#
# To a gradient that is a loop like any other. It comes back round by round, and can get lost on the way.
#
# ## One block, again and again
#
# This network reads twelve digits. Its one block looks around, thinks, and adds what it found to what it had. It does so in
# 24 rounds.

# %%
import torch
from torch import nn


class Block(nn.Module):
    def __init__(self, skip=True, norm=True):
        super().__init__()
        self.look = nn.MultiheadAttention(32, num_heads=4, batch_first=True)
        self.think = nn.Sequential(nn.Linear(32, 64), nn.ReLU(), nn.Linear(64, 32))
        self.norm = nn.LayerNorm(32) if norm else nn.Identity()
        self.skip = skip

    def forward(self, h):
        new = self.think(self.look(h, h, h, need_weights=False)[0])
        return self.norm(h + new if self.skip else new)


class Tied(nn.Module):
    def __init__(self, block, rounds=24):
        super().__init__()
        self.embed, self.block, self.head = nn.Embedding(10, 32), block, nn.Linear(32, 10)
        self.rounds = rounds

    def forward(self, digits):
        h = self.embed(digits)
        for _ in range(self.rounds):
            h = self.block(h)
        return self.head(h)


digits = torch.randint(10, (8, 12), generator=torch.Generator().manual_seed(0))

# %% [markdown]
# Is there a loop in it? Ask, and what comes says which module it is.

# %%
from rnnvanish import diagnose

torch.manual_seed(0)
model = Tied(Block())
try:
    diagnose(model, digits)
except ValueError as refusal:
    print(str(refusal)[-140:])

# %% [markdown]
# So name the block. Everything else is as always. Where the report says *step*, read *round*.

# %%
print(diagnose(model, digits, cells=[Block]))

# %% [markdown]
# That is as it should be. What makes it so? Take parts away, and measure again.

# %%
from rnnvanish import probes

curves = {}
for name, parts in {
    "whole": {},
    "no norm": {"norm": False},
    "no skip": {"skip": False},
    "neither": {"skip": False, "norm": False},
}.items():
    torch.manual_seed(0)
    curves[name] = probes.retention(Tied(Block(**parts)), digits, cells=[Block])["block"]

# %% tags=["hide-input"] alt="Four lines on a logarithmic scale against the rounds back, 0 to 23. With the whole block, and without its norm, the line stays near the top. Without the skip it falls slowly. With neither it falls steeply."
import matplotlib.pyplot as plt

from rnnvanish import plots

plots.retention(curves).set_xlabel("rounds back")
plt.show()

# %% tags=["remove-input"]
left = {name: plots.one_in(float(curve.gain[-1])) for name, curve in curves.items()}
plots.say(
    f"Of the gradient in the last round arrives in the first: with the whole block **{left['whole']}**, without its norm "
    f"{curves['no norm'].gain[-1]:.2g} times as much, without the skip {left['no skip']}, with neither **{left['neither']}**. "
    "The skip is the way back, as it is [for a network over time](../techniques/skips.py)."
)

# %% [markdown]
# ## Rounds until nothing changes
#
# An equilibrium model goes on until another round changes nothing. What it then has is its answer.

# %%
ROUNDS = 60


class Settle(nn.Module):
    def __init__(self):
        super().__init__()
        self.read, self.mix = nn.Linear(8, 32), nn.Linear(32, 32)
        self.mix.weight.data *= 1.4

    def forward(self, x, h):
        return torch.tanh(self.mix(h) + self.read(x))


class Equilibrium(nn.Module):
    def __init__(self, learning=ROUNDS):
        super().__init__()
        self.step, self.head, self.learning = Settle(), nn.Linear(32, 3), learning

    def forward(self, x):
        h = torch.zeros(len(x), 32)
        with torch.no_grad():
            for _ in range(ROUNDS - self.learning):
                h = self.step(x, h)
        for _ in range(self.learning):
            h = self.step(x, h)
        return self.head(h)


x = torch.randn(8, 8, generator=torch.Generator().manual_seed(0))
answers = torch.tensor([0, 1, 2, 0, 1, 2, 0, 1])

torch.manual_seed(0)
model = Equilibrium()
curve = probes.retention(model, x, cells=[Settle])["step"]
print(curve.verdict, "| half-life", round(curve.half_life, 2), "| reach", curve.reach)

# %% [markdown]
# *Vanishing*. Is that bad? No: here it **must** be so. The answer shall be the same wherever the rounds began. Then the
# beginning has no say, and a gradient is nothing but a say.
#
# It can be checked without any gradient. Look how the distance to the final state shrinks, round by round.

# %%
import copy
import math

step, states = copy.deepcopy(model.step).double(), [torch.zeros(len(x), 32).double()]
with torch.no_grad():
    for _ in range(4 * ROUNDS):
        states.append(step(x.double(), states[-1]))
distance = [(h - states[-1]).norm(dim=-1).log().mean().item() for h in states]
halving = 20 * math.log(2) / (distance[20] - distance[40])

# %% tags=["remove-input"]
plots.say(
    f"The distance to the final state is halved every **{halving:.2f} rounds**. The gradient on its way back is halved every "
    f"**{curve.half_life:.2f}**. It is one number, seen from two sides."
)

# %% [markdown]
# ### How many rounds must learn?
#
# Keeping sixty rounds in memory is expensive. So most of these models look for the answer without gradients, and learn
# from the last few rounds. How many are enough? The curve knows it before. We compare: the gradient of the weights from
# the last rounds alone, against that from all sixty.


# %%
def gradient(learning):
    model.learning = learning
    model.zero_grad()
    nn.functional.cross_entropy(model(x), answers).backward()
    return torch.cat([weight.grad.flatten() for weight in model.step.parameters()])


whole = gradient(ROUNDS)
few = [1, 2, 3, 5, 8, 12, 16, 20]
wrong = [float((gradient(count) - whole).norm() / whole.norm()) for count in few]

# %% tags=["hide-input"] alt="A falling line on a logarithmic scale, the gradient that is left against the rounds back, and points close to it: how wrong the gradient of the weights is where only so many rounds learn."
axes = plots.retention({"what is left": curve})
axes.plot(few, wrong, "o", color="C1")
axes.set(xlabel="rounds back, or rounds that learn", xlim=(-1, 22), ylim=(1e-5, 2))
axes.set_title("line: gradient that is left; points: error")
plots.label_decades(axes)
plt.show()

# %% tags=["remove-input"]
by_count = dict(zip(few, wrong, strict=True))
plots.say(
    f"With one round the gradient of the weights is wrong by {by_count[1]:.0%}, with five by {by_count[5]:.0%}, with "
    f"16 by {by_count[16]:.1%}. The points follow the line. The **reach** of {curve.reach} rounds says how many are "
    "worth their memory."
)

# %% [markdown]
# ## Models that learn from the last rounds alone
#
# A recursive reasoning model keeps two states, a quick one and a slow one, and improves them in turn. Only its last big
# round learns. Here a big round is one module. It takes both states and returns both. So they are measured as one loop.


# %%
class Think(nn.Module):
    def __init__(self):
        super().__init__()
        self.mix, self.norm = nn.Sequential(nn.Linear(32, 64), nn.SiLU(), nn.Linear(64, 32)), nn.LayerNorm(32)

    def improve(self, h, hint):
        return self.norm(h + self.mix(h + hint))

    def forward(self, x, state):
        quick, slow = state
        for _ in range(3):
            quick = self.improve(quick, slow + x)
        return quick, self.improve(slow, quick)


class Reasoner(nn.Module):
    def __init__(self, learning, rounds=8):
        super().__init__()
        self.read, self.think, self.head = nn.Linear(8, 32), Think(), nn.Linear(32, 3)
        self.rounds, self.learning = rounds, learning

    def forward(self, x):
        x = self.read(x)
        state = torch.ones_like(x), torch.zeros_like(x)
        for left in range(self.rounds, 0, -1):
            with torch.set_grad_enabled(left <= self.learning):
                state = self.think(x, state)
        return self.head(state[1])


import textwrap

found = {}
for learning in (1, 2, 8):
    torch.manual_seed(0)
    found[learning] = diagnose(Reasoner(learning), x, cells=[Think])
said = "\n\n".join(
    f"{learning} of 8 rounds learn:\n{textwrap.fill(each.answer, 76)}" for learning, each in found.items()
)
print(said)

# %% [markdown]
# With one round there is no way back at all: nothing is carried through the rounds, and the report says so. With two it
# **asks**: earlier rounds run without gradients, is that meant? If they only look for a good state, it is, and the
# answer is to leave it. With all eight it measures what the others gave up.

# %% tags=["remove-input"]
(deep,) = found[8].curves.values()
plots.say(
    f"From the last round back to the first arrives **{plots.one_in(float(deep.gain[-1]))}** of the gradient. So "
    + (
        "the early rounds could learn, too. Leaving them out saves memory, and gives that up."
        if deep.gain[-1] > 1e-3
        else "the early rounds would have had little say anyway."
    )
)

# %% [markdown]
# A state may also be cut with `detach()` between rounds, each of which has a loss of its own (*deep supervision*). Then say
# how many rounds back you want to learn, `lag=2`: a cut behind more rounds than that is no finding.
#
# ## What we tried it on
#
# The code of four public projects: `andreamad8/Universal-Transformer-Pytorch`, `locuslab/torchdeq`, `sapientinc/HRM` and
# `SamsungSAILMontreal/TinyRecursiveModels`. Three things are good to know.
#
# - **Name the smallest module that takes the state and returns it.** For the Universal Transformer that is its encoder
#   layer, for the reasoning models `L_level` and `H_level`. Without `cells=` the refusal names them.
# - **Two states that call one module in turn are two loops** in the report, `(call 1)` and `(call 2)`. Each is measured with
#   everything that comes back to it. For one curve of both, make the big round a module, as above.
# - **A solver may mix your batch.** One that stops when the *whole* batch has settled gives each input more or fewer
#   rounds, depending on its neighbours. The report asks about it: *sequences mixed*.
#
# ??? info "For engineers"
#     A step needs no input: `cells=[Block]` is called `h -> h`. A state may be (batch, positions, features): each row of the
#     batch is a sequence, and all of its numbers are one state. Rounds under `no_grad()` are a loop of their own, *not read*;
#     the one that learns begins with their detached state. A gradient by the implicit function theorem, which a hook solves
#     for in the backward pass, comes by no round, and so no curve shows it: of such a model measure the rounds themselves, as
#     above. Anderson's and Broyden's methods mix several earlier rounds; there each call counts as a loop of one round.
