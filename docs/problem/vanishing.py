# ---
# description: A recurrent network as PyTorch draws it loses half of its gradient every step or two. The start decides.
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 6. The vanishing gradient
#
# You stand in a long row of people, and somebody at the other end has made a mistake. They whisper to their neighbour
# what should have been done differently. The neighbour whispers it on, a little more quietly. And so on.
#
# The people close by hear it well and do better the next time. You, a hundred people away, hear nothing. You do not hear
# "you did fine". You hear *nothing at all*, and go on as before.
#
# ![A whisper that halves at each person](../assets/drawings/whisper.svg)
#
# That is the vanishing gradient. Sepp Hochreiter, a student in Munich, described it in 1991. Let us measure how far the
# whisper carries.
#
# ## Predict first
#
# We take `torch.nn.RNN` as it comes: a plain network of PyTorch, with its weights as PyTorch draws them, before any
# training. After how many steps back is half of the gradient gone?
#
# 1. After about 50 steps.
# 2. After about 10 steps.
# 3. After one or two steps.
#
# ??? question "Show the answer"
#     After one or two steps. This is called the **half-life** of the gradient. After ten half-lives a thousandth is
#     left, after twenty a millionth.
#
# ## How far it carries

# %% tags=["hide-input"]
import torch
from torch import nn

from rnnvanish import probes

torch.manual_seed(0)
network = nn.RNN(input_size=1, hidden_size=64)
x = torch.randn(101, 16, 1)  # 101 steps, 16 sequences

curve = probes.retention(network, x)["RNN/layer0/forward"]
print(f"half-life: {curve.half_life:.2f} steps")

# %% tags=["remove-input"]
from rnnvanish import plots

rows = [f"| {lag} | {plots.one_in(float(curve.gain[lag]))} |" for lag in (1, 2, 5, 10, 20, 50, 100)]
plots.say("| steps back | what is left of the gradient |\n|---|---|\n" + "\n".join(rows))
plots.say("(10²⁰ is a 1 with twenty zeros.)")

# %% tags=["remove-input"]
from rnnvanish.experiments import vanishing

vanishing.default_network_forgets.show()

# %% [markdown]
# Choose a network, and see how far its gradient gets. The strip is as dark as what arrives: from all of it at the end, on the
# right, to a millionth. Under it stands the same network with twice as many units.

# %% [markdown]
# <rv-strip id="strip" markdown>

# %% tags=["remove-input"]
from rnnvanish.experiments import workbench

one, two = (workbench.curve(workbench.gated(nn.RNN, hidden=units), seed=0) for units in (32, 64))
plots.say(
    f"In a plain network of 32 units, as PyTorch starts it, half of the gradient is lost in {one.half_life:.1f} steps; in one twice "
    f"as wide, in {two.half_life:.1f}. After 100 steps, {plots.one_in(float(one.gain[100]))} is left."
)

# %% [markdown]
# </rv-strip>
#
# ## Do the early steps have a say?
#
# Perhaps a faint whisper is enough? We can test that. We compute the gradient of the weights twice: once from all 101
# steps, and once from the last ten alone, with everything before cut away. Then we look at the angle between
# the two. At 0 degrees they point the same way. At 90 degrees they have nothing in common.

# %% tags=["remove-input"]
vanishing.early_steps_have_no_say.show()

# %% [markdown]
# The two gradients point the same way. As far as learning goes, the first 91 steps might as well not have been there.
#
# ## Is it a law of nature?
#
# No. Now we start the same network with other weights: *orthogonal* ones. They turn the state, but neither
# stretch nor shrink it. First in ink: the less is left of the gradient, the paler the strip.

# %% tags=["hide-input"] alt="Two strips of 101 fields, one for each step back. The darker a field, the more of the gradient is left. With the default start only the first few fields can be seen. With the orthogonal start the strip pales slowly, and can be seen over about forty steps."
import matplotlib.pyplot as plt

from rnnvanish.experiments import vanishing

default, orthogonal = vanishing.curve(0), vanishing.curve(0, "orthogonal")
fig, ax = plt.subplots(figsize=(4.6, 1.5))
for row, kept in enumerate((default, orthogonal)):
    for lag, left in enumerate(kept.gain.clamp(max=1).tolist()):
        ax.barh(row, 1, left=lag, height=0.7, color="C0", alpha=left)
ax.set_yticks([0, 1], ["default", "orthogonal"])
ax.set(xlabel="steps back in time", xlim=(0, 101))
ax.invert_yaxis()
ax.grid(visible=False)
plt.show()

# %% [markdown]
# A strip of ink cannot show how little is left. So the next figure counts: from each line to the one below it, a millionth
# is left.

# %% tags=["hide-input"] alt="Line chart, logarithmic axis in words: gradient that is left against steps back in time. The default start falls steeply and straight. The orthogonal start falls far more gently, and stays above it by many powers of ten."
plots.retention({"default start": default, "orthogonal start": orthogonal})
plt.show()

# %% tags=["remove-input"]
plots.say(
    f"With the default start, the half-life is {default.half_life:.1f} steps, and "
    f"{plots.one_in(float(default.gain[100]))} is left 100 steps back. With the orthogonal start, the half-life is "
    f"{orthogonal.half_life:.1f} steps, and {plots.one_in(float(orthogonal.gain[100]))} is left."
)

# %% tags=["remove-input"]
vanishing.every_plain_network_forgets.show()

# %% [markdown]
# ## As other software draws it
#
# So far, *PyTorch* has drawn the weights: the software of which `torch.nn.RNN` is a part. *Keras* is used as widely, and it
# draws orthogonal weights from the beginning. What is true of the one need not be true of the other:
# [let Keras start the network above](#strip.start=keras). These are the half-lives
# of three kinds of network, the middle of five draws (LSTM and GRU come in sections [17](../techniques/lstm.py) and
# [18](../techniques/gru.py)).

# %% tags=["remove-input"]
from statistics import median

rows = []
for name, kind in (("RNN", nn.RNN), ("LSTM", nn.LSTM), ("GRU", nn.GRU)):
    found = [
        median(workbench.curve(workbench.gated(kind, start), seed).half_life for seed in range(5))
        for start in ("default", "Keras")
    ]
    rows.append(f"| {name} | " + " | ".join(f"{half_life:.1f} steps" for half_life in found) + " |")
plots.say("| network | as PyTorch draws it | as Keras draws it |\n|---|---|---|\n" + "\n".join(rows))

# %% tags=["remove-input"]
vanishing.software_starts_alike.show()

# %% [markdown]
# ## Why not for ever?
#
# These weights take nothing away. So why is not all of it left? Because each step also passes through tanh. In its
# middle tanh is as steep as can be, and passes on all. To the sides it gets flatter ([section 5](multiplication.py)). The
# inputs push the state to and fro, so it is seldom just in the middle. Each step costs a little, and that multiplies.

# %% tags=["remove-input"]
layer, noise = vanishing.network(0, "orthogonal")
slope = float((1 - layer(noise)[0].detach() ** 2).square().mean().sqrt())
plots.say(
    f"In this network tanh passes on {100 * slope:.0f} % at each step, on average. That a hundred times over makes "
    f"{plots.one_in(slope**100)}. Measured was {plots.one_in(float(orthogonal.gain[100]))}."
)

# %% [markdown]
# ## Draw again
#
# Weights are drawn at random. Was it just bad luck? Drag to draw ten networks of each kind.

# %% tags=["remove-input"]
draws = range(10)
drawn = {
    name: [vanishing.curve(seed, start) for seed in draws]
    for name, start in (("default start", "default"), ("orthogonal start", "orthogonal"))
}
spread = " ".join(
    f"From the {name}, half is lost in {min(each.half_life for each in curves):.1f} to "
    f"{max(each.half_life for each in curves):.1f} steps."
    for name, curves in drawn.items()
)
plots.slider(
    id="draw",
    label="Draw",
    values=[seed + 1 for seed in draws],
    x=range(101),
    xlabel="steps back",
    ylabel="gradient that is left",
    series={name: [curve.gain.tolist() for curve in curves] for name, curves in drawn.items()},
    says=[
        " ".join(
            f"{name.capitalize()}: half is lost in {curves[seed].half_life:.1f} steps, and after 100 steps "
            f"{plots.one_in(float(curves[seed].gain[100]))} is left."
            for name, curves in drawn.items()
        )
        for seed in draws
    ],
    still=f"The figure above shows the first of ten draws. {spread}",
)

# %% [markdown]
# ## Would a larger network help?
#
# Perhaps with a larger note? That is, with a wider state, which holds more numbers? Look again at the two strips above:
# [8 units and 16](#strip.units=8), [16 and 32](#strip.units=16), or [32 and 64](#strip.units=32).

# %% tags=["remove-input"]
vanishing.larger_network_forgets_more_slowly.show()

# %% tags=["remove-input"]
narrow, wide = (
    median(workbench.curve(workbench.gated(nn.RNN, "Keras", units), seed).half_life for seed in range(5))
    for units in (16, 128)
)
plots.say(
    "That is so where PyTorch starts it. Where [Keras starts it](#strip.start=keras), a wider network does keep its gradient longer: "
    f"with 16 units half is lost in {narrow:.1f} steps, with 128 in {wide:.1f} (the middle of five draws). "
    "In both, the more units there are, the more quietly each hears the input, and the nearer tanh stays to its steep middle. "
    "But PyTorch's recurrent weights shrink the gradient all the same, and those of Keras only turn it."
)

# %% [markdown]
# ## Smaller than the computer can write
#
# There is one more turn to it. Training often runs in *single precision*: numbers that cannot be smaller than about
# 1 in 10⁴⁵. On a long sequence even this is not enough: [200 steps back](#strip.length=200&strip.units=16), a part of the
# strip is hatched.

# %% tags=["remove-input"]
counts = [vanishing.lost_in_single_precision(seed) for seed in range(5)]
plots.say(
    "Five networks read 200 steps each. The gradient came out as **exactly zero** at "
    + ", ".join(str(zero) for zero, _ in counts)
    + " of these steps. At "
    + ", ".join(str(inexact) for _, inexact in counts)
    + " more it was too small to be exact. So what `rnnvanish` finds to be below what the numbers can hold, it measures again in double precision."
)

# %% [markdown]
# ## Half as many digits
#
# Large models are trained in *half precision*, with even coarser numbers. It is like a shop that has no coins below a penny:
# a tenth of a penny is nothing. The usual cure is called *loss scaling*. All prices are multiplied by a thousand first, and
# the bill is divided again in the end. Does it bring the lost gradients back?

# %% tags=["remove-input"]
from rnnvanish.experiments import precision

precision.loss_scaling_brings_back.show()

# %% [markdown]
# ## What this means
#
# A plain recurrent network, started as PyTorch starts it, is told by the last few steps how to change, and by no others.
# **This comes from the start. It is not a law for all recurrent networks.**
#
# A better start helps, and is free. But it is only a start: training can move the network away from it. There are
# other cures: LSTM and GRU, skip connections, attention. Each has conditions of its own.
#
# ## What to do
#
# - **Measure your own model** before you change it: [Diagnose your model](../diagnose.py) shows how. If the half-life
#   is far below the distance that your task needs, the model will have a hard time learning it.
# - Try the free cure first: `nn.init.orthogonal_(network.weight_hh_l0)`.
# - Do not expect a larger network to mend it. As PyTorch starts it, it does nothing.
#
# ??? info "For engineers"
#     Let $g_t = dL/dh_t$ be the total derivative, through all later steps. The page shows the gain
#     $\lVert g_{T-k} \rVert / \lVert g_T \rVert$ at lag $k$, as geometric mean over 16 sequences of white noise with
#     variance 1, for 64 units, in double precision, before training. The half-life is $\ln 2$ over minus the slope of
#     its logarithm, fitted from lag 1 on.
#
#     Why the default start forgets: torch draws each recurrent weight from
#     $\mathcal{U}(-1/\sqrt{n}, 1/\sqrt{n})$, with a variance of $1/(3n)$. A random direction is then multiplied by
#     $\sqrt{1/3} \approx 0.58$ in root mean square, whatever the width $n$, and the slope of tanh takes its part on
#     top. So a wider network does not forget more slowly.
#
#     Keras, by its documentation: recurrent weights orthogonal, input weights by Glorot's rule (uniform, so that their size
#     goes with one over the root of the width, where inputs are few), biases zero, that
#     of an LSTM's forget gate one. The matrices of all gates are drawn as one, so that the one of a single gate of an LSTM
#     shrinks a state by half. These starts are drawn here for the layers of `torch.nn`; Keras itself is not run.
#
#     The angle is that between $\partial L/\partial U$ of the full sequence and that of truncated backpropagation over ten
#     steps, from the same state, for $L = \lVert h_T \rVert^2$ summed over the sequences.
#
#     An orthogonal start has all singular values at one, but the slope of tanh stays below one wherever a unit is not at
#     zero, so the gradient still shrinks with the size of inputs and biases. What the page says holds at the start of
#     training. Whether a network then learns a task is another question, which needs training to answer.
#
#     - Y. Bengio, P. Simard, P. Frasconi (1994). Learning Long-Term Dependencies with Gradient Descent is Difficult.
#       *IEEE Transactions on Neural Networks* 5(2). [doi:10.1109/72.279181](https://doi.org/10.1109/72.279181)
#     - A. M. Saxe, J. L. McClelland, S. Ganguli (2014). Exact solutions to the nonlinear dynamics of learning in deep
#       linear neural networks. *ICLR*. [arXiv:1312.6120](https://arxiv.org/abs/1312.6120)
#     - Q. V. Le, N. Jaitly, G. E. Hinton (2015). A Simple Way to Initialize Recurrent Networks of Rectified Linear
#       Units. [arXiv:1504.00941](https://arxiv.org/abs/1504.00941)
#
# ## Reproduce it
#
# ```bash
# rnnvanish claims --section 6
# ```
#
# Before: [5. Copies of copies](multiplication.py). Next: [7. Slow learning](../impacts/slow.py)
