# ---
# description: "A recurrent cell of your own, in a loop of your own: name it, and it is measured like any other."
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Guide: a cell of your own
#
# You have invented a cell. It is a leaky bucket: at each step a part of the old state runs out, and something new is
# filled in. How much runs out is one number, the leak. Nobody but you knows this cell. Can it be measured?

# %%
import torch
from torch import nn


class LeakyCell(nn.Module):
    def __init__(self, input_size, hidden_size, leak):
        super().__init__()
        self.fill = nn.Linear(input_size + hidden_size, hidden_size)
        self.leak = leak

    def forward(self, x, h):
        new = torch.tanh(self.fill(torch.cat([x, h], dim=-1)))
        return (1 - self.leak) * h + self.leak * new


class Summary(nn.Module):
    def __init__(self, leak=0.5):
        super().__init__()
        self.cell = LeakyCell(3, 32, leak)
        self.head = nn.Linear(32, 2)

    def forward(self, series):
        h = torch.zeros(len(series), 32)
        for x in series.unbind(1):
            h = self.cell(x, h)
        return self.head(h)


# %% [markdown]
# ## Ask
#
# Say which module is one step of your loop: `cells=[LeakyCell]`. Everything else is as always.

# %%
from rnnvanish import diagnose

torch.manual_seed(0)
series = torch.randn(8, 60, 3)
diagnosis = diagnose(Summary(), series, cells=[LeakyCell])
before = diagnosis.curves["cell"]
print(diagnosis)

# %% [markdown]
# The cell is measured exactly. What it is made of is not known to rnnvanish, so the cause stays short, and the ready-made
# cures may not fit it. But you know your cell. What keeps the state is the part that does not leak. So let less run out.

# %%
torch.manual_seed(0)
after = diagnose(Summary(leak=0.05), series, cells=[LeakyCell]).curves["cell"]

# %% tags=["hide-input"] alt="Two lines on a logarithmic scale against the steps back, 0 to 59. With the large leak the line falls steeply, with the small one it falls much more slowly."
import matplotlib.pyplot as plt

from rnnvanish import plots

plots.retention({"leak 0.5": before, "leak 0.05": after})
plt.show()

# %% tags=["remove-input"]
plots.say(
    f"The half-life grows from {before.half_life:.2g} to **{after.half_life:.2g} steps**. At the first step arrives "
    f"{plots.one_in(float(before.gain[-1]))} of the gradient with the large leak, and {plots.one_in(float(after.gain[-1]))} "
    "with the small one."
)

# %% [markdown]
# ## Keep it so
#
# One line in your own tests says when a change makes it worse. It works with any test runner.

# %%
from rnnvanish import assert_retention

assert_retention(Summary(leak=0.05), series, lag=50, at_least=1e-3, cells=[LeakyCell])

# %% [markdown]
# ## Or hand over the loop
#
# A loop in Python is slow, and yours is short. Write the step alone, as a `Cell`. Then `Recurrent` runs it: over layers, in
# both directions, for sequences of different lengths, and compiled.

# %%
from rnnvanish import Recurrent
from rnnvanish.cell import Cell


class Leaky(Cell):
    def __init__(self, input_size, hidden_size, leak):
        super().__init__(input_size, hidden_size)
        self.fill = nn.Linear(input_size + hidden_size, hidden_size)
        self.leak = leak

    def forward(self, x, state):
        (h,) = state
        new = torch.tanh(self.fill(torch.cat([x, h], dim=-1)))
        return ((1 - self.leak) * h + self.leak * new,)


layer = Recurrent(Leaky, 3, 32, num_layers=2, batch_first=True, leak=0.05)
output, state = layer(series)
print(tuple(output.shape))

# %% [markdown]
# ??? info "For engineers"
#     A step may be called as `cell(x, state)` and return the state, or `(output, state)`; a state may be a tensor or a
#     tuple. It is recognised by its calls: what it is handed is what it returned before. `torch.nn.RNNCell`, `LSTMCell` and
#     `GRUCell` need not be named.
#
#     A `Cell` says more of itself [where there is more to say](../reference/layers.md): `initial_state` gives the shapes of
#     its parts (any width, complex, several axes), `output` what a step hands on where that is not the first part, `helpers`
#     which parts are a clock or a stabiliser and no memory, `gate_names` and `keeps` which layer makes which gate. With
#     `wants = ("times",)` a step is told how much time has passed. The cells of the package are
#     [written in the same way](../reference/cells.md). What a step does with its input may be any operation of torch. What it
#     does with its state is compiled unless it sorts, transforms (`fft`) or solves equations: then the layer runs step by
#     step, and a line in the log names the operation. On a GPU a few more operations run step by step.
