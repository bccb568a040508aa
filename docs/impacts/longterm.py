# ---
# description: A recurrent network can keep something for 1000 steps. Learning to keep it is what fails.
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 8. Keeping and learning to keep
#
# A light switch on the wall remembers. Press it, and it stays as it is, for years, even if the wall shakes a little. It
# is a good memory.
#
# But think of how it came to stand as it does. To know whether a *slightly* softer press would have done the same, you
# look at the switch now. It is on, fully on. Whether it was pressed hard or gently cannot be seen any more.
#
# ![A light switch keeps its setting](../assets/drawings/switch.svg)
#
# A recurrent network is trained by just such slight changes. So two things must be kept apart: to **keep** something,
# and to **learn** to keep it. In the row of people: the note may say the same all along the row, while the whisper on the
# way back dies away. People often say that vanishing gradients make a network forget.
#
# ## Predict first
#
# We build a switch from a single unit of a network, and shake it at each of 1000 steps. Will it still stand as it was
# set?
#
# 1. No. After 1000 steps it is a matter of luck.
# 2. Yes, nearly always. So the gradient must reach back 1000 steps as well.
# 3. Yes, nearly always. But no gradient comes back at all.
#
# ??? question "Show the answer"
#     The third. The unit keeps its setting, and its gradient is far smaller than any number that a computer can write.
#
# ## A switch of one unit
#
# The unit reads itself at each step, doubled, plus some noise. That is all there is to it.

# %% tags=["hide-input"]
from rnnvanish.experiments import longterm

states = longterm.latch(seed=0)  # 500 switches, 1000 steps
print(f"still as they were set: {longterm.kept(states):.1%}")
print(f"gradient lost: {longterm.lost(states)[-1]:.0f} powers of ten")

# %% tags=["remove-input"]
longterm.cannot_keep.show()

# %% tags=["remove-input"]
longterm.what_is_kept_teaches.show()

# %% [markdown]
# ## Shake it
#
# How firm the switch is depends on how strongly the unit reads itself. Shake it, flip it, [make it soft](#switch.hold=0.9),
# or [neither soft nor firm](#switch.hold=1). The bar shows how much of the gradient is lost, in powers of ten.
#
# <rv-switch id="switch" markdown>

# %% tags=["remove-input"]
from rnnvanish import plots

rows = []
for weight in (0.8, 0.9, 1.0, 1.1, 1.2, 1.5, 2.0):
    drawn = longterm.latch(0, weight)
    rows.append(
        f"| {weight:g} | {100 * longterm.kept(drawn):.0f} of 100 | {float(longterm.lost(drawn, weight)[-1]):.0f} |"
    )
plots.say(
    "| how strongly it reads itself | stand as they were set | powers of ten that the gradient has lost |\n|---|---|---|\n"
    + "\n".join(rows)
)

# %% [markdown]
# </rv-switch>
#
# A soft switch forgets, and a firm one keeps. But no setting of this switch keeps the gradient. The least is lost
# near 1, where the switch is neither soft nor firm, and even that is far too much. From there on, the firmer the switch, the
# more is lost.
#
# ## Learning to keep
#
# So a network could keep things. Does it learn to? Again the first input is 1 or -1, then noise comes, and at the end
# the network must say what came first. This time 40 inputs have to be read. We try the network as PyTorch draws it, and one
# whose weights at first only turn the state (an *orthogonal* start). Both are trained here, on your own device.
#
# <rv-race id="race" kind="start" markdown>

# %% tags=["hide-input"] alt="Line chart: right answers against steps of training. The default start stays near one half, which is guessing, throughout. The orthogonal start rises to nearly one within a few dozen steps and ends there, because it has learnt the task."
import matplotlib.pyplot as plt

fig, ax = plt.subplots()
for start, style in (("default", "-"), ("orthogonal", "--")):
    scores = longterm.lesson(0, start).scores
    means = [sum(scores[max(0, k - 4) : k + 1]) / min(k + 1, 5) for k in range(len(scores))]
    ax.plot(range(1, len(scores) + 1), means, style, label=f"{start} start")
ax.set(xlabel="steps of training", title="right answers (0.5 is guessing)", ylim=(0.3, 1.05))
ax.legend()
plt.show()

# %% [markdown]
# </rv-race>
#
# Is it always the first that fails? [With 10 steps between](#race.lag=10) both learn it. And [with larger
# steps](#race.rate=0.01)?

# %% tags=["remove-input"]
longterm.default_does_not_learn.show()

# %% tags=["remove-input"]
longterm.no_start_helps.show()

# %% [markdown]
# So the start is not the last word. Adam takes large steps even where the gradient is tiny, and may shake the weights to
# where they learn. And what does a network look like that has learnt it? Does its gradient now reach back?

# %% tags=["remove-input"]
longterm.what_is_learnt_is_reached.show()

# %% [markdown]
# ## What this means
#
# "Vanishing gradients make a network forget" mixes up two things. **To keep is easy, to learn to keep is hard.** A network
# that is set up to keep a bit keeps it. A network that must find out by itself *that* it should keep it gets no message
# from the moment that matters.
#
# And there is a trap: the firmer the memory, the less gradient comes through such a unit. This was found as early as 1994.
#
# ## What to do
#
# - Start with weights that let the gradient through: `nn.init.orthogonal_(network.weight_hh_l0)`.
# - Use a cell whose memory is not a switch but a shelf: what is put there is passed on unchanged, and so is the
#   gradient. This is the idea of LSTM and GRU. It works [while the gate is open](../techniques/lstm.py).
# - [Measure how far back your model can learn](../diagnose.py) before you blame its memory.
#
# ??? info "For engineers"
#     The switch is $h_t = \tanh(w h_{t-1} + 0.2\,\xi_t)$ with $\xi_t \sim \mathcal{N}(0, 1)$ and $h_0 = \pm 1$. For $w > 1$ the
#     noiseless map has two attracting fixed points, $\pm h^*$ with $h^* = \tanh(w h^*)$. There its slope
#     $w(1 - h^{*2})$ is below one, or it would not attract. So
#     $\partial h_T / \partial h_0 = \prod_t w (1 - h_t^2)$ falls off exponentially exactly where the bit is stored robustly:
#     the argument of Bengio et al. (1994) for hyperbolic attractors. The logarithms of the factors are added; the
#     product itself is far below what double precision holds. The figure is for the latched regime of one unit: a
#     wider network has directions that need not latch.
#
#     The figure: 32 units, Adam at a rate of 0.003, batches of 64, gradients clipped to a norm of 1, 120 steps at most. At
#     0.01 the same network may learn it.
#     Learning is measured in the study `claims` (`rnnvanish sweep claims`): 16, 64 and 256 units, Adam and plain gradient
#     descent, batches of 32, the gradient clipped at a norm of 1, at most 400 steps. Each network has its own best of four
#     rates (0.001 to 0.03; 0.03 to 1 for plain descent), chosen with two seeds; three fresh seeds count. A bit is learnt
#     where 95 % of the answers are right, twice in a row; adding where the loss is a tenth of that of remembering nothing.
#
#     - Y. Bengio, P. Simard, P. Frasconi (1994). Learning Long-Term Dependencies with Gradient Descent is Difficult.
#       *IEEE Transactions on Neural Networks* 5(2). [doi:10.1109/72.279181](https://doi.org/10.1109/72.279181)
#     - Q. V. Le, N. Jaitly, G. E. Hinton (2015). A Simple Way to Initialize Recurrent Networks of Rectified Linear
#       Units. [arXiv:1504.00941](https://arxiv.org/abs/1504.00941)
#     - S. Hochreiter, J. Schmidhuber (1997). Long Short-Term Memory. *Neural Computation* 9(8).
#       [doi:10.1162/neco.1997.9.8.1735](https://doi.org/10.1162/neco.1997.9.8.1735)
#
# ## Reproduce it
#
# ```bash
# rnnvanish claims --section 8
# ```
#
# Before: [7. Slow learning](slow.py). Next: [9. The plateau](plateau.py)
