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
import math

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
plots.say(f"{begin}\n\n{table}\n\n</rv-table>")

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

# %% [markdown]
# ## What training shows
#
# Does a cure help to learn? We trained each network with it and without, in a study that is kept with this package. Each
# cell has two lines.
#
# - **How far back it learnt.** One sign, some steps of noise, then the question for the sign. We tried 20, 60 and 180
#   steps, at three learning rates. A distance counts as learnt where a first seed learnt it, and one of two others did so
#   at the same rate.
# - **Real data.** The share of handwritten digits that it got right, read one pixel at a time. That shows where a cure
#   *hurts*.
#
# Each side is taken at its best rate. The first number is without the cure, the second with it.

# %% tags=["remove-input"]
from rnnvanish.experiments import cure_prices, cure_study, cure_words

short = {"tanh": "plain", "ReLU": "ReLU", "LSTM": "LSTM", "GRU": "GRU"}
study = cure_study.study()
compared = {name: cure_study.compared(name) for name in mitigations.ALL}


def trained(network, before, after):
    """What the table says of a network after training, and with how large a number it is sorted."""
    size = (cure_study.reaches(before, after)[1] or 0) + (after.score or 0)
    name = "ReLU: " if network == "ReLU" else ""
    return f'<span data-size="{size}">{name}{cure_words.in_a_table(before, after)}</span>'


def where(name, effect):
    """The networks on which a cure has an effect, and on what."""
    found = [
        f"{short[network]}: {what}"
        for network, both in compared[name].items()
        for what, measure in {"distance": cure_study.reach_effect, "digits": cure_study.score_effect}.items()
        if measure(*both) == effect
    ]
    return ", ".join(found) or "–"


def price(name):
    """How long a step takes, and how many weights there are, as multiples; with the largest it is sorted."""
    known = {
        network: each
        for network in compared[name] or ("tanh", "LSTM", "GRU")
        if (each := cure_prices.price(name, network))
    }
    if not known:
        return ["missing", "missing"]
    steps = "<br>".join(f"{short[network]} {each.step:.2g} ×" for network, each in known.items())
    weights = max(each.parameters for each in known.values())
    return [f'<span data-size="{max(each.step for each in known.values())}">{steps}</span>', f"{weights:.3g} ×"]


def after_training(name):
    """A cure in the second table."""
    cells = {network: trained(network, *both) for network, both in compared[name].items()}
    plain = cells.get("tanh") or cells.get("ReLU", "–")
    link = rows_by_name[name][0].partition("<br>")[0]
    helps, hurts = where(name, "helps"), where(name, "hurts")
    return [link, plain, cells.get("LSTM", "–"), cells.get("GRU", "–"), helps, hurts, *price(name)]


rows_by_name = dict(zip(found, rows[2:], strict=True))
head = ["Cure", "Plain", "LSTM", "GRU", "Helps", "Hurts", "A step takes", "Weights"]
table = [head, ["---"] * len(head), *(after_training(name) for name in found)]
lines = "\n".join(f"| {' | '.join(cells)} |" for cells in table)
begin = '<rv-table class="rv-trained" counted="cures" label="Cures after training" choices="Helps, Hurts" markdown="1">'
plots.say(f"{begin}\n\n{lines}\n\n</rv-table>")

# %% tags=["remove-input"]
from IPython.display import display

in_sentences = {
    name: [
        *(cure_words.sentences(network, *both) for network, both in results.items()),
        *filter(None, [cure_words.when_not(results)]),
    ]
    if results
    else [cure_study.LEFT_OUT[name]]
    for name, results in compared.items()
}
place = study.origin
left = sum(sum(after.missing.values()) for results in compared.values() for _, after in results.values())
more = f" {left} are missing yet." if left else ""
more += f" {study.since}" if study.since else ""
display(
    {
        "text/markdown": f"This stands on {len(study.rows)} trainings, of {place['date']} on {place['processor']}, torch "
        f"{place['torch']}.{more}",
        "application/vnd.rnnvanish.cures+json": {
            name: {"before": for_pages[name], "trained": in_sentences[name]} for name in in_sentences
        },
    },
    raw=True,
)

# %% tags=["remove-input"]
cures.plain_learns_far.show()

# %% tags=["remove-input"]
cures.chrono_lets_learn_far.show()

# %% [markdown]
# Nobody learns to juggle with seven balls. One starts with two. *Curriculum* is the cure that starts with short sequences.

# %% tags=["remove-input"]
cures.short_first_learns_far.show()

# %% tags=["remove-input"]
cures.nothing_before_the_cut.show()

# %% tags=["remove-input"]
cures.longer_memory_helps_digits.show()

# %% tags=["remove-input"]
cures.training_lengthens_memory.show()

# %% [markdown]
# - *helps* and *hurts*: the distance is longer or shorter; or the share of right digits differs by more than all seeds
#   of both sides together spread. Less than that may be chance.
# - *of 20*: a step with this cure is slow, and only 20 steps back were tried. *Of 60*: as the first seed did not learn
#   60 steps, 180 were not tried.
# - *A step takes*: the time of a training step, beside that without the cure.
#
# ??? info "For engineers"
#     32 units, Adam, 300 steps of 32 sequences at most. Rates 0.003, 0.01 and 0.03; without the first at 180 steps, without
#     the last on digits. What is slow: two rates, and one for gradient flossing and UORO. The other seeds were trained where
#     the first had learnt, and on digits at the rate at which the first was best; what could change nothing was left out. The
#     gradient is clipped at a norm of 1, but where the cure itself clips it. Chrono is told the lag. A training ends as soon
#     as 95 % of the answers are right twice in a row. With seeds that differ by chance alone, one cure in seventy would be
#     said to help or to hurt on digits.
#
#     The study is `cures`: `rnnvanish sweep cures` repeats it. The time of a step was measured in turns with the network
#     without the cure, 61 steps of one feature, the fastest of many; on a processor, with this package's compiled loops where
#     they take the cure.

# %% [markdown]
# ## Which go together
#
# Two cures are not always better than one. Of those that act before training, we took the twelve with which most nearly
# the whole gradient arrives from a hundred steps back. Then we tried every two of them on one fresh network.

# %% tags=["remove-input"] alt="Two stairs of pairs, for a plain network and for an LSTM: twelve cures, each pair once. A sign in each square says whether the pair is better than either alone, as good as the better one, worse than that, or worse than both. The lists below say which cancel."
import matplotlib.pyplot as plt
from matplotlib.colors import ListedColormap

from rnnvanish.experiments import cure_pairs

signs = {
    "better than either": "+",
    "as the better one": "=",
    "worse than the better one": "–",
    "worse than either": "×",
    "do not go together": "",
}
pairs = {network: cure_pairs.verdicts(network) for network in cure_pairs.record()["networks"]}
figure, panels = plt.subplots(len(pairs), 1, figsize=(6.4, 4.9 * len(pairs)), layout="constrained")
for ax, (network, verdicts) in zip(panels, pairs.items(), strict=True):
    cures_of_it = cure_pairs.names(network)
    levels = [[math.nan] * len(cures_of_it) for _ in cures_of_it]
    for (one, other), said_of_both in verdicts.items():
        column, row_ = sorted((cures_of_it.index(one), cures_of_it.index(other)))  # each pair once, below its names
        levels[row_][column] = list(signs).index(said_of_both)
        ax.text(column, row_, signs[said_of_both], ha="center", va="center", color="#1a1a1a")
    ax.imshow(levels, cmap=ListedColormap(["#7fc8a9", "#dfe7ee", "#f4d58d", "#e88b7d", "#ffffff00"]), vmin=0, vmax=4)
    for column, name in enumerate(cures_of_it[:-1]):
        ax.text(column - 0.3, column + 0.35, name, rotation=30, rotation_mode="anchor", va="bottom")
    ax.set_yticks(range(1, len(cures_of_it)), cures_of_it[1:])
    ax.set(xticks=[], ylim=(len(cures_of_it) - 0.5, -2.2), xlim=(-0.5, len(cures_of_it) + 1.5))
    ax.set_title(names[network], pad=36, x=-0.45)
    ax.spines[["left", "bottom"]].set_visible(False)
    ax.tick_params(length=0)
    ax.grid(visible=False)
plt.show()

# %% tags=["remove-input"]
lists = []
for network, verdicts in pairs.items():
    for kind, word in {"better than either": "combine", "worse than either": "cancel"}.items():
        which = [f"{one} and {other}" for (one, other), each in verdicts.items() if each == kind]
        lists.append(f"- **{names[network]}, {word}:** {'; '.join(which) or 'none'}.")
plots.say("\n".join(lists))

# %% [markdown]
# - **+** better than either: more nearly the whole gradient arrives than with the better one of the two.
# - **=** as the better one: the other adds nothing, and takes nothing.
# - **–** worse than the better one alone.
# - **×** worse than either alone. They cancel.
# - An empty square: the two do not go together in one network.
#
# ??? info "For engineers"
#     What counts is the distance of the gain at lag 100 from 1, in powers of ten; less than a factor of two is no
#     difference. Draws act before builds; of two draws of the same weights the later one counts. No network was trained for
#     this: what two cures do to learning is not measured here. Stored; `python -m rnnvanish.experiments.cure_pairs` measures
#     it anew.
