# ---
# description: Swapping tanh for ReLU alone makes the gradient vanish faster. With a start from the identity, ReLU works.
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 15. Activation functions
#
# Your bicycle is slow, and a friend says: take the wheels of my racing bike. You put them on, and it gets slower. The
# wheels are good. They were made for another frame.
#
# So it is with ReLU, a simple rule: what is below zero becomes zero, the rest stays. It helps in networks with many
# layers. People then advise it for recurrent networks too, in place of tanh.
#
# In our row each note holds many numbers, and each number has a whisper of its own. With ReLU a number is either on, and
# its whisper is passed on whole, or off, and its whisper ends there.
#
# ![Notes whose numbers are on or off](../assets/drawings/numbers.svg)
#
# ## Predict first
#
# We replace tanh by ReLU in a plain recurrent network, and nothing else. What happens to the half-life of the gradient?
#
# 1. It gets longer.
# 2. It stays the same.
# 3. It gets shorter.
#
# ??? question "Show the answer"
#     It gets shorter, unless the inputs are very loud. ReLU switches about half of the units off, and what is off lets
#     nothing through.
#
# ## Swap the part
#
# Tanh, ReLU, and two relatives of ReLU that let a little through below zero. The network and its first weights are the
# same. After how many steps is half of the gradient gone?

# %% [markdown]
# <rv-parts id="parts" markdown>

# %% tags=["remove-input"] alt="Bar chart: half-life of the gradient in steps, with tanh, with ReLU and with its two relatives. The bar of tanh is the longest, about one and a half steps. Those of ReLU and its relatives are shorter, about one step."
import matplotlib.pyplot as plt

from rnnvanish import plots
from rnnvanish.experiments import activations
from rnnvanish.experiments.workbench import curve

kinds = {"tanh": "tanh"} | activations.RECTIFIERS
curves = {name: curve(activations.layer(kind), seed=0) for name, kind in kinds.items()}
fig, ax = plt.subplots(figsize=(6.4, 2.3))
bars = ax.barh(list(curves), [kept.half_life for kept in curves.values()], color=["C0", "C1", "C1", "C1"])
ax.bar_label(bars, fmt="%.1f", padding=4)
ax.set(xlabel="half-life of the gradient, in steps", xlim=(0, 2))
ax.invert_yaxis()
plt.show()

# %% tags=["remove-input"]
half, of_relu = (curves[name].half_life for name in ("tanh", "ReLU"))
plots.say(f"With tanh half of the gradient is gone after {half:.1f} steps, with ReLU after {of_relu:.1f}.")

# %% [markdown]
# Where your browser runs scripts, another draw of such a network stands here, which reads eight numbers at a step.
#
# </rv-parts>
#
# Each row is a unit, lit as far back as the gradient gets. Put in [ReLU](#parts.part=relu&parts.start=torch): it is darker
# sooner. Now change the start, too: [from the identity](#parts.part=relu&parts.start=identity), most rows stay lit for long,
# and go dark one by one. Where a step has [a single number](#parts.part=relu&parts.start=identity&parts.features=1), they go
# dark all at once.

# %% tags=["remove-input"]
activations.rectifiers_vanish_less.show()

# %% [markdown]
# ## The frame for these wheels
#
# Now we also change the start. At first, each unit hands on its own number from step to step as it is. This is called the
# *identity start*.

# %% tags=["remove-input"]
activations.identity_start_lasts.show()

# %% tags=["remove-input"]
activations.relu_learns.show()

# %% [markdown]
# ## How long does it last?
#
# Now the same over a hundred steps. Look at the end of the curve of ReLU from the identity.

# %% tags=["hide-input"] alt="Line chart: gradient that is left, in per cent, against steps back. Tanh and ReLU are at nothing within a few steps. ReLU from the identity stays high for some dozens of steps, then drops to nothing at once."
curves["ReLU from the identity"] = curve(activations.layer("relu", identity=True), seed=0)
fig, ax = plt.subplots(figsize=(4.6, 2.8))
for name, lag, style in (("tanh", 2, "--"), ("ReLU", 1, ":"), ("ReLU from the identity", 30, "-")):
    left = [100 * each for each in curves[name].gain.tolist()]
    (line,) = ax.plot(left, style)
    ax.annotate(name, (lag, left[lag]), (8, 5), textcoords="offset points", color=line.get_color())
ax.set(xlabel="steps back", title="gradient that is left, in per cent", ylim=(-3, 110))
plt.show()

# %% [markdown]
# As long as all units are on, nothing is lost. But each unit is pushed to and fro by the noise, and sooner or later it is
# off for a moment. Then its whisper ends.

# %% tags=["remove-input"]
activations.identity_start_lasts_for_ever.show()

# %% tags=["remove-input"]
rows = []
for features in activations.FEATURES:
    for name, kind in activations.RECTIFIERS.items():
        near, far = (plots.one_in(activations.left(0, lag, kind, features=features)) for lag in (20, 100))
        rows.append(f"| {features} | {name} | {near} | {far} |")
plots.say(
    "| numbers read at a step | from the identity | left after 20 steps | after 100 |\n|---|---|---|---|\n"
    + "\n".join(rows)
)

# %% [markdown]
# ## What this means
#
# **A swap to ReLU by itself is seldom a remedy. ReLU with a start made for it is one**, as long as its units stay on. The same goes for
# its relatives with a small slope below zero.
#
# ## What to do
#
# - Do not just swap. If you want ReLU, start from the identity: `mitigations.Identity()(model)`.
# - Clip as well. If the weights stretch but a little, such a network explodes: see [section 14](clipping.py).
#
# ??? info "For engineers"
#     The slope of ReLU is 0 or 1. With torch's draw about half of the units are off, so that a step back multiplies the
#     squared gradient by about half of what tanh near zero does. Le, Jaitly & Hinton (IRNN) set $U = I$, $b = 0$. On white
#     noise each unit then does a random walk that is stopped at zero; when a unit is at zero its path is cut. Of walks
#     that never touched zero in $T$ steps there are about $1/\sqrt{\pi T}$, so that the gain falls like $T^{-1/4}$: slowly.
#     With one feature there are but two walks, one for each sign of the input weight, and both are cut soon. The gain
#     is the geometric mean over 16 sequences, and exactly zero as soon as every path of one sequence is cut. Counted from
#     the end of 101 steps most units that are on have been on for long; from the first step of 21 about two fifths is
#     left. With torch's own draw, He's start for ReLU ($2/n$) has a half-life of 7 to 25 steps where the plain swap has one. The rate fitted to the part before
#     would hide this, so these claims read the gain itself.
#
#     Learning is measured in the study `claims` (`rnnvanish sweep claims`): 16, 64 and 256 units, Adam and plain gradient
#     descent, batches of 32, the gradient clipped at a norm of 1, at most 400 steps. Each network has its own best of four
#     rates (0.001 to 0.03; 0.03 to 1 for plain descent), chosen with two seeds; three fresh seeds count. A bit is learnt
#     where 95 % of the answers are right, twice in a row; adding where the loss is a tenth of that of remembering nothing.
#
#     - Q. V. Le, N. Jaitly, G. E. Hinton (2015). A Simple Way to Initialize Recurrent Networks of Rectified Linear
#       Units. [arXiv:1504.00941](https://arxiv.org/abs/1504.00941)
#
# ## Reproduce it
#
# ```bash
# rnnvanish claims --section 15
# ```
#
# Before: [14. Gradient clipping](clipping.py). Next: [16. Skip connections](skips.py)
