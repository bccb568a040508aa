# ---
# description: A gradient that survives is needed for learning, and not enough.
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # What lies beyond
#
# The post works again: letters arrive. That does not mean that you can read the language they are written in, or do what
# they ask of you.
#
# ![A letter that arrives, in an unknown language](../assets/drawings/letter.svg)
#
# A gradient that arrives is such a letter. Say that the whisper has come through to the first person in the row. Now this
# person knows what should have been done differently. Without the whisper a network is told nothing of what lies far back.
# With it, the network *can* learn. Does it?
#
# ## Predict first
#
# One network keeps all of its gradient. Another loses half of it every few steps. Both are to learn whether two bits were
# the same. Which one does?
#
# 1. The one that keeps its gradient.
# 2. The one that loses it.
#
# ??? question "Show the answer"
#     The one that loses it. The other has no tanh in it, nothing that bends. It can only weigh and add, and with that
#     nobody can tell whether two bits are the same.
#
# ## The gradient arrives, and nothing is learnt

# %% tags=["remove-input"]
import math

from rnnvanish import plots
from rnnvanish.experiments import beyond
from rnnvanish.experiments.workbench import curve
from rnnvanish.numerals import decay_in_words

rows = []
for name, kind in {"no bend": "prelu", "tanh": "tanh"}.items():
    kept = curve(beyond.straight(kind), seed=0)
    half_life = decay_in_words(kept.half_life if kept.half_life < 1e6 else math.inf, float(kept.gain[-1]))
    rows.append(f"| {name} | {half_life} | {100 * beyond.learnt_same(beyond.straight(kind), seed=0):.0f} % |")
plots.say("| network | half-life of the gradient | right answers |\n|---|---|---|\n" + "\n".join(rows))

# %% tags=["remove-input"]
beyond.surviving_gradient_is_enough.show()

# %% [markdown]
# ## What the half-life foretells
#
# Now many networks on one task: keep one sign through noise. For each we measured the half-life of the gradient *before*
# training. Then we trained it to remember the sign for 20, for 40 and for 80 steps, each time at the learning rate that suits
# it best, and counted how many steps of training it took. Each network was drawn several times; the chart shows the middle
# of them. Choose a distance, and a network, or touch one in the picture.

# %% [markdown]
# <rv-beyond id="beyond" markdown>

# %% tags=["hide-input"] alt="Scatter chart, horizontal axis logarithmic: steps of training until it was learnt against half-life of the gradient before training, a point for each of fourteen networks. Networks with the shortest half-lives, a ReLU network and an LSTM as they are drawn, lie at the top: they learnt nothing in 400 steps. Networks with long half-lives lie at the bottom. In between plain and gated networks scatter widely."
import matplotlib.pyplot as plt

points = beyond.middle()
fig, ax = plt.subplots(figsize=(6.4, 4.0))
for place, (kind, mark) in enumerate({"RNN": "o", "LSTM": "s", "GRU": "^"}.items()):
    ours = [point for point in points if point[0].startswith(kind)]
    ax.plot([life for _, life, _ in ours], [steps for *_, steps in ours], mark, color=f"C{place}", markersize=8)
    _, life, steps = max(ours, key=lambda point: point[1])
    ax.annotate(kind, (life, steps), xytext=(8, 4), textcoords="offset points", color=f"C{place}")
ax.set(
    xscale="log",
    xlabel="half-life before training, in steps",
    title="steps of training until it was learnt",
    ylim=(0, 420),
)
ax.set_xticks([0.5, 1, 2, 5, 10, 20, 50, 100], ["0.5", "1", "2", "5", "10", "20", "50", "100"])
ax.minorticks_off()
plt.show()

# %% tags=["remove-input"]
from rnnvanish.experiments.claim_study import fresh
from rnnvanish.studies.reader import memories

trained = memories()
drawn = {
    name: [trained[network.cell, network.mitigations, seed] for seed in fresh()]
    for name, network in beyond.PAIRS.items()
}


def by_distance(draws, column):
    """A column of the study, by the distance to remember; of each draw a number."""
    return {rows[0]["lag"]: [row[column] for row in rows] for rows in zip(*draws, strict=True)}


plots.embed(
    {
        "budget": drawn["LSTM, default"][0][0]["budget"],
        "networks": [
            {"name": name, "half": by_distance(draws, "half_life_before"), "learnt": by_distance(draws, "solved")}
            for name, draws in drawn.items()
        ],
    }
)

# %% [markdown]
# </rv-beyond>
#
# Does it look otherwise where there is less to remember, [over 20 steps](#beyond.lag=20), or more, [over 80](#beyond.lag=80)?

# %% tags=["remove-input"]
pairs = [(life, steps) for _, life, steps in points]
plain, gated = (
    beyond.agreement((life, steps) for name, life, steps in points if name.startswith("RNN") == wanted)
    for wanted in (True, False)
)
low, high = beyond.interval([life for life, _ in pairs], [-steps for _, steps in pairs])
plots.say(
    f"The rank correlation of these {len(points)} points is {beyond.agreement(pairs):.2f}: {plain:.2f} among the plain networks, "
    f"{gated:.2f} among those with gates. At 1, a longer half-life would always mean that it is learnt sooner; at 0, they would "
    f"have nothing to do with each other. Had we chosen other networks of this kind, we would expect it between {low:.2f} and "
    f"{high:.2f}. The box below takes each draw by itself instead of the middle of them. That is noisier."
)

# %% tags=["remove-input"]
beyond.half_life_foretells_memory.show()

# %% [markdown]
# ## Breath or legs?
#
# Who wins a race: the runner with the long breath, or the one with the long legs? The half-life is a network's breath. Its
# legs are how many units it has, and how large its steps are when it learns.

# %% tags=["remove-input"]
from rnnvanish.experiments import what_decides

what_decides.width_and_rate_decide_more.show()

# %% [markdown]
# ## Over the pass
#
# Who crosses a mountain pass sees far, for a moment. Before and after lies a valley, and one sees no farther than its walls.
# Does a network see far on its way? We look at its half-life again and again while it learns to keep a sign for 20 steps.

# %% tags=["hide-input"] alt="Line chart: half-life of the gradient against steps of training, vertical axis logarithmic, a line for each of three draws. All begin between one and two steps. Each climbs to more than thirty steps or beyond the top of the chart before a dot marks that it has learnt the task. Afterwards two fall back to where they began, and one climbs anew."
from rnnvanish.experiments import during_training

fig, ax = plt.subplots()
for seed in range(3):
    lives, learnt = during_training.course(seed)
    (line,) = ax.plot([during_training.LOOK * place for place in range(len(lives))], lives, label=f"draw {seed + 1}")
    if math.isfinite(learnt):
        ax.plot(learnt, lives[round(learnt / during_training.LOOK)], "o", color=line.get_color())
ax.set(yscale="log", xlabel="steps of training", title="half-life, in steps (a dot: it has learnt)")
ax.set_yticks([0.5, 1, 10, 100, 1000], ["0.5", "1", "10", "100", "1000 or more"])
ax.minorticks_off()
ax.legend()
plt.show()

# %% tags=["remove-input"]
during_training.lasts_as_at_the_start.show()

# %% [markdown]
# ## What this means
#
# **Keeping the gradient alive is needed, and it is not enough.** A short half-life is a warning to be taken seriously. A
# long one is no promise: the network must be able to express the answer, and the training must be long enough.
#
# ## What to do
#
# - Measure the half-life first. If it is far below the distance that your task needs, mend that.
# - If it is long enough and the network still does not learn, look elsewhere: its size, its bends, the learning rate, the
#   number of steps, the data.
#
# ??? info "For engineers"
#     The network without a bend is linear and orthogonal, and a linear read-out of its last state is an affine function of the
#     inputs: exclusive-or is beyond it. The two bits come first, then six steps of noise. The rank correlation is Spearman's, ties sharing the mean of their
#     ranks; its interval is the percentile bootstrap (95 %) over the networks, 1000 draws. Training is that of the study
#     `claims`: 64 units, Adam, batches of 32, clipped at 1, at most 400 steps, four rates by two seeds, three fresh seeds. Where memories get longer there is another trouble, which is no
#     vanishing: small changes of the parameters change the output more and more.
#
#     - M. Minsky, S. Papert (1969). Perceptrons. *MIT Press*.
#       [mitpress.mit.edu](https://mitpress.mit.edu/9780262630221/perceptrons/)
#     - N. Zucchet, A. Orvieto (2024). Recurrent neural networks: vanishing and exploding gradients are not the end of the
#       story. *NeurIPS*. [arXiv:2405.21064](https://arxiv.org/abs/2405.21064)
#     - A. H. Ribeiro, K. Tiels, L. A. Aguirre, T. B. Schön (2020). Beyond exploding and vanishing gradients: analysing RNN
#       training using attractors and smoothness. *AISTATS*. [arXiv:1906.08482](https://arxiv.org/abs/1906.08482)
#
# ## Reproduce it
#
# ```bash
# rnnvanish claims --section 21
# ```
#
# Before: [Exploding gradients](exploding.py). Next: [Where the field stands](field.py)
