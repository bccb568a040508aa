# ---
# description: An LSTM remembers as long as its forget gate is open and passes on. The one in PyTorch starts half open.
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 17. LSTM
#
# Once more a row of people who pass on a note. Now a second thing goes along the row: a folder. The note is written anew
# by everybody. The folder is not. Each person may add a page to it, and passes it on.
#
# Between every two people there is a door. An open door passes on the whole folder. A half-open door passes on half of
# it. A shut door passes on nothing.
#
# ![A folder passes through three doors](../assets/drawings/gate.svg)
#
# An LSTM is a network with such a folder. The folder is called the *cell*, and the door is the **forget gate**. It has an
# odd name, for open it does not forget: at 1 it passes on all, at 0 nothing. People say that an LSTM therefore remembers
# over long times.
#
# ## Predict first
#
# We take `torch.nn.LSTM` as it comes. How long does half of the gradient last?
#
# 1. About 100 steps.
# 2. About 10 steps.
# 3. One or two steps.
#
# ??? question "Show the answer"
#     One or two steps, as in a plain network. The gate starts half open: at each step, half of the cell does not get
#     through.
#
# ## As it comes, and opened
#
# How much of the gradient is left if the gate starts half open, and if we open it further? *Keras* is as other software
# draws the whole layer: with a gate that is opened by 1 and orthogonal weights. *Chrono* opens the gate of each
# unit by another amount, for memories of 1 to 100 steps.

# %% tags=["hide-input"] alt="Line chart, logarithmic axis in words: gradient that is left against steps back, for five starts of an LSTM. The default falls steeply, that of Keras a little less so; the more the forget gate is opened, the gentler the fall; chrono stays high."
import matplotlib.pyplot as plt

from rnnvanish import plots
from rnnvanish.experiments import lstm
from rnnvanish.experiments.direct import direct
from rnnvanish.experiments.workbench import GATES, curve

curves = {start: curve(lstm.layer(start), seed=0) for start in GATES}
plots.retention(curves)
plt.show()

# %% tags=["remove-input"]
lstm.default_keeps_gradient.show()

# %% tags=["remove-input"]
lstm.open_gates_keep_gradient.show()

# %% [markdown]
# ## Add, do not rewrite
#
# Why should a folder be better than a note? In 1997 Sepp Hochreiter and Jürgen Schmidhuber asked what a step must be like
# so that nothing is lost on the way back. Their answer: **do not rewrite what is there, add to it**. What is in the folder
# stays as it is, and the new is put beside it. Then the way back is open, too. For what was there before, the step is as if
# it had not happened.
#
# There was no door in that first LSTM. The folder always came through whole. So it could not be emptied, and over a long
# text it filled up. Felix Gers, Schmidhuber and Fred Cummins put the door in, in 2000. Since then an LSTM can forget, and
# how far the door is open decides whether it remembers.
#
# ![The three gates of an LSTM](../assets/drawings/lstm.svg)
#
# There are two more gates. The *input gate* says how much of what a person writes is put into the folder. The *output
# gate* says how much of the folder is read out onto the note. All three are numbers from 0 to 1, and the network sets them
# anew at each step.
#
# ## Drag it
#
# One number, the *bias*, says how far the gate is open at the start. [Open it to 95 %](#gate.gate=0.95). Then [to
# 99 %](#gate.gate=0.99).
#
# <rv-gate id="gate" cells="LSTM" markdown>

# %% tags=["remove-input"]
import math

gates = [1 / (1 + math.exp(-bias)) for bias in lstm.BIASES]
opened = [curve(lstm.layer(bias), seed=0) for bias in lstm.BIASES]
rows = [
    f"| {bias:g} | {100 * gate:.0f} % | {'none' if math.isinf(kept.half_life) else f'{kept.half_life:.1f} steps'} "
    f"| {plots.one_in(float(kept.gain[100]))} |"
    for bias, gate, kept in zip(lstm.BIASES, gates, opened, strict=True)
]
plots.say(
    "| bias | the gate passes on | half-life | is left a hundred steps back |\n|---|---|---|---|\n" + "\n".join(rows)
)

# %% [markdown]
# </rv-gate>
#
# PyTorch starts it half open. Keras adds one to the bias, and it passes on 73 %.

# %% [markdown]
# With the gate wide open, **more than all** is left. How can that be? The folder is the main way back, and it is not the
# only one. What is written into the folder hangs on the note, and the note hangs on the folder. So there are many ways
# back, and what comes along them adds up, like a shout and its echoes.

# %% tags=["remove-input"]
alone = float(curve(direct(lstm.layer(3.0)), seed=0).gain[100])
plots.say(
    f"We can cut all ways through the note. Then, with a bias of 3, {plots.one_in(alone)} is left a hundred steps back. "
    f"That is about what the gate alone passes on: {100 * gates[-1]:.0f} %, a hundred times over, makes "
    f"{plots.one_in(gates[-1] ** 100)}. All the rest comes through the note."
)

# %% [markdown]
# ## Does it learn?
#
# The network sees one sign, plus or minus, hears noise, and is asked for the sign. Two of them race here, on your own device:
# one as it comes, one with open gates. Over a short way, [with 5 steps between](#race.lag=5), the gate hardly matters. Over
# a long one, [with 80](#race.lag=80&race.cure=open), a fixed bias is not enough, and gates for all distances are.
#
# <rv-race id="race" kind="lstm" markdown>

# %% tags=["remove-input"]
plots.say(
    f"Before training, 40 steps back, {plots.one_in(float(curves['default'].gain[40]))} of the gradient is left as PyTorch "
    f"starts it, and {plots.one_in(float(curves['chrono'].gain[40]))} with the chrono start."
)

# %% [markdown]
# </rv-race>
#
# That was one draw. Now many: 20 steps of noise, or two numbers that are marked among twenty and have to be added. Each network is
# trained at the learning rate that suits it best.

# %% tags=["remove-input"]
lstm.default_learns.show()

# %% tags=["remove-input"]
lstm.open_gates_learn.show()

# %% [markdown]
# What an open gate does for text, speech, sunspots and images is another question: [On real data](../beyond/real.py).
#
# ## What this means
#
# **An LSTM can keep its gradient. It does so only with its gate open, and in PyTorch the gate starts half open.** Where
# the data hold clues all along the way, the default may do well enough. Where all there is to learn lies far back, it may
# take much longer, or not start to learn at all.
#
# ## What to do
#
# - Open the gate: `mitigations.OpenGate(1.0)(model)`, or more.
# - If you know how far back the task reaches, say 100 steps: `mitigations.Chrono(100)(model)`.
#
# ??? info "For engineers"
#     $\partial c_t / \partial c_{t-1} = f_t$ along the direct path, and torch draws both biases of the gate from
#     $\mathcal{U}(-1/\sqrt n, 1/\sqrt n)$, so that $f_t \approx \sigma(0) = 1/2$. Measured is the whole state, $h$ and $c$.
#     With the chrono start $b_f = \ln \mathcal{U}(1, T - 1)$ and $b_i = -b_f$, $T = 100$. A bias of 3 keeps more than the
#     direct path says, since the paths through the other gates add to it.
#     Learning is measured in the study `claims` (`rnnvanish sweep claims`): 16, 64 and 256 units, Adam and plain gradient
#     descent, batches of 32, the gradient clipped at a norm of 1, at most 400 steps. Each network has its own best of four
#     rates (0.001 to 0.03; 0.03 to 1 for plain descent), chosen with two seeds; three fresh seeds count. A bit is learnt
#     where 95 % of the answers are right, twice in a row; adding where the loss is a tenth of that of remembering nothing.
#
#     - S. Hochreiter, J. Schmidhuber (1997). Long Short-Term Memory. *Neural Computation* 9(8).
#       [doi:10.1162/neco.1997.9.8.1735](https://doi.org/10.1162/neco.1997.9.8.1735)
#     - F. A. Gers, J. Schmidhuber, F. Cummins (2000). Learning to Forget: Continual Prediction with LSTM. *Neural
#       Computation* 12(10). [doi:10.1162/089976600300015015](https://doi.org/10.1162/089976600300015015)
#     - R. Jozefowicz, W. Zaremba, I. Sutskever (2015). An Empirical Exploration of Recurrent Network Architectures.
#       *ICML*. [PMLR 37](https://proceedings.mlr.press/v37/jozefowicz15.html)
#     - C. Tallec, Y. Ollivier (2018). Can recurrent neural networks warp time? *ICLR*.
#       [arXiv:1804.11188](https://arxiv.org/abs/1804.11188)
#
# ## Reproduce it
#
# ```bash
# rnnvanish claims --section 17
# ```
#
# Before: [16. Skip connections](skips.py). Next: [18. GRU](gru.py)
