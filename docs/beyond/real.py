# ---
# description: Text, speech, sunspots and handwritten digits. Where a gradient that lasts helps, and where it does not.
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # On real data
#
# A good telescope is of great use on a ship. In a kitchen it does not help you find the salt.
#
# ![A telescope at sea and in the kitchen](../assets/drawings/telescope.svg)
#
# A gradient that lasts is such a telescope. It shows what lies far back. It helps a row of people where what matters was said
# at its beginning. It does not help where it is enough to know what the neighbour said. Most sections of this site ask for
# the former: a sign at the beginning, noise, and a question at the end. Real data are of many kinds. Does it help there?
#
# ## Predict first
#
# Four kinds of real data: handwritten digits, read pixel by pixel; English text, letter by letter; speakers, told apart
# by their vowels; and the spots on the sun, year by year. On how many of them does a gradient that lasts longer help?
#
# 1. On all four.
# 2. On one.
# 3. On none.
#
# ??? question "Show the answer"
#     On one, the digits, and there it helps the plain network only. A stroke at the top of the image has to be remembered
#     to its bottom. The next letter, or the spots of the next year, hang mostly on what came just before.
#
# ## Longer it is
#
# We take `torch.nn.RNN` and `torch.nn.LSTM` as they come. Beside each stands the same network with a better start:
# weights that only turn the state (*orthogonal*) for the one, open gates (*chrono*) for the other.

# %% tags=["remove-input"]
from rnnvanish.experiments import real

real.gradient_lasts.show()

# %% [markdown]
# ## Does it help?
#
# Each network is trained for the same short while, with two learning rates, and the better one counts. *Cost* says how
# much it is still wrong on data that it has not seen. At 100 % it does no better than somebody who remembers nothing.
# Lower is better. Each network was drawn and trained several times. A large mark is the middle of all draws.

# %% tags=["remove-input"]
from statistics import median

from rnnvanish import plots

pairs = []  # a network as torch draws it, and the one with the better start: of each, every draw
for claim in (real.helps_where_clues_are_far, real.helps_everywhere):
    runs = [list(zip(*each, strict=True)) for each in zip(*claim.details(), strict=True)]
    pairs += zip(runs[::2], runs[1::2], strict=True)

# %% [markdown]
# <rv-real id="real" markdown>

# %% tags=["hide-input"] alt="Dot chart with ranges: cost on data not seen, for eight networks, each with the default start and with the better start. For the plain network on digits the better start lies far to the left, where the cost is low. For the LSTM on text and on sunspots it lies to the right of the default. In the other five rows the two ranges overlap."
import matplotlib.pyplot as plt

fig, ax = plt.subplots(figsize=(6.4, 4.6))
for column, (name, mark) in enumerate({"as PyTorch draws it": "o", "better start": "s"}.items()):
    costs = [[100 * part for part in pair[column][4]] for pair in pairs]
    at = [row + 0.3 * column for row in range(len(pairs))]
    middles = [median(cost) for cost in costs]
    ax.plot(middles, at, mark, color=f"C{column}")
    ax.hlines(at, [min(cost) for cost in costs], [max(cost) for cost in costs], color=f"C{column}")
    ax.annotate(name, (middles[0], at[0]), xytext=(10, 8), textcoords="offset points", color=f"C{column}")
ax.set_yticks([row + 0.15 for row in range(len(pairs))], [f"{pair[0][0][0]}, {pair[0][1][0]}" for pair in pairs])
ax.set(xlabel="cost, in % of remembering nothing: less is better", xlim=(0, None), ylim=(len(pairs) - 0.4, -0.7))
plt.show()


# %% tags=["remove-input"]
def draws(kept):
    """Of one network every draw: half-life, right answers, cost."""
    _, _, half_lives, right, cost, _ = kept
    return {"half": half_lives, "right": right, "cost": cost}


plots.embed(
    [
        {"data": usual[0][0], "network": usual[1][0], "default": draws(usual), "better": draws(better)}
        for usual, better in pairs
    ]
)

# %% [markdown]
# </rv-real>
#
# Compare it with [the LSTM on the same digits](#real.network=LSTM), or ask [what it costs](#real.of=cost).

# %% tags=["remove-input"]
real.helps_where_clues_are_far.show()

# %% tags=["remove-input"]
real.helps_everywhere.show()

# %% [markdown]
# ## All numbers
#
# Of each network the middle of all draws, and below it the lowest and the highest. A cost in **bold** is clear: all draws
# of this network did better than all draws of the other start. Training time is a multiple of that of the default start.


# %% tags=["remove-input"]
def said(values, form, clear=False):
    """Put the middle and the range of some values into words."""
    middle = f"**{median(values):{form}}**" if clear else f"{median(values):{form}}"
    return f"{middle}<br><small>{min(values):{form}}–{max(values):{form}}</small>"


rows = []
for pair in pairs:
    for mine, other in (pair, pair[::-1]):
        (data, *_), (network, *_), half_lives, right, cost, seconds = mine
        clear = max(cost) < min(other[4])
        right, cost = ([100 * part for part in parts] for parts in (right, cost))
        ratio = [time / its for time, its in zip(seconds, pair[0][5], strict=True)]
        rows.append(
            f"| {data} | {network} | {said([float(life) for life in half_lives], '.1f')} | {said(right, '.0f')} "
            f"| {said(cost, '.0f', clear)} | {median(ratio):.2f} |"
        )
plots.say(
    "| data | network | half-life, in steps | right answers, in % | cost, in % | training time |\n"
    "|---|---|---|---|---|---|\n" + "\n".join(rows)
)

# %% [markdown]
# ## What this means
#
# **Ask where the clues lie, and whether the network reaches them.** If what decides lies far back, a gradient that
# gets there is worth much. If all that is needed lies close by, it brings nothing, and may even slow learning down: look at
# the LSTM on text and on sunspots. And a network that soon finds its own way to the clues, like the LSTM on the digits, does not need the
# better start.
#
# The better start costs no training time: the network is the same, only its first weights are others. What the last
# column differs by comes from the clock.
#
# ## What to do
#
# - Do not change the start because somebody said so. Train both for a short while, and compare.
# - To see how far back your model can learn, and what would change that: [diagnose it](../diagnose.py).
#
# ??? info "For engineers"
#     One layer, 48 units, Adam, batches of 64, 400 steps, gradient clipped at norm 1, learning rates 0.003 and 0.01; the rate is
#     chosen by the mean training loss of the last 50 steps, so that the test part chooses nothing. *Chrono* is told the length of
#     the longest sequence. Cost is the loss on the test part, cross-entropy or squared error, as a part of that of the best
#     constant answer. The half-life is measured before training, on the task's own sequences. Time is processor
#     time of one thread. Right, for sunspots, is within half a standard deviation. 400 steps are few: with more training all of
#     these networks do better, and the order may change.
#
#     - E. Alpaydin, C. Kaynak (1998). Optical Recognition of Handwritten Digits. *UCI*.
#       [doi:10.24432/C50P49](https://doi.org/10.24432/C50P49)
#     - M. Kudo, J. Toyama, M. Shimbo (1999). Multidimensional Curve Classification Using Passing-Through Regions. *Pattern
#       Recognition Letters* 20. [doi:10.1016/S0167-8655(99)00077-X](https://doi.org/10.1016/S0167-8655\(99\)00077-X)
#     - U. Khandelwal, H. He, P. Qi, D. Jurafsky (2018). Sharp Nearby, Fuzzy Far Away: How Neural Language Models Use
#       Context. *ACL*. [arXiv:1805.04623](https://arxiv.org/abs/1805.04623)
#
# ## Reproduce it
#
# ```bash
# rnnvanish claims --section 22
# ```
#
# Before: [Where the field stands](field.py). Next: [Who learns to remember](study.py)
