# ---
# description: Clipping shortens gradients that are too long. It never makes a small one larger.
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 14. Gradient clipping
#
# A dog on a leash can run, but only so far. The leash holds back a dog that pulls. It does nothing for a dog that sleeps:
# no leash ever made a dog walk.
#
# ![A leash shortens what pulls, and lengthens nothing](../assets/drawings/leash.svg)
#
# Gradient clipping is such a leash. A gradient that is longer than the leash is shortened. In our row: whoever shouts is
# told to lower the voice. It does nothing for those whom nobody hears. People often list it as a remedy against gradients
# that vanish *or* explode.
#
# ## Predict first
#
# We clip 2000 gradients, from tiny to huge. How many become larger?
#
# 1. About half of them.
# 2. The tiny ones.
# 3. None.
#
# ??? question "Show the answer"
#     None. Clipping only ever shortens.
#
# ## The leash
#
# A gradient is an arrow: it points where training should go, and its length says how much. Drag the arrow.

# %% [markdown]
# <rv-leash id="leash">
# <p>An arrow of two leashes' length is shortened to one leash, and points where it pointed before. An arrow of 0.3 leashes
# stays as it is. Where each of its two numbers is held by itself, an arrow of two leashes that points 20 degrees upwards is
# shortened to 1.21, and turned by 14 degrees.</p>
# </rv-leash>
#
# [A short arrow](#leash.length=0.3&leash.kind=norm) never moves, however short it is. And a leash
# [on each number](#leash.kind=value&leash.length=2&leash.way=20) does more than shorten: it turns the arrow.
#
# ## What comes out
#
# Each gradient goes in with one size and comes out with another. Both are counted in lengths of the leash.

# %% tags=["hide-input"] alt="Line chart, both axes logarithmic: size of a gradient after clipping against its size before. Up to one the line rises as the size does; from one on it is flat."
import matplotlib.pyplot as plt

from rnnvanish.experiments import clipping

gradients = clipping.gradients(seed=0)
sizes = gradients.norm(dim=1)
order = sizes.argsort()
fig, ax = plt.subplots(figsize=(4.6, 2.8))
ax.loglog(sizes[order], [float(clipping.clip(gradient).norm()) for gradient in gradients[order]])
ax.set(xlabel="gradient before clipping", title="gradient after clipping")
ax.set_xticks([1e-9, 1, 1e9], ["a billionth", "1", "a billion"])
ax.set_yticks([1e-9, 1e-6, 1e-3, 1], ["a billionth", "a millionth", "a thousandth", "1"])
ax.minorticks_off()
plt.show()

# %% tags=["remove-input"]
clipping.clipping_enlarges.show()

# %% tags=["remove-input"]
clipping.clipping_mends_vanishing.show()

# %% [markdown]
# ## What it is good for
#
# Now a network whose gradient grows at every step back. Its first training steps are far too large.

# %% tags=["remove-input"]
clipping.clipping_stops_explosions.show()

# %% [markdown]
# ## Two kinds of leash
#
# One can shorten the gradient as a whole, or cut off each of its numbers by itself.

# %% tags=["remove-input"]
clipping.clipping_keeps_direction.show()

# %% [markdown]
# ## What this means
#
# **Clipping is a remedy against exploding gradients. It makes none longer that vanishes.**
#
# ## What to do
#
# - Keep clipping by the norm switched on: `mitigations.ClipNorm(1.0)`, or `nn.utils.clip_grad_norm_`.
# - Against vanishing gradients, look elsewhere: [the first weights](initialisation.py), [LSTM](lstm.py),
#   [shortcuts through time](skips.py).
#
# ??? info "For engineers"
#     By norm, $g \leftarrow g \min(1, \theta / \lVert g \rVert)$: a factor of at most one. The exploding network is a ReLU
#     network with recurrent weights $1.2\,I$, trained by plain gradient descent for 200 steps at rates from 0.001 to 1. Alive
#     is a training whose loss is finite in the end, and at most 1.5 times that of remembering nothing. That
#     it survives does not mean that it learns: see [Exploding gradients](../beyond/exploding.py).
#     Learning is measured in the study `claims` (`rnnvanish sweep claims`): 16, 64 and 256 units, Adam and plain gradient
#     descent, batches of 32, the gradient clipped at a norm of 1, at most 400 steps. Each network has its own best of four
#     rates (0.001 to 0.03; 0.03 to 1 for plain descent), chosen with two seeds; three fresh seeds count. A bit is learnt
#     where 95 % of the answers are right, twice in a row; adding where the loss is a tenth of that of remembering nothing.
#
#     - J. Zhang, T. He, S. Sra, A. Jadbabaie (2020). Why Gradient Clipping Accelerates Training: A Theoretical
#       Justification for Adaptivity. *ICLR*. [arXiv:1905.11881](https://arxiv.org/abs/1905.11881)
#     - R. Pascanu, T. Mikolov, Y. Bengio (2013). On the difficulty of training recurrent neural networks. *ICML*.
#       [arXiv:1211.5063](https://arxiv.org/abs/1211.5063)
#
# ## Reproduce it
#
# ```bash
# rnnvanish claims --section 14
# ```
#
# Before: [13. The first weights](initialisation.py). Next: [15. Activation functions](activations.py)
