# ---
# description: Factors compound, like copies of copies. What makes a factor small is slope times weights, not squashing.
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 5. Copies of copies
#
# Put a page on a photocopier and make a copy that is a little paler than the page. Now copy the copy. And copy that.
# After ten rounds you can hardly read it. After fifty the paper is white.
#
# No single copy was bad. It is the **repeating** that does it: nine tenths of nine tenths of nine tenths. And if the
# copier made each copy a little darker instead, the paper would end up black.
#
# ![Copies of copies of a page](../assets/drawings/copies.svg)
#
# In our row, each person whispers a copy of what they have heard. So on its way back through a recurrent network the
# gradient is copied at every step. Is it a little paler each time? And what sets the dial of the copier?
#
# ## Predict first
#
# The usual answer is: *the network uses tanh or sigmoid. They squash every output into a small range, so the gradient
# shrinks at each step.*
#
# Here is a network that squashes every output with tanh. Its weights stretch the state by one and a half times at each
# step. What happens to its gradient?
#
# 1. It shrinks. Everything is squashed, after all.
# 2. It grows.
#
# ??? question "Show the answer"
#     It grows. Squashing the output is not what counts. What counts is how *steep* the squashing curve is where the
#     network uses it, times how much the weights stretch.
#
# ## Copy it yourself
#
# A picture, its first copy, and a copy of a copy of a copy. The copier is a network: each copy is as pale or as dark as one
# step back makes its gradient. For the moment it does no squashing.

# %% [markdown]
# <rv-copier id="copier" markdown>

# %% tags=["remove-input"]
from rnnvanish import plots
from rnnvanish.experiments import multiplication

pale, dark = (multiplication.curve("linear", gain).gain for gain in (0.95, 1.05))
plots.say(
    f"Weights that stretch 0.95 times leave {100 * pale[1]:.0f} % of the gradient after one copy, and {100 * pale[49]:.0f} % after "
    f"49. Weights that stretch 1.05 times leave {100 * dark[1]:.0f} % after one, and {dark[49]:.0f} times as much after 49."
)

# %% [markdown]
# </rv-copier>
#
# Can you tell [0.95](#copier.gain=0.95&copier.copies=1) from [1.05](#copier.gain=1.05&copier.copies=1) in the first copy?
# After fifty, [one is white](#copier.gain=0.95&copier.copies=50) and [the other black](#copier.gain=1.05&copier.copies=50).
#
# ## It does compound
#
# First the copier in its purest form: no squashing at all, and weights that make every state nine tenths as long. By
# the rule of copies, 0.9 × 0.9 × 0.9 … of the gradient must be left.

# %% tags=["hide-input"]
curve = multiplication.curve("linear", gain=0.9)
for lag in (1, 2, 10, 49):
    left = float(curve.gain[lag])
    print(f"{lag:2} steps back: {left:.6f}; 0.9^{lag} is {0.9**lag:.6f}")

# %% tags=["remove-input"]
multiplication.factors_compound.show()

# %% [markdown]
# ## It is not the squashing
#
# Two curves are in common use. Both squash. But look at how steep they are.

# %% tags=["hide-input"] alt="Two line charts side by side. Left, the output: tanh runs from minus one to one, sigmoid from zero to one. Right, the slope: tanh reaches one in the middle, sigmoid only a quarter; both fall to zero at the sides."
import matplotlib.pyplot as plt
import torch

inputs = torch.linspace(-5, 5, 1001, dtype=torch.float64, requires_grad=True)
curves = {"tanh": torch.tanh, "sigmoid": torch.sigmoid}
outputs = {name: curve(inputs) for name, curve in curves.items()}
slopes = {name: torch.autograd.grad(output.sum(), inputs)[0] for name, output in outputs.items()}

fig, (left, right) = plt.subplots(ncols=2)
for name in curves:
    left.plot(inputs.detach(), outputs[name].detach())
    right.plot(inputs.detach(), slopes[name])
left.annotate("tanh", (-0.6, -0.75), color="C0")
left.annotate("sigmoid", (-4.9, 0.4), color="C1")
right.annotate("tanh", (0.9, 0.75), color="C0")
right.annotate("sigmoid", (1.7, 0.2), color="C1")
left.set(xlabel="input", title="output")
right.set(xlabel="input", title="slope")
plt.show()

# %% tags=["remove-input"]
from rnnvanish.numerals import in_words

plots.say(
    f"The output of tanh lies between {outputs['tanh'].min():.2g} and {outputs['tanh'].max():.2g}, not between 0 and 1 "
    f"as one often reads. In its middle its slope is {slopes['tanh'].max():.3g}: there it takes nothing away. The slope of "
    f"sigmoid is {slopes['sigmoid'].max():.3g} at most: each step takes at least three quarters, unless the weights make "
    "up for it."
)

# %% tags=["remove-input"]
multiplication.squashing_is_the_reason.show()

# %% [markdown]
# ## What it is
#
# Each step back does two things to the gradient. It multiplies it by the **slope** of the squashing curve, and by the
# **weights**. If slope times weights is below one, the gradient shrinks; above one, it grows. So we can predict what a
# step does from the states alone, without computing a single gradient. Then we measure.
#
# The network hears inputs a hundred times quieter than usual here. So the weights decide where on the curve it works, and
# not the noise. Loud inputs push tanh to its flat sides.

# %% tags=["hide-input"] alt="Dot chart: factor by which one step multiplies the gradient, for nine networks: no squashing, tanh and sigmoid, each with weights that stretch 0.9, 1.5 and 4 times. The predicted and the measured mark lie on top of each other or close together in every row. Without squashing the factors are 0.9, 1.5 and 4. With tanh they lie between 0.8 and 1.6, with sigmoid below 0.7."
networks = [(kind, gain) for kind in ("linear", "tanh", "sigmoid") for gain in (0.9, 1.5, 4.0)]
fig, ax = plt.subplots(figsize=(4.6, 3.9))
for words, mark, factor in (
    ("predicted", "o", multiplication.slope_times_weights),
    ("measured", "x", multiplication.factor),
):
    ax.plot(
        [factor(*network) for network in networks],
        range(len(networks)),
        mark,
        label=words,
        markersize=9,
        fillstyle="none",
    )
ax.axvline(1, color="C2", label="keeps its size")
ax.set_yticks(
    range(len(networks)), [f"{'none' if kind == 'linear' else kind}, {gain:g} times" for kind, gain in networks]
)
ax.set(xlabel="what one step multiplies the gradient by", xlim=(0, None))
ax.invert_yaxis()
fig.legend(loc="outside lower center", ncols=3)
plt.show()

# %% tags=["remove-input"]
multiplication.slope_times_weights_decides.show()

# %% [markdown]
# ## Drag it
#
# This is the dial of the copier. Drag it and see what is left of the gradient after twenty copies. The smallest change
# of the dial makes a large difference in the end: that is compounding.

# %% tags=["remove-input"]
gains = [round(0.5 + 0.1 * i, 1) for i in range(12)]
names = {"linear": "no squashing", "tanh": "tanh", "sigmoid": "sigmoid"}
left = {name: [multiplication.curve(kind, gain).gain[:21].tolist() for gain in gains] for kind, name in names.items()}
plots.slider(
    id="gain",
    label="Weights stretch the state",
    unit="times",
    values=gains,
    start=gains.index(0.9),
    x=range(21),
    xlabel="steps back",
    ylabel="gradient that is left",
    series=left,
    says=[
        "Left after 20 steps: "
        + "; ".join(f"{plots.one_in(left[name][i][20])} ({name})" for name in names.values())
        + "."
        for i in range(len(gains))
    ],
)

# %% [markdown]
# ## A row of dominoes
#
# Weights have numbers called *eigenvalues*. They say what happens in the end. If all are below one, everything shrinks
# in the end. But think of dominoes, each a bit taller than the last. Every one only falls, and none gets up. Still, the
# push of a finger brings down a wall. If each unit pushes the next, a small change can grow for a long time first.

# %% tags=["remove-input"]
from rnnvanish.experiments import nonnormal

rows = "\n".join(
    f"| {lag} | {in_words(nonnormal.stretch(nonnormal.network(0), lag))} × | {in_words(nonnormal.stretch(nonnormal.network(0, 0.0), lag))} × |"
    for lag in nonnormal.LAGS
)
plots.say(
    "| steps back | each unit pushes those behind it | none pushes another |\n|---|---|---|\n"
    f"{rows}\n\nThe most that a change can be stretched. All eigenvalues are {nonnormal.BIGGEST}, in both."
)

# %% tags=["remove-input"]
nonnormal.eigenvalues_tell.show()

# %% [markdown]
# ## What this means
#
# The gradient shrinks or grows **exponentially**, because the same kind of factor comes again at every step. A factor
# that is exactly one is rare. So either the early steps are drowned out, or they shout everybody down (*exploding
# gradients*).
#
# And the reason is not that outputs are kept small. It is that slope times weights is below one. The slope hangs on the
# input, too: on this page the inputs are a hundred times quieter than usual, so that tanh is used in its steep middle. This is good news,
# because we can choose the weights that a network starts with.
#
# ## What to do
#
# - Do not replace tanh just because it squashes. In its middle, tanh takes nothing away.
# - Avoid sigmoid as the squashing curve of the *state*. Its slope costs three quarters at each step, at least.
# - Start with recurrent weights that neither stretch nor shrink: `torch.nn.init.orthogonal_(network.weight_hh_l0)`.
#
# ??? info "For engineers"
#     One step back multiplies the gradient by $J_t^\top = U^\top \mathrm{diag}(\varphi'(a_t))$. With
#     $\lVert U \rVert$ the largest singular value and $\varphi' \le \gamma$ (1 for tanh and ReLU, 1/4 for sigmoid),
#
#     $$\lVert J_T \cdots J_{t+1} \rVert \le \left( \gamma \lVert U \rVert \right)^{T-t}$$
#
#     so $\lVert U \rVert < 1/\gamma$ is **sufficient** for the gradient to vanish, and $\lVert U \rVert > 1/\gamma$ is
#     **necessary** for it to explode. Neither is the reverse. And it is the largest *singular value* that counts: a matrix whose
#     eigenvalues all lie below one can make gradients grow first, if it is not normal.
#
#     The page takes $U = g\,Q$ with $Q$ orthogonal, so that all singular values are $g$. Without a nonlinearity the gradient
#     that is left at lag $k$ is $g^k$ exactly. With one, the page predicts the factor of a step as
#     $g \cdot \sqrt{\mathrm{mean}_i\, \varphi'(a_{t,i})^2}$, as if the gradient had no preference among the units. The
#     measured factor is up to a tenth away from it, mostly below: the gradient is not quite independent of the slopes. For other matrices
#     this prediction is poor (a test shows it). Inputs are noise of a hundredth of the usual size, so that the weights
#     decide where on the curve the network works. Loud inputs push tanh to its flat sides, and the same weights then
#     make the gradient vanish (another test). Values of $g$ well above one make the network chaotic.
#
#     - S. Hochreiter (1998). The Vanishing Gradient Problem During Learning Recurrent Neural Nets and Problem
#       Solutions. *International Journal of Uncertainty, Fuzziness and Knowledge-Based Systems* 6(2).
#       [doi:10.1142/S0218488598000094](https://doi.org/10.1142/S0218488598000094). First in his diploma thesis, TU
#       München, 1991.
#     - Y. Bengio, P. Simard, P. Frasconi (1994). Learning Long-Term Dependencies with Gradient Descent is Difficult.
#       *IEEE Transactions on Neural Networks* 5(2). [doi:10.1109/72.279181](https://doi.org/10.1109/72.279181)
#     - R. Pascanu, T. Mikolov, Y. Bengio (2013). On the difficulty of training recurrent neural networks. *ICML*.
#       [arXiv:1211.5063](https://arxiv.org/abs/1211.5063)
#
# ## Reproduce it
#
# ```bash
# rnnvanish claims --section 5
# ```
#
# Before: [4. What adds and what multiplies](emerges.py). Next: [6. The vanishing gradient](vanishing.py)
