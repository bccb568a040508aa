# ---
# description: Transformers, state space models, xLSTM, unitary networks. Who got rid of vanishing gradients, and what do they pay?
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Where the field stands
#
# People stand in a row and pass a note on. Each reads it, writes it anew, and hands it over. After a hundred hands
# little is left of what the first one wrote. That was the trouble.
#
# There are other rows. In one, all have a telephone. In another, the note stays in its envelope. In a third, nobody
# writes at all: the note is only turned round. And some ask no more than the last ten.
#
# ![Four other rows of people](../assets/drawings/rows.svg)
#
# These are the networks of today. For each we ask two things. Does the gradient live? And what is the price?
#
# ## Predict first
#
# A transformer has twelve layers. What happens to its gradient if we take its shortcuts away?
#
# 1. Little. It has attention.
# 2. It vanishes.
#
# ??? question "Show the answer"
#     It vanishes. Not through time this time, but through the layers.
#
# ## Six rows

# %% [markdown]
# <rv-field id="field" markdown>

# %% tags=["hide-input"] alt="Line chart, logarithmic axis in words: gradient that is left against steps back in time. An LSTM as PyTorch draws it and a minimal GRU fall steeply, side by side. A state space model falls a little, a unitary network not at all."
import matplotlib.pyplot as plt

from rnnvanish import cells, plots
from rnnvanish.experiments import linear, newer_cells, transformers, truncation
from rnnvanish.experiments.workbench import curve

kept = {
    "LSTM": curve(linear.layer(cells.LSTM), seed=0),
    "minimal GRU": curve(linear.diagonal("MinGRU"), seed=0),
    "state space (S4D)": curve(linear.diagonal("S4D"), seed=0),
    "unitary": curve(linear.layer(cells.URNN), seed=0),
}
plots.retention(kept)
plt.show()

# %% tags=["remove-input"]
from rnnvanish.mitigations import OpenGate

opened = curve(lambda: OpenGate(3.0)(linear.layer(cells.LSTM)()), seed=0)
shown = {
    "LSTM": kept["LSTM"].gain,
    "minimal GRU": kept["minimal GRU"].gain,
    "state space network": kept["state space (S4D)"].gain,
    "unitary network": kept["unitary"].gain,
    "transformer": transformers.gradient(0),
    "LSTM with open gates": opened.gain,
}
gains = {name: gain.tolist() for name, gain in shown.items()}
back = (1, 2, 5, 10, 20, 30, 40, 50, 60, 70, 80, 90, 99)
plots.embed(
    {
        "names": list(gains),
        "left": {steps: [gain[steps] / gain[1] for gain in gains.values()] for steps in back},
        "work": {steps: [transformers.work(steps), transformers.work(steps, recurrent=True)] for steps in back},
    }
)

# %% [markdown]
# </rv-field>
#
# All are drawn as their authors or PyTorch draw them, and none is trained. They differ in how the note is handed on. In a
# transformer no note is: its bar is the gradient by what was read at each step, where the others' is by their state.
# [Two steps back](#field.back=2) they differ little. [Fifty back](#field.back=50), two of them have next to nothing left.
#
# ## Everybody has a telephone: transformers
#
# Give each in the row a telephone. The last one calls the first and asks. Nobody in between has to pass anything on.
# This is [attention](../techniques/attention.py). A **transformer** has nothing else: no note goes from step to step.

# %% tags=["remove-input"]
transformers.no_vanishing_over_distance.show()

# %% [markdown]
# So it escaped. And since no step waits for the one before, all steps of a text can be worked out at once. That makes
# training fast, and is the main reason why transformers won.
#
# But they have many layers, one above the other. That is a row of its own, from the top floor down to the street. What
# keeps the gradient there are [shortcuts](../techniques/skips.py) past each layer.

# %% tags=["remove-input"]
transformers.free_of_vanishing.show()

# %% [markdown]
# Then there is the telephone bill. Who comes late in a long row has many to call.

# %% tags=["remove-input"]
counts = "\n".join(
    f"| {past} | {transformers.work(past):,} | {transformers.work(past, recurrent=True):,} |"
    for past in (100, 400, 1600, 6400)
)
plots.say(f"| words before | work for the next one, attention | LSTM |\n|---|---|---|\n{counts}")

# %% tags=["remove-input"]
transformers.next_word_is_as_cheap.show()

# %% [markdown]
# ## The note stays in its envelope: linear recurrences
#
# Now nobody opens the note. Each hands the envelope on and puts a slip of paper of their own into it. What is inside
# fades a little with each hand, by an amount that is known beforehand.
#
# **State space models** (S4, Mamba) and **linear recurrent networks** work like this. A number of the state is made a
# little smaller at each step, and that is all. There is no matrix and no bend. Drawn with care, that "little" is small.

# %% tags=["remove-input"]
linear.kept_by_design.show()

# %% [markdown]
# The word "linear" does not do it, though. The care does.

# %% tags=["remove-input"]
linear.linear_does_not_forget.show()

# %% [markdown]
# There is more to a closed letter. In a knockout a thousand players need ten rounds, since many play at the same time.
# Linear steps can be worked out in this way, all of a long text at once. Nobody waits for a thousand others.

# %% tags=["remove-input"]
linear.one_after_another.show()

# %% [markdown]
# And there is a price that few speak of. Think of a swing that hardly slows down. Oil it the least bit more, and after
# a thousand swings it is somewhere else. A memory that hardly fades is like this. It is called the *curse of memory*.

# %% tags=["remove-input"]
rows = "\n".join(
    f"| {decay} | {linear.sensitivity(0, decay):.0f} | {linear.sensitivity(0, decay, safe=True):.1f} |"
    for decay in (0.9, 0.99, 0.999)
)
plots.say(f"| kept at each step | change for a small nudge | as an LRU learns it |\n|---|---|---|\n{rows}")

# %% tags=["remove-input"]
linear.long_is_as_easy_as_short.show()

# %% [markdown]
# ## Fewer hands at the door: xLSTM and minimal gates
#
# A gate is a door. How wide it stands open decides what goes through. An LSTM has three doors. Some newer cells have
# one. In xLSTM, a door can let in more than all that was there before: its gate is an *exponential*.
#
# The number of doors is not what counts, and neither is their kind. What counts is how they stand on the first morning.

# %% tags=["remove-input"]
newer_cells.one_gate_forgets_sooner.show()

# %% tags=["remove-input"]
newer_cells.exponential_gates_remember.show()

# %% [markdown]
# ## The note is only turned: unitary networks and oscillators
#
# Turn a photograph by a few degrees. Nothing is lost, and it can be turned back. A **unitary** network does nothing
# else with its state.

# %% tags=["remove-input"]
newer_cells.unitary_keeps.show()

# %% [markdown]
# A swing goes back and forth and keeps what it was given. **Oscillator networks** are made of such swings, and others
# (LEM) of parts that move at many speeds. How much they keep hangs on one number: how far they move in a step.

# %% tags=["remove-input"]
newer_cells.oscillators_keep.show()

# %% [markdown]
# ## Only the last ten are asked: truncated training
#
# Whoever has a very long row may not want to go through all of it. So one asks the last ten, and stops. Every network
# that learns from long texts in pieces does that. It saves memory and time.
#
# What does it cost? Think of a poll that asks in one street only. Ask ten people there or ten thousand: you will not
# learn what the rest of the town thinks.

# %% tags=["remove-input"]
truncation.error_averages_out.show()

# %% tags=["remove-input"]
truncation.window_loses_nothing.show()

# %% [markdown]
# ## What this means
#
# **The gradient can be kept. There are several ways, and each has its price.** A transformer pays with work for each
# word. A linear network pays with what one step can do, and with memories that are hard to tune. A unitary one keeps
# all, wanted or not. And nearly everywhere the first weights decide more than the name of the network does.
#
# ## What to do
#
# - Short of memory or power, and a long stream? Try a linear recurrence: `Recurrent(cells.LRU, 8, 64, r_min=0.9)`.
# - Whatever you take, measure its half-life before you train. A famous name is no open gate.
# - If you train in pieces, make them longer than what has to be remembered. Or cut at random places.
#
# ??? info "For engineers"
#     Transformer: causal, pre-norm, `nn.MultiheadAttention`, GELU, width 16, 201 positions; $\partial (y_T \cdot v) / \partial x_s$ with a
#     random unit $v$. Without residuals each layer averages over the past, so that products of averaging matrices gather the
#     gradient at the first position; the representations collapse to rank one (Dong et al.). Work is counted in
#     floating-point operations by torch's own counter, for one query against cached keys and values. Linear recurrences: $s_t =
#     \lambda s_{t-1} + \sqrt{1-\lambda^2}\,x_t$ has unit variance and $\mathrm{E}[(\partial s / \partial \lambda)^2] =
#     (1 + \lambda^2) / (1 - \lambda^2)^2$ with the normaliser held fixed; by $\nu$ with $\lambda = e^{-e^\nu}$ it stays bounded. Half-lives
#     are of the whole state, in double precision, over 100 steps of white noise.
#     Rounds: the pairwise form of the associative scan, and `Recurrent` itself takes many steps at once where a cell allows it.
#     What a diagonal linear recurrence cannot do in one layer is to track states (parity, permutations): see Merrill et al.
#
#     - A. Vaswani et al. (2017). Attention Is All You Need. *NeurIPS*. [arXiv:1706.03762](https://arxiv.org/abs/1706.03762)
#     - Y. Dong, J.-B. Cordonnier, A. Loukas (2021). Attention is not all you need: pure attention loses rank doubly
#       exponentially with depth. *ICML*. [arXiv:2103.03404](https://arxiv.org/abs/2103.03404)
#     - A. Orvieto et al. (2023). Resurrecting Recurrent Neural Networks for Long Sequences. *ICML*.
#       [arXiv:2303.06349](https://arxiv.org/abs/2303.06349)
#     - N. Zucchet, A. Orvieto (2024). Recurrent neural networks: vanishing and exploding gradients are not the end of the
#       story. *NeurIPS*. [arXiv:2405.21064](https://arxiv.org/abs/2405.21064)
#     - W. Merrill, J. Petty, A. Sabharwal (2024). The Illusion of State in State-Space Models. *ICML*.
#       [arXiv:2404.08819](https://arxiv.org/abs/2404.08819)
#     - C. Tallec, Y. Ollivier (2017). Unbiasing Truncated Backpropagation Through Time.
#       [arXiv:1705.08209](https://arxiv.org/abs/1705.08209)
#
# ## Reproduce it
#
# ```bash
# rnnvanish claims --section 24
# ```
#
# Before: [What lies beyond](beyond.py). Next: [On real data](real.py)
