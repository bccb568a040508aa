# ---
# description: A network with vanishing gradients is not unstable. It calms every disturbance; explosion is what magnifies it.
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 10. Twins
#
# Roll two balls into a bowl, one a little beside the other. Both end up at the bottom, side by side. Where they started
# makes no difference. Now let both roll down from the top of a hill, again one a little beside the other. One goes left,
# the other goes right.
#
# ![Two balls in a bowl, and on a hill](../assets/drawings/balls.svg)
#
# Or take two rows of people with the same words. In one of them the first note has a spelling mistake. Does anybody at the
# end of the row notice?
#
# A network can be a bowl or a hill. People say that vanishing gradients make a network **unstable**: the smallest change,
# and it predicts something very different. That would be the hill. Let us see which it is.
#
# ## Predict first
#
# Two copies of a network read the same sequence. We nudge the state of one of them at the start, by a billionth. The
# gradients of this network vanish. What becomes of the difference?
#
# 1. It grows, until the two say quite different things.
# 2. It stays as it is.
# 3. It dies away.
#
# ??? question "Show the answer"
#     It dies away. That is what "vanishing" means: what happened early makes no difference later.
#
# ## Nudge it
#
# The copies are twins: the same weights, the same sequence. Only the first state differs. Drag one of them aside, and look
# where both end. Then make the recurrent weights smaller or larger than PyTorch draws them.

# %% [markdown]
# <rv-twins id="twins" markdown>

# %% tags=["remove-input"]
import math
from statistics import median

import torch

from rnnvanish import plots
from rnnvanish.experiments import instability

scales = list(instability.SCALES)
draws = [torch.stack([instability.distance(seed, scale) for seed in range(5)]) for scale in scales]
apart = [torch.where(draw.isnan().any(0), torch.nan, draw.median(0).values) for draw in draws]
gradients = [median(instability.jacobian(seed, scale) for seed in range(5)) for scale in scales]


def told(distance, gradient):
    end = float(distance[-1])
    twins = "cannot be told from rounding any more" if math.isnan(end) else f"is {plots.one_in(end)}"
    return f"Of the nudge, what is left at the end {twins}. Of a gradient on the way back: {plots.one_in(gradient)}."


plots.slider(
    id="weights",
    label="Recurrent weights",
    unit="times those of PyTorch",
    values=scales,
    start=scales.index(1.0),
    x=range(instability.STEPS + 1),
    xlabel="steps",
    ylabel="distance, as a part of the nudge",
    series={"twins": [distance.tolist() for distance in apart]},
    says=[told(distance, gradient) for gradient, distance in zip(gradients, apart, strict=True)],
)

# %% [markdown]
# Each number is the middle of five draws. Where your browser runs scripts, one network of its own stands here.
#
# </rv-twins>
#
# [As PyTorch draws it](#twins.weights=1&twins.nudge=1), the network is a bowl: however far aside one twin begins, after a few
# steps they are the same. Make the weights [four times as large](#twins.weights=4&twins.nudge=0.01), and it is a hill. A
# nudge of a hundredth is enough. The two bars below the twins belong together: where a nudge dies away on its way forward, so
# does a gradient on its way back. Only a twin that [begins far aside](#twins.weights=4&twins.nudge=1) can part no further,
# while the gradient grows on.
#
# Where a bar is hatched, [the twins are so close](#twins.weights=1&twins.nudge=1e-9) that a computer can no longer tell them
# apart. That is *below resolution*. We do not call it zero.

# %% tags=["remove-input"]
instability.vanishing_is_unstable.show()

# %% tags=["remove-input"]
instability.exploding_is_unstable.show()

# %% [markdown]
# ## The same thing twice
#
# A nudge goes forward in time, and a gradient goes back. Both pass through the same steps. So it would be odd if one
# died away and the other grew. Each dot below is a network with other weights.

# %% tags=["hide-input"] alt="Scatter chart with logarithmic axes in words: what is left of a gradient against what is left of a nudge, one dot for each size of the weights. The dots rise together along the diagonal: where the gradient shrinks the nudge shrinks, and where it grows the nudge grows."
import matplotlib.pyplot as plt

dots = [
    (instability.jacobian(seed, scale), float(instability.distance(seed, scale)[-1]))
    for seed in range(3)
    for scale in scales
]
dots = [dot for dot in dots if not math.isnan(dot[1])]
fig, ax = plt.subplots(figsize=(4.6, 3.2))
ax.plot(*zip(*dots, strict=True), "o")
ax.set(xscale="log", yscale="log", xlabel="what is left of a gradient", title="what is left of the nudge")
plots.label_decades(ax)
plots.label_decades(ax, x=True)
plt.show()

# %% tags=["remove-input"]
instability.nudges_match_gradients.show()

# %% [markdown]
# ## And training itself?
#
# One may nudge yet another thing: the weights that training begins with. We train twins on the same examples. Their first
# weights lie a billionth apart. Do they end with other answers?

# %% tags=["remove-input"]
instability.training_is_unstable.show()

# %% [markdown]
# ## What this means
#
# It is the other way round. **A network with vanishing gradients is calm, even too calm**: nothing from the past moves it.
# A network with *exploding* gradients is the unstable one.
#
# So do not cure an unstable model as if its gradients vanished. What makes gradients grow makes it wilder still.
#
# ## What to do
#
# - If your model reacts wildly to small changes, look for *exploding* gradients. `rnnvanish diagnose` says which of the
#   two you have: [Diagnose your model](../diagnose.py).
# - If training jumps about, limit the step: `torch.nn.utils.clip_grad_norm_`.
# - A calm network is not a good one for that reason. It may have forgotten.
#
# ??? info "For engineers"
#     Twins: $h_0 = 0$ and $h_0 = \varepsilon u$ with a random unit vector $u$ and $\varepsilon = 10^{-9}$, the same input
#     $x_t \sim \mathcal{N}(0, 1)$, 64 units, 30 steps, double precision. To first order
#     $h_T' - h_T = \varepsilon J u$ with $J = \partial h_T/\partial h_0$, and backpropagation computes $J^\top g$. Both
#     have $\lVert J \rVert_F/\sqrt{n}$ as their typical size (root mean square over directions), and the same singular values.
#     A distance below $10^{-15}$ cannot be told from the rounding of states of order one: it is left out of the
#     comparison and of the figures, not set to zero. The linear picture ends where the distance becomes of order one: at
#     200 steps and four times the weights a twin is $10^{10}$ times the nudge away, which is the size of the states, while
#     the derivative says $10^{15}$. That the two agree before is the definition of a derivative, to first order. A nudged
#     first input does the same as a nudged state. Twins in training: 32 units, the first of 20 inputs, 40 steps of Adam,
#     in double precision.
#
#     Negative Lyapunov exponents mean contraction and vanishing gradients, positive ones chaos and explosion. Miller
#     and Hardt call a contracting network *stable*, and show that gradient descent on it can be truncated in time.
#     A vanishing state Jacobian says nothing of how the output depends on the *latest* input, or on the weights.
#
#     - R. Pascanu, T. Mikolov, Y. Bengio (2013). On the difficulty of training recurrent neural networks. *ICML*.
#       [arXiv:1211.5063](https://arxiv.org/abs/1211.5063)
#     - T. Laurent, J. von Brecht (2017). A recurrent neural network without chaos. *ICLR*.
#       [arXiv:1612.06212](https://arxiv.org/abs/1612.06212)
#     - J. Miller, M. Hardt (2019). Stable Recurrent Models. *ICLR*. [arXiv:1805.10369](https://arxiv.org/abs/1805.10369)
#
# ## Reproduce it
#
# ```bash
# rnnvanish claims --section 10
# ```
#
# Before: [9. The plateau](plateau.py). Next: [11. Two witnesses](recent.py)
