# ---
# description: A recurrent network reads step by step and carries a state. What is not in the state is gone.
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 1. A network that reads step by step
#
# Think of a row of people who pass on a note.
#
# The first one hears a word and writes a note. The next one reads the note, hears the next word, and writes a new note.
# So it goes on to the end of the row. The note always has the same size. Whatever the last person knows of the first
# word must have come by note, from hand to hand.
#
# ![The row of people, and the network](../assets/drawings/unrolled.svg)
#
# A **recurrent network** reads in the same way. The words are its *inputs*, one at each *step*. The note is its
# *state*: a short list of numbers. At each step the network makes a new state from the old state and the new input,
# and it follows the same rule at every step. This row of people will stay with us through all sections.
#
# ## Predict first
#
# A network reads 100 steps. We read them again, but stop after 60 steps, and throw away everything except the note.
# Then we go on from the note alone. What are the remaining 40 outputs like?
#
# 1. The same, to the last digit.
# 2. Almost the same.
# 3. Quite different, because the network has lost what it read.
#
# ??? question "Show the answer"
#     The same, to the last digit. The note is all that a network has of its past. It never looks back at
#     earlier inputs.
#
# ## Pull somebody out of the row
#
# Here are ten people who read ten words. They are a real network, whose note holds eight numbers: each is a square, blue
# above zero and orange below. Tap one of them. Everybody up to there goes home, and the others go on from the note alone.

# %% [markdown]
# <rv-note id="note" markdown>

# %% tags=["remove-input"]
import torch

from rnnvanish import plots
from rnnvanish.experiments import structure

layer, words = structure.network(seed=0)
with torch.no_grad():
    whole = layer(words)[0]
    kept, lost = (float((whole - structure.in_two_parts(layer, words, 60, keep)).abs().max()) for keep in (True, False))
plots.say(
    f"Stop after 60 of 100 steps and go on from the note: the outputs differ by {kept:.3f}. Go on without the note: they "
    f"differ by up to {lost:.2f}."
)

# %% [markdown]
# </rv-note>
#
# The note does it. [Throw it away, too](#note.what=nothing&note.at=5), and the next ones write something else. Or
# [change one word](#note.what=word&note.at=7): from there on the notes are others, and no note before it moves.
#
# ## See for yourself
#
# We build a larger network with *PyTorch*, the software in which most such networks are built. In code its name is
# `torch`. What it does unless it is told otherwise is what most networks start with. So that is what we look at first.

# %% tags=["hide-input"]
from torch import nn

torch.manual_seed(0)
network = nn.RNN(input_size=3, hidden_size=32).double()
x = torch.randn(100, 1, 3).double()  # 100 steps of one sequence

with torch.no_grad():
    in_one_run, _ = network(x)
    first, note = network(x[:60])  # stop after 60 steps
    second, _ = network(x[60:], note)  # go on from the note alone

difference = in_one_run - torch.cat([first, second])
print("largest difference:", float(difference.abs().max()))

# %% tags=["remove-input"]
structure.state_is_all_the_past.show()

# %% [markdown]
# ## Nobody reads ahead
#
# Somebody in the middle of the row cannot know the words that come later. Is that true of the network too? We replace
# everything from step 60 on by something else. Then we look at which outputs change.

# %% tags=["hide-input"] alt="Line chart: how much the output of each step changes when the input is replaced from step 60 on. For a layer that reads in one direction the change is zero before step 60 and jumps up there. For a layer that reads in both directions the outputs before step 60 change too, most of all just before it."
import matplotlib.pyplot as plt

one = structure.change_by_step(*structure.network(seed=0), at=60)
both = structure.change_by_step(*structure.network(seed=0, bidirectional=True), at=60)

fig, ax = plt.subplots()
ax.plot(one)
ax.plot(both)
ax.axvline(60, color="C2", linestyle=":")
ax.annotate("from here on, other words  ", (60, 0.8), ha="right", color="C2", xycoords=("data", "axes fraction"))
ax.annotate("one direction: zero", (1, 0.06), color="C0")
ax.annotate("both directions ", (56, 0.4), ha="right", color="C1")
ax.set(xlabel="step", title="change of the output")
plt.show()

# %% tags=["remove-input"]
reached = int((both[:60] > 0.01).nonzero()[0])
plots.say(
    f"In one direction, the outputs before step 60 change by exactly {one[:60].max():g}. In both directions, they "
    f"change by up to {both[:60].max():.2g}. The outputs lie between -1 and 1, so that is a lot."
)

# %% tags=["remove-input"]
structure.future_does_not_leak_in.show()

# %% [markdown]
# There is one exception, and it is in wide use. A **bidirectional** layer has a second row of people, who pass their
# notes from the end to the beginning. It is good for a text that is already complete. It is no good for speech that
# is still going on.

# %% tags=["remove-input"]
structure.no_layer_sees_the_future.show()

# %% [markdown]
# ## The same rule, however long
#
# All people in the row follow the same rule. So the network has the same number of *weights* (the numbers that make up its
# rule) for a short sequence as for a long one.

# %% tags=["remove-input"]
count = sum(weight.numel() for weight in network.parameters())
short, long = (network(torch.zeros(steps, 1, 3).double())[0] for steps in (5, 5000))
plots.say(
    f"The network above has {count:,} weights. With the same {count:,} weights it has just read {len(short)} steps, "
    f"and then {len(long):,} steps."
)

# %% [markdown]
# ## What this means
#
# The state has a fixed size, and there is no other way from the past to the present. A network that is to use
# something it read long ago must **put it into the state, and keep it there**, step after step.
#
# It can only learn to do so if training tells it which early steps mattered. That message has to travel back through
# all the steps in between, from person to person. This is where the trouble will start.
#
# ## What to do
#
# - Does your model have to answer while the sequence is still coming in? Then use `bidirectional=False`, which is the
#   default of `torch.nn.RNN`, `LSTM` and `GRU`.
# - Do you read a long sequence in pieces? Then hand on the state: `output, state = network(piece, state)`.
#
# ??? info "For engineers"
#     The network of this page is Elman's, of 1990, as `torch.nn.RNN` has it:
#
#     $$h_t = \tanh(W x_t + b + U h_{t-1} + c)$$
#
#     with the state $h_t$ as its output. Because $h_t$ is a function of $h_{t-1}$ and $x_t$ alone, $h_{t-1}$ separates
#     past and future: given the state, the earlier inputs have no further influence. An LSTM has the same property
#     for the pair $(h_t, c_t)$: whoever stops and goes on must hand on both.
#
#     The two runs agree exactly here because both make the same additions in the same order. On other hardware, or
#     with other kernels for other lengths, expect a difference of the size of rounding; the claim allows for
#     $10^{-12}$.
#
#     Replaced inputs: $x_t \to -x_t$ from step 60 on. Ten steps of a bidirectional layer are enough to see that its
#     influence also fades with the distance, here backwards in time. Sections 4 to 6 say why.
#
#     - J. L. Elman (1990). Finding Structure in Time. *Cognitive Science* 14(2).
#       [doi:10.1207/s15516709cog1402_1](https://doi.org/10.1207/s15516709cog1402_1)
#     - M. Schuster, K. K. Paliwal (1997). Bidirectional Recurrent Neural Networks. *IEEE Transactions on Signal
#       Processing* 45(11). [doi:10.1109/78.650093](https://doi.org/10.1109/78.650093)
#
# ## Reproduce it
#
# ```bash
# rnnvanish claims --section 1
# ```
#
# Next: [2. What a gradient says](gradients.py)
