# ---
# description: A torch.nn.GRUCell in a loop over time that you wrote yourself is found and measured without being named.
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Guide: a loop over time
#
# Sometimes a ready-made layer does not do. You want to look at the state in between, or stop early, or feed an answer
# back. Then you write the loop yourself, around `nn.GRUCell` or `nn.LSTMCell`.
#
# This one listens. It reads a row of knocks and silences, and keeps a running answer in its head: was the *first* knock
# loud or soft? After 40 steps it is asked.

# %%
import torch
from torch import nn


class Listener(nn.Module):
    def __init__(self):
        super().__init__()
        self.cell = nn.LSTMCell(input_size=1, hidden_size=24)
        self.head = nn.Linear(24, 2)

    def forward(self, knocks):
        h = c = torch.zeros(len(knocks), 24)
        for knock in knocks.unbind(1):
            h, c = self.cell(knock, (h, c))
        return self.head(h)


def draw(count, generator):
    loud = torch.randint(2, (count,), generator=generator)
    knocks = 0.2 * torch.randn(count, 40, 1, generator=generator)
    knocks[:, 0, 0] += 2.0 * loud - 1.0
    return knocks, loud


# %% [markdown]
# ## Ask

# %%
from rnnvanish import diagnose

torch.manual_seed(0)
model = Listener()
knocks, _ = draw(8, torch.Generator().manual_seed(0))
diagnosis = diagnose(model, knocks)
print(diagnosis)

# %% [markdown]
# The loop was found without being named, since every `LSTMCell` is one step of something. Now open the gate that keeps the
# state.

# %%
from rnnvanish import mitigations


def train(model, steps=120):
    generator = torch.Generator().manual_seed(0)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(steps):
        knocks, loud = draw(32, generator)
        loss = nn.functional.cross_entropy(model(knocks), loud)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    knocks, loud = draw(1000, generator)
    with torch.no_grad():
        return (model(knocks).argmax(-1) == loud).float().mean().item()


before = train(model)
torch.manual_seed(0)
opened = mitigations.OpenGate(bias=3.0)(Listener())
curve = diagnose(opened, knocks).curves["cell"]
after = train(opened)

# %% tags=["remove-input"]
from rnnvanish import plots

was = diagnosis.curves["cell"]
plots.say(
    f"As torch made it, half of the gradient was lost every {was.half_life:.2g} steps, and {plots.one_in(float(was.gain[-1]))} "
    f"arrived at the first knock. With the gate open, **{plots.one_in(float(curve.gain[-1]))}** does. After the same short "
    f"training the listener is right {after:.0%} of the time. As torch made it: {before:.0%}. Guessing gives 50 %."
)

# %% [markdown]
# ??? info "For engineers"
#     The loop is the model's own: it runs as it is, and the states that a step reads and returns are noted on the way. A
#     mask between steps, `h = m * new + (1 - m) * h`, belongs to the way: measured is the state that is carried on, and a
#     sequence that is held counts back from its own end. What cannot be seen from outside is an error that says what to do.
