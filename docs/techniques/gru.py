# ---
# description: A GRU has one gate fewer than an LSTM, and the same condition. Its gate has to be open.
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 18. GRU
#
# Two people share a diary. Each evening they decide how much of the old page to keep and how much to write anew. One knob
# does both: more of the old is less of the new.
#
# ![One knob for old and new](../assets/drawings/knob.svg)
#
# A GRU works like that. In our row there is no folder this time. The note itself goes through the door, and what does not
# get through is written anew. The knob is called the **update gate**. A GRU has one gate fewer than an LSTM, and is said
# to remember as well.
#
# ## Predict first
#
# We take `torch.nn.GRU` as it comes. Does it keep its gradient longer than `torch.nn.LSTM` as it comes?
#
# 1. Much longer.
# 2. About as long.
#
# ??? question "Show the answer"
#     About as long: one or two steps. Its knob starts in the middle, just as the LSTM's gate does.
#
# ## As it comes, and opened
#
# The GRU as PyTorch draws it, as Keras does, and with its gate opened further and further. Beside it the LSTM as PyTorch
# draws it.

# %% tags=["hide-input"] alt="Line chart, logarithmic axis in words: gradient that is left against steps back. The default GRU, that of Keras and the default LSTM fall together, steeply. The more the gate is opened, the gentler the fall; chrono stays high."
import matplotlib.pyplot as plt

from rnnvanish import plots
from rnnvanish.experiments import gru, lstm
from rnnvanish.experiments.direct import direct
from rnnvanish.experiments.workbench import GATES, curve

curves = {f"GRU, {start}": curve(gru.layer(start), seed=0) for start in GATES}
plots.retention(curves | {"LSTM, default": curve(lstm.layer(), seed=0)})
plt.show()

# %% tags=["remove-input"]
gru.default_keeps_gradient.show()

# %% tags=["remove-input"]
gru.open_gates_keep_gradient.show()

# %% [markdown]
# ## Drag it
#
# One number, the *bias*, says how much of the old state the gate keeps at the start. Here is one knob for both, LSTM and GRU.
# [Open both to 95 %](#gate.gate=0.95).
#
# <rv-gate id="gate" cells="LSTM GRU" markdown>

# %% tags=["remove-input"]
rows = []
for bias in gru.BIASES:
    ours, theirs = (curve(kind.layer(bias), seed=0) for kind in (gru, lstm))
    rows.append(f"| {bias:g} | {plots.one_in(float(ours.gain[100]))} | {plots.one_in(float(theirs.gain[100]))} |")
plots.say(
    "A hundred steps back, of the gradient is left:\n\n| bias of the gate | GRU | LSTM |\n|---|---|---|\n"
    + "\n".join(rows)
)

# %% [markdown]
# </rv-gate>

# %% [markdown]
# ## A gate is an hourglass
#
# A wide neck lets the sand out in a minute, a narrow one in an hour. Whoever sees the neck knows the time. The bias of a gate
# is such a neck. Can we read the half-life off it, without measuring any gradient?

# %% tags=["remove-input"]
gru.gate_is_a_clock.show()

# %% [markdown]
# ## Why do the two part?
#
# At the same bias, LSTM and GRU keep very different amounts. Yet the door is equally wide open in both. The LSTM has a
# second way: what is written into the folder hangs on the note ([section 17](lstm.py)). Its input gate is a knob of its
# own, and stays half open. In a GRU one knob does both. If more of the old passes on, less of the new is written, and so
# the second way gets narrow. We can cut it in both, and see what the door alone leaves.

# %% tags=["remove-input"]
rows = []
for bias in (2.0, 3.0, 4.0):
    left = [
        plots.one_in(float(curve(build, seed=0).gain[100]))
        for build in (gru.layer(bias), lstm.layer(bias), direct(gru.layer(bias)), direct(lstm.layer(bias)))
    ]
    rows.append(f"| {bias:g} | " + " | ".join(left) + " |")
plots.say(
    "| bias | GRU | LSTM | GRU, door alone | LSTM, door alone |\n|---|---|---|---|---|\n"
    + "\n".join(rows)
    + "\n\nWhat is left of the gradient a hundred steps back."
)

# %% [markdown]
# ## Does it learn?
#
# A race, on your own device: one sign, noise, and then the question for the sign. One GRU starts as it comes, the other with
# open gates. [With 5 steps between](#race.lag=5) it hardly matters.
#
# <rv-race id="race" kind="gru" markdown>

# %% tags=["remove-input"]
plots.say(
    f"Before training, 40 steps back, {plots.one_in(float(curves['GRU, default'].gain[40]))} of the gradient is left as "
    f"PyTorch starts it, and {plots.one_in(float(curves['GRU, chrono'].gain[40]))} with the chrono start."
)

# %% [markdown]
# </rv-race>
#
# That was one draw. Now many, in the tasks of the LSTM: one sign and 20 steps of noise; and adding two of twenty numbers.

# %% tags=["remove-input"]
gru.gru_learns.show()

# %% [markdown]
# And does training turn the neck to suit the task? Here are GRUs that were told nothing of the distance. How long did their
# gradient last *after* they had learnt it? The table has half-lives, in steps; ∞ is where nothing is lost.

# %% tags=["remove-input"]
from rnnvanish.experiments import trained_gates
from rnnvanish.numerals import in_words

lags = sorted({lag for seed in range(3) for lag in trained_gates.half_lives(seed)})
known = [trained_gates.half_lives(seed) for seed in range(3)]
rows = [f"| {lag} | {' | '.join(in_words(each[lag]) if lag in each else '–' for each in known)} |" for lag in lags]
plots.say(
    "| steps to remember | half-life afterwards, first draw | second | third |\n|---|---|---|---|\n" + "\n".join(rows)
)

# %% tags=["remove-input"]
trained_gates.training_sets_gates.show()

# %% [markdown]
# ## What this means
#
# **What holds for the LSTM holds for the GRU: the gate has to be open.** The design gives the gradient a way. The start
# decides whether the way is open.
#
# ## What to do
#
# - Open the gate: `mitigations.OpenGate(2.0)(model)`, or `mitigations.Chrono(100)(model)` for memories of 100 steps.
# - Mind the sign when you read a paper: in torch a gate near 1 *keeps* the old state. Some papers write it the other way.
#
# ??? info "For engineers"
#     In torch $h_t = (1 - z_t)\, n_t + z_t\, h_{t-1}$, so that the direct path carries $z_t \approx \sigma(0) = 1/2$. Cho et
#     al. write it so too; Chung et al. have $z$ and $1 - z$ exchanged.
#     Learning is measured in the study `claims` (`rnnvanish sweep claims`): 16, 64 and 256 units, Adam and plain gradient
#     descent, batches of 32, the gradient clipped at a norm of 1, at most 400 steps. Each network has its own best of four
#     rates (0.001 to 0.03; 0.03 to 1 for plain descent), chosen with two seeds; three fresh seeds count. A bit is learnt
#     where 95 % of the answers are right, twice in a row; adding where the loss is a tenth of that of remembering nothing.
#
#     - K. Cho et al. (2014). Learning Phrase Representations using RNN Encoder-Decoder for Statistical Machine
#       Translation. *EMNLP*. [arXiv:1406.1078](https://arxiv.org/abs/1406.1078)
#     - J. Chung, C. Gulcehre, K. Cho, Y. Bengio (2014). Empirical Evaluation of Gated Recurrent Neural Networks on
#       Sequence Modeling. [arXiv:1412.3555](https://arxiv.org/abs/1412.3555)
#
# ## Reproduce it
#
# ```bash
# rnnvanish claims --section 18
# ```
#
# Before: [17. LSTM](lstm.py). Next: [19. Attention](attention.py)
