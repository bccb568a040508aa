# ---
# description: Gradients can also explode. Clipping keeps training alive; up to about twice the network learns.
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Exploding gradients
#
# Put a microphone in front of its own loudspeaker. A whisper comes out a little louder, goes in again, comes out louder
# still. A moment later it howls.
#
# In our row of people: each says it a little louder than they have heard it.
#
# ![A whisper that grows along the row](../assets/drawings/howl.svg)
#
# A gradient can do the same. If each step back makes it a little larger, a hundred steps make it enormous. Many
# explanations speak of the gradient that vanishes and forget this one.
#
# ## Predict first
#
# Which of the two troubles does `torch.nn.RNN` have as it comes?
#
# 1. Its gradient explodes.
# 2. Its gradient vanishes.
# 3. Both, it depends on the draw.
#
# ??? question "Show the answer"
#     Its gradient vanishes. So do those of LSTM and GRU as they come. To make it explode, the weights have to be larger.
#
# ## The same knob, turned up
#
# Again we take weights that only turn the state (*orthogonal*). Drag to make them smaller or larger.

# %% tags=["remove-input"]
from rnnvanish import plots
from rnnvanish.experiments import exploding
from rnnvanish.experiments.workbench import curve

curves = [curve(exploding.wild(scale), seed=0) for scale in exploding.SCALES]
plots.slider(
    id="scale",
    label="Recurrent weights",
    unit="times orthogonal",
    values=exploding.SCALES,
    start=exploding.SCALES.index(1.0),
    x=range(101),
    xlabel="steps back",
    ylabel="gradient that is left",
    series={"this network": [kept.gain.tolist() for kept in curves]},
    says=[
        f"A hundred steps back, the gradient is {plots.one_in(gain).replace('much', 'large')}."
        if (gain := float(kept.gain[100])) > 1.05
        else f"A hundred steps back, {plots.one_in(gain)} of the gradient is left."
        for kept in curves
    ],
    still="The figure below has all sizes of the weights at once: what is gained, or lost, over a hundred steps back.",
)

# %% [markdown]
# Between shrinking and growing lies a narrow band in which the gradient keeps its size.

# %% tags=["hide-input"] alt="Line chart: powers of ten that the gradient has grown by a hundred steps back, against the size of the recurrent weights. The line starts far below zero, crosses it between one and two times orthogonal, and ends far above."
import matplotlib.pyplot as plt

fig, ax = plt.subplots(figsize=(4.6, 2.7))
ax.plot(exploding.SCALES, [-kept.decades_lost(100) for kept in curves], marker="o")
ax.axhline(0, color="grey", linewidth=1)
for place, text, up in ((2.5, "explodes", 4), (2.5, "vanishes", -14)):
    ax.annotate(text, (place, 0), (0, up), textcoords="offset points")
ax.set(xlabel="recurrent weights, times orthogonal", title="powers of ten gained in 100 steps back")
plt.show()

# %% tags=["remove-input"]
exploding.gradients_only_vanish.show()

# %% tags=["remove-input"]
exploding.default_explodes.show()

# %% [markdown]
# ## Does clipping cure it?
#
# Let us first hear the howl. A network of ReLUs, whose weights make a gradient a little louder at each step back, is trained to
# remember one bit for 40 steps. We train it twice: as it is, and with [clipping](../techniques/clipping.py).

# %% [markdown]
# <rv-howl id="howl" markdown>

# %% tags=["remove-input"]
import math

import torch
from torch import nn

from rnnvanish.experiments.learning import Reader, teach
from rnnvanish.mitigations import Identity
from rnnvanish.tasks import Recall

task = Recall(41)


def losses(clip):
    def build():
        return Reader(Identity(scale=1.2)(nn.RNN(1, 32, nonlinearity="relu")), task)

    return teach(build, task, 0, 100, 0.01, clip, batch=32, optimizer=torch.optim.SGD, stop=False).losses


free, clipped = losses(None), losses(1.0)
died = next(step for step, loss in enumerate(free, 1) if not math.isfinite(loss))
plots.say(
    f"At each step back the gradient becomes 1.2 times as loud. Not clipped, the loss is no number any more at training step {died}. "
    f"Clipped, training goes on: after 100 steps the loss is {clipped[-1]:.2g}, where guessing has {math.log(2):.2g}."
)

# %% [markdown]
# Where your browser runs scripts, another draw of such a network trains here.
#
# </rv-howl>
#
# [A little louder at each step](#howl.gain=1.2&howl.rate=0.01) is enough: over 40 steps it becomes a thousand times, and a few
# training steps later the loss is *NaN*, no number. Clipped, training goes on. [Louder still](#howl.gain=1.3), and it goes on,
# too, but wildly. Where each step [keeps what it gets](#howl.gain=1), nothing howls.
#
# Clipping keeps training from blowing up. Does the network then learn?

# %% tags=["remove-input"]
exploding.clipping_cures.show()

# %% tags=["remove-input"]
exploding.clipping_learns_what_is_near.show()

# %% [markdown]
# Why only up to there? A network that stretches too much is chaotic. A tiny change of an early state becomes a large change at
# the end. Clipping makes the step shorter. It does not make the direction any better.
#
# ## What this means
#
# **Exploding and vanishing are two ends of one scale.** An exploding gradient is loud: the loss jumps, or is no number at
# all. A vanishing one is silent. That is why the loud one is the easier to notice.
#
# ## What to do
#
# - Clip, so that training survives.
# - Then mend the cause: smaller recurrent weights at [the start](../techniques/initialisation.py), or weights that cannot
#   stretch, with `mitigations.OrthogonalConstraint()`.
#
# ??? info "For engineers"
#     $U = s\,Q$ with $Q$ orthogonal, tanh, 64 units, white noise of variance 1, double precision. Since the slope of tanh is
#     below one the gradient grows only from a scale above one; this critical scale depends on how loud the input is. Beyond
#     it the largest Lyapunov exponent is positive.
#     Learning is measured in the study `claims` (`rnnvanish sweep claims`): 16, 64 and 256 units, Adam and plain gradient
#     descent, batches of 32, the gradient clipped at a norm of 1, at most 400 steps. Each network has its own best of four
#     rates (0.001 to 0.03; 0.03 to 1 for plain descent), chosen with two seeds; three fresh seeds count. A bit is learnt
#     where 95 % of the answers are right, twice in a row; adding where the loss is a tenth of that of remembering nothing.
#
#     - R. Pascanu, T. Mikolov, Y. Bengio (2013). On the difficulty of training recurrent neural networks. *ICML*.
#       [arXiv:1211.5063](https://arxiv.org/abs/1211.5063)
#     - T. Laurent, J. von Brecht (2017). A recurrent neural network without chaos. *ICLR*.
#       [arXiv:1612.06212](https://arxiv.org/abs/1612.06212)
#
# ## Reproduce it
#
# ```bash
# rnnvanish claims --section 20
# ```
#
# Before: [19. Attention](../techniques/attention.py). Next: [What lies beyond](beyond.py)
