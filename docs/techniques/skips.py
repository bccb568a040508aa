# ---
# description: Shortcuts between layers help depth, not memory. Shortcuts through time help memory.
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 16. Skip connections
#
# A tower block has a lift. It takes you from floor to floor in no time. But it does not take you to the next street:
# for that you need a bus.
#
# A *skip connection* is a shortcut in a network. Most often it leads from layer to layer, like a lift. Does it help with
# memory? Memory lies along the street: from one moment to the next.
#
# Our row of people stands along the street. To help them, a shortcut must lead along the row. Each person calls not only
# to the next one, but also over the heads of some others.
#
# ![A row in which each also calls over the heads of two others](../assets/drawings/shortcut.svg)
#
# ## Predict first
#
# We put four plain layers on top of each other and add shortcuts between them. How long does the gradient last, over time?
#
# 1. Much longer.
# 2. As long as before.
#
# ??? question "Show the answer"
#     As long as before. The shortcuts help from layer to layer. Over time nothing has changed.
#
# ## The lift and the bus
#
# Four layers without shortcuts, and with shortcuts from layer to layer. Beside them a single layer with a shortcut through
# time. How much of the gradient is left? Draw a shortcut yourself: up, from floor to floor, or along the street.

# %% [markdown]
# <rv-shortcut id="shortcut" markdown>

# %% tags=["remove-input"] alt="Line chart, logarithmic axis in words: gradient that is left against steps back in time. Four layers with and without shortcuts between them fall together, steeply. One layer with a shortcut through time loses nothing, and even gains a little."
import matplotlib.pyplot as plt

from rnnvanish import plots
from rnnvanish.experiments import skips
from rnnvanish.experiments.direct import direct
from rnnvanish.experiments.workbench import curve

plots.retention(
    {
        "four layers": curve(skips.layered(), seed=0),
        "with shortcuts": curve(skips.layered("residual"), seed=0),
        "through time": curve(skips.through_time(), seed=0),
    }
)
plt.show()

# %% tags=["remove-input"]
four, lifts = (curve(skips.layered(skip), seed=0).half_life for skip in (None, "residual"))
plots.say(
    f"In four layers half of the gradient is gone after {four:.1f} steps; with shortcuts from layer to layer, after {lifts:.1f}. "
    "With a shortcut through time it is not gone after a hundred."
)

# %% [markdown]
# Where your browser runs scripts, a smaller network stands here, of 24 units: the same kind, another draw.
#
# </rv-shortcut>
#
# [Lifts everywhere](#shortcut.lifts=yes&shortcut.leap=0) make eight times as many ways, and more gets down to the ground floor.
# Along the street nothing has changed: the half-life is as before. [One bus](#shortcut.lifts=no&shortcut.leap=10) does what a
# hundred lifts cannot.

# %% tags=["remove-input"]
skips.between_layers_helps_time.show()

# %% tags=["remove-input"]
skips.between_layers_helps_depth.show()

# %% [markdown]
# ## Through time
#
# Now the shortcut leads from a state to the one ten steps later.

# %% tags=["remove-input"]
skips.through_time_helps_time.show()

# %% [markdown]
# How can more arrive than set out? Each person now hears two whispers: one from the neighbour, and one from over the heads
# of others. The two add up. Where the sum is louder than what was said, it gets louder from leap to leap.

# %% tags=["remove-input"]
both, leaps = (curve(build, seed=0).gain for build in (skips.through_time(), direct(skips.through_time())))
plots.say(
    f"We can cut the whispers from neighbour to neighbour, and leave the shortcut alone. Then {plots.one_in(float(leaps[100]))} "
    f"is left a hundred steps back: ten leaps, and each passes on nine tenths. With both it is "
    f"{plots.one_in(float(both[100]))}. With a smaller part of the old state in the shortcut, less arrives: drag it below."
)

# %% tags=["remove-input"]
skips.through_time_learns.show()

# %% [markdown]
# ## Only every eighth, and slow clocks
#
# A row of people can also be made shorter. Let each hand the note to the one eight places on. Or let some be slow: they listen
# once an hour, and keep what they heard until then.

# %% tags=["remove-input"]
skips.dilation_multiplies.show()

# %% tags=["remove-input"]
skips.slow_clocks_remember.show()

# %% [markdown]
# ## Drag it
#
# How much of the old state goes through the shortcut? At 0 there is none.

# %% tags=["remove-input"]
weights = [0, 0.25, 0.5, 0.75, 0.9, 1.0]
curves = [curve(skips.through_time(weight=weight), seed=0) for weight in weights]
plots.slider(
    id="weight",
    label="Shortcut",
    unit="of the old state",
    values=weights,
    x=range(101),
    xlabel="steps back",
    ylabel="gradient that is left",
    series={"shortcut over 10 steps": [kept.gain.tolist() for kept in curves]},
    says=[f"A hundred steps back, {plots.one_in(float(kept.gain[100]))} of the gradient is left." for kept in curves],
)

# %% [markdown]
# ## What this means
#
# **Ask which way a shortcut leads.** Between layers it helps networks with many layers. For memory it has to lead through
# time.
#
# ## What to do
#
# - For long memories: `mitigations.SkipThroughTime(lag=10)(model)`.
# - With a weight near 1, states add up over time and can grow. A weight below 1 keeps them in bounds.
#
# ??? info "For engineers"
#     Between layers: `Recurrent(..., num_layers=4, skip="residual")`, gradient of the lowest layer. Through time:
#     $h_t \leftarrow f(x_t, h_{t-1}) + a\, h_{t-k}$ with $k = 10$, $a = 0.9$: a way back of $T/k$ factors $a$ beside the
#     ordinary one. Measured is the whole state, and the last ten outputs are parts of it. A hundred steps back the gain is
#     9 to 41 at a weight of 0.9 (ten draws), about 1 at 0.5, and 1 in 100 at 0.3. Training: 32 units, Adam, rate 0.003,
#     batches of 32, gradient clipped at 1, a bit 30 steps back.
#
#     - S. Zhang et al. (2016). Architectural Complexity Measures of Recurrent Neural Networks. *NeurIPS*.
#       [arXiv:1602.08210](https://arxiv.org/abs/1602.08210)
#     - T. Lin, B. G. Horne, P. Tiňo, C. L. Giles (1996). Learning Long-Term Dependencies in NARX Recurrent Neural
#       Networks. *IEEE Transactions on Neural Networks* 7(6). [doi:10.1109/72.548162](https://doi.org/10.1109/72.548162)
#
# ## Reproduce it
#
# ```bash
# rnnvanish claims --section 16
# ```
#
# Before: [15. Activation functions](activations.py). Next: [17. LSTM](lstm.py)
