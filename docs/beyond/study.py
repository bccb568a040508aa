# ---
# description: Plain networks, GRUs and LSTMs, each with three starts, on two tasks. Who learns to remember, and how far back?
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Who learns to remember
#
# Some networks are told nothing of what lies far back. A better start can change that. Does it change what they *learn*?
#
# We try plain networks, GRUs and LSTMs, each with three starts. Two tasks ask them to remember something for a number of
# steps. In *recall* it is one sign, behind which comes noise. In *adding* it is two numbers, which are to be added. Each
# network is trained at several learning rates. And then we count.

# %% tags=["remove-input"]
import statistics

from rnnvanish import plots, studies
from rnnvanish.numerals import in_words

found = studies.results("first")
study, whole = found.study, len(found.rows) + len(found.missing)
tasks, seeds, lags, rates = (study.every(each) for each in ("tasks", "seeds", "lags", "lrs"))
CELLS = {"Elman": "plain", "Elman(nonlinearity='relu')": "plain"}
STARTS = {"as drawn": "as PyTorch draws it", "OrthogonalStart": "orthogonal start", "Identity": "ReLU, identity start"}
STARTS |= {"OpenGate": "open gate", "Chrono(span={lag})": "chrono start"}


def named(network):
    """The cell and the start of a network, in plain words."""
    cell, _, start = network.partition(", ")
    return CELLS.get(cell, cell), STARTS.get(start, start)


shares = {task: {named(network): by_lag for network, by_lag in found.success(task).items()} for task in tasks}
networks = list(dict.fromkeys(network for by_network in shares.values() for network in by_network))
plots.say(
    f"{whole} trials: {len(rates)} rates from {min(rates)} to {max(rates)}, {len(seeds)} seed{'s' * (len(seeds) > 1)}. "
    f"{'All' if not found.missing else f'So far {len(found.rows)}'} of them have a result. At each number of steps a network "
    "is shown at the rate at which most of its seeds learn, by the same rule for all."
    f"{' It is said to learn where most of its seeds do.' if len(seeds) > 1 else ''}"
)

# %% tags=["hide-input"] alt="Two bar charts, one for each task: how many steps back each network with each start learns to remember, on an axis of doublings. The table below has the same numbers, and the shares of seeds." caption="A bar ends at the longest distance that more than half of the seeds learn, and all shorter ones too."
import matplotlib.pyplot as plt

cells = list(dict.fromkeys(cell for cell, _ in networks))


def farthest(by_lag):
    """The longest distance that most seeds learn, with all shorter ones; None where there is none."""
    learnt = None
    for lag in sorted(by_lag):
        if by_lag[lag] <= 0.5:
            break
        learnt = lag
    return learnt


figure, axes = plt.subplots(len(tasks), 1, figsize=(5.2, 0.36 * len(networks) * len(tasks) + 1.2), squeeze=False)
rows = sorted(networks, key=lambda network: cells.index(network[0]))
for ax, task in zip(axes[:, 0], tasks, strict=True):
    for row, network in enumerate(rows):
        found_far = farthest(shares[task].get(network, {}))
        colour = f"C{cells.index(network[0])}"
        if found_far is None:
            ax.text(min(lags) / 2 * 1.05, row, "none", va="center", color=colour)
            continue
        ax.barh(row, found_far - min(lags) / 2, left=min(lags) / 2, height=0.62, color=colour)
        ax.text(found_far * 1.04, row, str(found_far), va="center")
    ax.set(xscale="log", xlim=(min(lags) / 2, max(lags) * 1.25), title=f"{task}: steps back that most seeds learn")
    ax.set_yticks(range(len(rows)), [f"{cell}, {start}" for cell, start in rows])
    ax.set_xticks(lags, [str(lag) for lag in lags])
    ax.minorticks_off()
    ax.set_ylim(len(rows) - 0.4, -0.7)
    ax.grid(visible=False, axis="y")
plt.show()

# %% tags=["remove-input"]
longest = {task: max(lag for by_lag in shares[task].values() for lag in by_lag) for task in tasks}
for task, lag in longest.items():
    tried = {f"{cell} ({start})": by_lag[lag] for (cell, start), by_lag in shares[task].items() if lag in by_lag}
    able = [network for network, share in tried.items() if share > 0.5]
    names = f": {', '.join(able)}" if 0 < len(able) < len(tried) else ""
    plots.say(f"Over {lag} steps {len(able) or 'none'} of {len(tried)} networks learn *{task}*{names}.")

# %% [markdown]
# ## In numbers
#
# The share of seeds that learn each task, by the steps to remember. The half-life is that of the gradient before any
# training, on the first task, at the longest of these distances. It is the middle one of all seeds.

# %% tags=["remove-input"]
half_lives = {}
for trial in found.where(task=tasks[0], lag=longest[tasks[0]]):
    name = named(f"{trial['cell']}, {trial['mitigations'] or 'as drawn'}")
    half_lives.setdefault(name, []).append(trial["half_life_before"])


def half_life(network):
    """The middle half-life of a network; a dash where none was measured."""
    measured = [each for each in half_lives.get(network, []) if each is not None]
    return in_words(statistics.median(measured)) if measured else "–"


def share(task, network, lag):
    """The share of seeds; a dash where nothing was measured."""
    by_lag = shares[task].get(network, {})
    return f"{by_lag[lag]:.0%}" if lag in by_lag else "–"


tried = [(task, lag) for task in tasks for lag in lags if any(lag in by_lag for by_lag in shares[task].values())]
head = ["network", "start", "half-life, steps", *(f"{task}, {lag}" for task, lag in tried)]
rows = [[*each, half_life(each), *(share(task, each, lag) for task, lag in tried)] for each in networks]
plots.say("\n".join(f"| {' | '.join(row)} |" for row in [head, ["---"] * len(head), *rows]))

# %% [markdown]
# ## How far this goes

# %% tags=["remove-input"]
dates, commits = ({row[each]: None for row in found.rows} for each in ("date", "commit"))
plots.say(
    f"Networks of {', '.join(map(str, study.every('hidden_sizes')))} units, trained by {', '.join(study.every('optimizers'))} "
    f"for {study.steps} steps at most, {study.batch_size} sequences in each: this says who learns *soon*, and not who could "
    f"ever. The results are stored: {', '.join(sorted(dates))}, commit {', '.join(commits)}."
    f"{' ' if found.since else ''}{found.since}"
    f"{' Of one seed each: chance has its part in every number.' if len(seeds) == 1 else ''}"
)

# %% [markdown]
# ## Reproduce it
#
# ```sh
# rnnvanish sweep first --dry-run  # how long it takes
# rnnvanish sweep first
# ```
#
# How to write a study of your own: [Guide: compare networks](../guides/sweep.py).
