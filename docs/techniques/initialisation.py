# ---
# description: A better start makes the gradient last, for free. Some starts are steadier than others, and none lasts for ever.
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 13. The first weights
#
# Somebody has left the volume knob of a loudspeaker at a low setting. The message passes through a hundred such
# loudspeakers in a row. Nothing is broken. But at the end nobody hears a word. Turn each knob to "as loud as it came in",
# and the message arrives.
#
# The first weights of a network are such knobs. Before training, they are drawn at random. How large they are drawn
# decides how far the gradient reaches. In our row of people: tell everybody beforehand how loudly to whisper.
#
# ![The same row with two starts](../assets/drawings/start.svg)
#
# ## Predict first
#
# PyTorch draws the weights of a plain network in its own way. Glorot's rule, also called Xavier, draws them larger. What
# does this do to the half-life of the gradient?
#
# 1. Almost nothing.
# 2. It becomes several times as long.
# 3. It becomes shorter.
#
# ??? question "Show the answer"
#     The second. It costs nothing, and the gradient lasts several times as long.
#
# ## Four starts
#
# Four plain networks. Nothing is different but their first weights. *Default* is as PyTorch draws them. *Keras* is other
# software, and draws orthogonal weights by itself. How much of the gradient is left?

# %% tags=["hide-input"] alt="Line chart, logarithmic axis in words: gradient that is left against steps back in time, for four starts of a plain network. The default start falls steeply. Keras, Glorot and orthogonal fall far more gently."
import matplotlib.pyplot as plt

from rnnvanish import plots
from rnnvanish.experiments import initialisation
from rnnvanish.experiments.workbench import curve

curves = {start: curve(initialisation.layer(start), seed=0) for start in initialisation.STARTS}
plots.retention(curves)
plt.show()

# %% tags=["remove-input"]
plots.say(
    "Half of the gradient is gone after "
    + ", ".join(f"{kept.half_life:.1f} steps ({start})" for start, kept in curves.items())
    + "."
)

# %% tags=["remove-input"]
rows = []
for start in curves:
    kept = [curve(initialisation.layer(start), seed=0, volume=volume) for volume in initialisation.VOLUMES]
    rows.append(f"| {start} | " + " | ".join(plots.one_in(float(each.gain[100])) for each in kept) + " |")
heads = [f"{volume:g} times as loud" if volume != 1 else "as usual" for volume in initialisation.VOLUMES]
plots.say(
    "How loud the inputs are matters as well. Loud ones drive tanh to its flat ends. This is left 100 steps back:\n\n"
    f"| start | {' | '.join(heads)} |\n|---|" + "---|" * len(heads) + "\n" + "\n".join(rows)
)

# %% tags=["remove-input"]
initialisation.glorot_keeps_gradients.show()

# %% [markdown]
# ## Drag it
#
# Orthogonal weights turn the state, and neither shrink nor stretch it. Make them smaller or larger, for all hundred
# loudspeakers at once: [a little louder](#volume.scale=1.2), for instance.
#
# <rv-volume id="volume" markdown>

# %% tags=["remove-input"]
import math

scales = [0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2, 1.4]
scaled = [curve(initialisation.layer("orthogonal", scale=scale), seed=0) for scale in scales]
rows = [f"| {scale:g} | {plots.one_in(float(kept.gain[100]))} |" for scale, kept in zip(scales, scaled, strict=True)]
plots.say("| times orthogonal | is left a hundred steps back |\n|---|---|\n" + "\n".join(rows))

# %% [markdown]
# </rv-volume>

# %% [markdown]
# Why is 1.0 too quiet? Because there is more in the way than the weights. Each state also passes through tanh, and tanh
# takes a little at every step ([section 6](../problem/vanishing.py) measures how much). So the knob must stand a little
# above "as loud as it came in".

# %% tags=["remove-input"]
loudness = {scale: float(kept.gain[100]) for scale, kept in zip(scales, scaled, strict=True)}
best = min(loudness, key=lambda scale: abs(math.log(loudness[scale])))
plots.say(
    f"Of these settings {best:g} comes closest: a hundred steps back, {plots.one_in(loudness[best])} of the gradient is "
    f"left. At 1.0 it is {plots.one_in(loudness[1.0])}. The right place hangs on how loud the input is."
)

# %% [markdown]
# ## Luck of the draw
#
# Weights are drawn at random. How much does it matter which ones come up?

# %% tags=["remove-input"]
initialisation.any_draw_is_as_good.show()

# %% [markdown]
# ## Does it learn?
#
# The network sees one sign, plus or minus. Then it hears 40 steps of noise. Then it is asked for the sign. It
# is a task that wants nothing but memory. Let two starts race, on your own device.
#
# <rv-race id="race" kind="start" markdown>

# %% tags=["remove-input"]
plots.say(
    "Before training, 40 steps back, "
    + ", ".join(
        f"{plots.one_in(float(kept.gain[40]))} of the gradient is left ({start})" for start, kept in curves.items()
    )
    + "."
)

# %% [markdown]
# </rv-race>
#
# That was one draw, at one learning rate. [With 10 steps between](#race.lag=10) both learn it. Now each start is trained at the
# learning rate that suits it best.

# %% tags=["remove-input"]
initialisation.good_start_learns.show()

# %% [markdown]
# ## Only a start
#
# Training changes the weights. Does the reach stay?

# %% tags=["remove-input"]
initialisation.good_start_lasts.show()

# %% [markdown]
# ## A knob that turns itself
#
# There are radios that keep their volume by themselves. *Layer normalisation* does this to a network. At each step it brings all
# numbers to the usual size. Then the size of the weights no longer matters. Is the start no matter either?

# %% tags=["remove-input"]
from rnnvanish.experiments import normalisation

normalisation.ends_vanishing.show()

# %% [markdown]
# ## What this means
#
# **The start decides whether the network can hear the early steps at all.** A good one is free. It is not a promise:
# training goes where the task pulls it.
#
# ## What to do
#
# - Start a plain network orthogonally: `mitigations.OrthogonalStart()(model)`. It is steadier than Glorot's rule.
# - Measure again after training, with `rnnvanish diagnose`.
#
# ??? info "For engineers"
#     64 units, 16 sequences of 101 steps of white noise of variance 1, in double precision. Glorot (uniform) draws input
#     and recurrent weights with variance $2/(n_{in} + n_{out})$; the recurrent matrix then has variance $1/n$ instead of
#     torch's $1/(3n)$, so that its spectral radius is near 1. Its singular values spread from 0 to about 2, which is where the scatter
#     comes from. Those of an orthogonal matrix are all 1. The scatter compared is the standard deviation of the fitted
#     rate (nats per step) over ten draws. Whether the reach lasts: 32 units,
#     Adam, rate 0.003, batches of 32, gradient clipped at 1.
#     Learning is measured in the study `claims` (`rnnvanish sweep claims`): 16, 64 and 256 units, Adam and plain gradient
#     descent, batches of 32, the gradient clipped at a norm of 1, at most 400 steps. Each network has its own best of four
#     rates (0.001 to 0.03; 0.03 to 1 for plain descent), chosen with two seeds; three fresh seeds count. A bit is learnt
#     where 95 % of the answers are right, twice in a row; adding where the loss is a tenth of that of remembering nothing.
#
#     - X. Glorot, Y. Bengio (2010). Understanding the difficulty of training deep feedforward neural networks.
#       *AISTATS*. [PMLR 9](https://proceedings.mlr.press/v9/glorot10a.html)
#     - A. M. Saxe, J. L. McClelland, S. Ganguli (2014). Exact solutions to the nonlinear dynamics of learning in deep
#       linear neural networks. *ICLR*. [arXiv:1312.6120](https://arxiv.org/abs/1312.6120)
#
# ## Reproduce it
#
# ```bash
# rnnvanish claims --section 13
# ```
#
# Before: [12. Depth](../impacts/depth.py). Next: [14. Gradient clipping](clipping.py)
