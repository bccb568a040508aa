# ---
# description: Every cure in one table, when it acts, on which networks, and how much longer a gradient lasts with it.
# hide: [toc]
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Cures
#
# A cure is something that is said to help against forgetting. Some change how weights are drawn, before any training.
# Some change the network itself. Others add to the loss, change the gradient, or change how one trains.
#
# Here are all that this package has. Each name leads to a page of its own, with the lines to use it.
#
# ## Networks without a cure
#
# We take four fresh networks, and look how much of the gradient is left, step by step back in time. The **half-life** says
# after how many steps half of it is gone.

# %% tags=["remove-input"]
from rnnvanish import mitigations, plots
from rnnvanish.experiments import cures
from rnnvanish.numerals import in_words, one_in

names = {"tanh": "plain, with tanh", "ReLU": "plain, with ReLU", "LSTM": "LSTM", "GRU": "GRU"}
bare = {network: cures.kept(network) for network in names}
lines = [
    f"| {name} | {in_words(bare[network].half_life)} steps | {one_in(bare[network].arrives)} |"
    for network, name in names.items()
]
plots.say("\n".join(["| network | half-life | arrives from 100 steps back |", "|---|---|---|", *lines]))

# %% [markdown]
# ## All cures
#
# The last three columns say what becomes of these numbers. First the half-life in steps, without the cure and with it.
# Then how much arrives from a hundred steps back. A cure that does not take the plain network with tanh is tried on the one with
# ReLU. A dash stands where a cure does not take a network, or acts only while it trains.

# %% tags=["remove-input"]
from IPython.display import display

from rnnvanish.mitigation import Build, Draw


def said(network, before, after):
    """What the table says of a network, and with how large a number it is sorted."""
    name = "ReLU: " if network == "ReLU" else ""
    half_lives = f"{in_words(before.half_life)} → {in_words(after.half_life)}"
    return f'<span data-size="{after.arrives}">{name}{half_lives}<br>{one_in(after.arrives)}</span>'


def row(name, kept):
    """A cure in the table."""
    kind, cells = mitigations.ALL[name], {each: said(each, bare[each], after) for each, after in kept.items()}
    page = f"reference/mitigations/{kind.__module__.rpartition('.')[2]}.md#{kind.__module__}.{name}"
    acts_on = ", ".join(cures.suited(cures.example(name)))
    paper = f"{kind.paper.authors} ({kind.paper.year})"
    plain, lstm, gru = cells.get("tanh") or cells.get("ReLU", "–"), cells.get("LSTM", "–"), cells.get("GRU", "–")
    return [f"[{name}]({page})<br>{cures.told(name)}", kind.moment, acts_on, kind.invariant, paper, plain, lstm, gru]


def first_what_is_measured(name):
    """The order of the table."""
    kind = mitigations.ALL[name]
    return not issubclass(kind, Draw), not issubclass(kind, Build), kind.moment, name


found = {name: cures.measured(cures.example(name)) for name in sorted(mitigations.ALL, key=first_what_is_measured)}
head = ["Cure", "When it acts", "Acts on", "What it keeps", "Paper", "Plain", "LSTM", "GRU"]
rows = [head, ["---"] * len(head), *(row(name, kept) for name, kept in found.items())]
table = "\n".join(f"| {' | '.join(cells)} |" for cells in rows)
begin = '<rv-table class="rv-cures" counted="cures" choices="When it acts, Acts on" markdown="1">'
for_pages = {
    name: [
        {"network": names[network], "half_lives": [in_words(each.half_life) for each in pair]}
        | {"arrives": [one_in(each.arrives) for each in pair], "gains": [each.gain for each in pair]}
        for network, after in kept.items()
        for pair in [(bare[network], after)]
    ]
    for name, kept in found.items()
}
display(
    {"text/markdown": f"{begin}\n\n{table}\n\n</rv-table>", "application/vnd.rnnvanish.cures+json": for_pages}, raw=True
)

# %% [markdown]
# *What it keeps* is what is true of a network while it is treated. A test of this package measures each of these
# sentences.
#
# ??? info "For engineers"
#     Networks of 64 units as torch draws them, one feature of white noise, 16 sequences of 111 steps. Of three draws the
#     one whose half-life is the middle one. The gradient is that of the last output by the whole state, as in
#     `probes.retention`; what a cure adds to the state counts, too. Networks are in training mode, so dropout drops.
#     Options are the defaults; where a cure has none for an option, its page shows which were taken.
#
#     A long half-life is no promise. It says that a gradient arrives, and not what a network learns from it.
