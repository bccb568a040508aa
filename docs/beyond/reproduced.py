# ---
# description: What papers report of recurrent networks, tried again. Where it comes out the same, and where it does not.
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Reproduced
#
# A recipe is good when another cook gets the same cake. It is so with science, too. A result that only its finder gets is
# none.
#
# Many papers report which networks learn to remember. They use a few tasks, again and again. We took these tasks, built the
# networks anew, and trained them. Does the same come out?
#
# Our kitchen is small: networks of a few dozen units, each trained for some seconds. Where a paper used more, we say so.

# %% tags=["remove-input"]
import statistics
from collections import defaultdict

from rnnvanish import plots, studies

HOCHREITER = "[Hochreiter & Schmidhuber, 1997](https://doi.org/10.1162/neco.1997.9.8.1735)"
BAI = "[Bai, Kolter & Koltun, 2018](https://arxiv.org/abs/1803.01271)"
CHANG = "[Chang and others, 2019](https://arxiv.org/abs/1902.09689)"
ENGELKEN = "[Engelken, 2023](https://arxiv.org/abs/2312.17306)"
#: What papers report, read in their text, by task and network: in words, as a number that is drawn (sequences, or the part that
#: is right), whether it learns (None: they have another length, or do not say), and where it stands.
PUBLISHED = {
    ("adding", 99): {
        "LSTM of 1997": [
            ("74,000 sequences", 74_000, True, f"{HOCHREITER}, table 7: 100 to 110 steps, 4 cells, mean of 10")
        ],
        "GRU": [("learns 600 steps: error 0.00005", None, None, f"{BAI}, table 1")],
        "LSTM": [("does not learn 600 steps: error 0.164", None, None, f"{BAI}, table 1")],
        "plain": [("does not learn 600 steps: error 0.177", None, None, f"{BAI}, table 1")],
    },
    ("temporalorder", 90): {
        "LSTM of 1997": [("31,390 sequences", 31_390, True, f"{HOCHREITER}, table 9, task 6a: 4 cells, mean of 20")],
    },
    ("digits", None): {
        "LSTM": [
            ("87.2 %", 0.872, None, f"{BAI}, table 1: MNIST, 784 pixels, 70,000 weights"),
            ("97.3 %", 0.973, None, f"{CHANG}, table 1: the same, 128 units"),
        ],
        "GRU": [("96.2 %", 0.962, None, f"{BAI}, table 1")],
        "plain": [("21.5 %", 0.215, None, f"{BAI}, table 1")],
    },
    ("digits(permuted=True)", None): {
        "LSTM": [
            ("85.7 %", 0.857, None, f"{BAI}, table 1: MNIST, 784 pixels, 70,000 weights"),
            ("92.6 %", 0.926, None, f"{CHANG}, table 1: the same, 128 units"),
        ],
        "GRU": [("87.3 %", 0.873, None, f"{BAI}, table 1")],
        "plain": [("25.3 %", 0.253, None, f"{BAI}, table 1")],
    },
    ("copying", 60): {
        "LSTM": [("below 20 % from fewer than 50 steps on", None, False, f"{BAI}, section 5.4: 10,000 weights")],
        "GRU": [("below 20 % from fewer than 200 steps on", None, None, f"{BAI}, section 5.4: 10,000 weights")],
    },
    ("multiplication", 98): {
        "LSTM of 1997": [
            ("482,000 sequences", 482_000, True, f"{HOCHREITER}, table 8: 100 to 110 steps, 4 cells, mean of 10"),
        ],
    },
    ("adding", 199): {
        "GRU": [("does quite well", None, True, f"{BAI}, section 5.2 and figure 2: 200 steps, 70,000 weights")],
        "LSTM": [("does much worse", None, False, f"{BAI}, section 5.2 and figure 2")],
        "plain": [("does much worse", None, False, f"{BAI}, section 5.2 and figure 2")],
    },
}
#: By task: its title, what is asked, and in what the paper's way differs from ours.
TASKS = {
    ("adding", 99): (
        "Adding, 100 steps",
        "Two of 100 numbers are marked. What is their sum?",
        (
            "The paper of 1997 has numbers from -1 to 1, both marks in the first half, one sequence at a time, and plain descent. It "
            "stops when 2,000 in a row are right to 0.04. We stop sooner: when the error is a tenth of what no memory costs."
        ),
    ),
    ("temporalorder", 90): (
        "Temporal order, 101 steps",
        "Two letters among 101 count, each an X or a Y. Which was first, which second?",
        (
            "The paper has 100 to 110 steps, one sequence at a time, and plain descent. It stops when 2,000 in a row are right. We "
            "stop sooner: when 95 % are."
        ),
    ),
    ("digits", None): (
        "Digits, pixel by pixel",
        "A handwritten digit comes as a row of 64 grey dots. Which digit is it?",
        (
            "The papers have MNIST: 60,000 images of 784 dots to learn from. Ours are the 1,442 small ones of scikit-learn. So the "
            "heights differ. What can be compared is the order of the networks."
        ),
    ),
    ("digits(permuted=True)", None): (
        "Digits, pixels in another order",
        "The same dots, shuffled, always in the same way. So neighbours are far apart.",
        "The same, and the shuffle is another one.",
    ),
    ("copying", 60): (
        "Copying, 50 steps later",
        "Ten letters come first. Then one has to wait for 50 steps, and write them down.",
        "The paper gives a curve, and in words where it falls. It trained longer, and chose among optimisers.",
    ),
    ("multiplication", 98): (
        "Multiplication, 100 steps",
        "As adding, but the product is asked for, and both marks stand in the first half.",
        "One sequence at a time, and plain descent. The paper stops when fewer than 140 of 2,000 in a row are wrong.",
    ),
    ("delayedxor", 20): (
        "Delayed XOR, 20 steps back",
        "A row of bits. At each step: do the bits of 10 and of 20 steps ago differ? Who guesses is right half the time.",
        f"The task is that of {ENGELKEN}, which shows curves and no figures. There the error is squared.",
    ),
    ("adding", 199): (
        "Adding, 200 steps",
        "Two of 200 numbers are marked. What is their sum?",
        "The paper's networks are larger, and it shows a curve.",
    ),
}
#: Tasks in which it counts how soon they are learnt; in the others, how many answers are right.
SOON = {"adding", "temporalorder", "multiplication"}
NAMES = {
    ("Elman", ""): "plain",
    ("Elman", "OrthogonalStart"): "plain with orthogonal start",
    ("Elman", "OrthogonalConstraint"): "plain that stays orthogonal",
    ("Elman(nonlinearity='relu')", "Identity(input_std=0.001)"): "ReLU with identity start",
    ("LSTM1997", ""): "LSTM of 1997",
}
STARTS = {
    "": "",
    "OpenGate(1.0)": " with open gate",
    "Chrono(span={lag})": " with chrono start",
    "Chrono(span=64)": " with chrono start",
}


def named(row):
    """A network in plain words."""
    cell, start = row["cell"], row["mitigations"]
    return NAMES.get((cell, start)) or f"{cell}{STARTS[start]}"


found = studies.results("reproduced")
by_task = {key: defaultdict(list) for key in TASKS}
for row in found.rows:
    if row["final"]:
        by_task[row["task"], row["lag"]][named(row)].append(row)
tried = {key: rows for key, rows in by_task.items() if rows}
names = list(dict.fromkeys(named(vars(trial)) for trial in found.study.trials()))
left = len(found.missing) + found.to_come
seeds = found.study.every("final_seeds")
plots.say(
    f"{len(found.rows)} networks are trained, "
    + (f"and {left} of those that we planned are not. " if left else "all that we planned. ")
    + f"Each kind is tried at four learning rates, with two draws of its weights. Then it is trained {len(seeds)} times "
    "more, at the rate that was best, with fresh draws. Only these count, and each is a dot below."
)

# %% tags=["remove-input"] alt="A chart for each task with a row for each network: a dot for each of its fresh draws shows after how many sequences it had learnt the task, or how many answers are right. A diamond is what a paper reports. The tables below have the same numbers." caption="A dot is a draw, a diamond what a paper reports. A dot in the grey had not learnt it when its training ended."
import matplotlib.pyplot as plt

height = sum(1.1 + 0.2 * len(names) for _ in tried)
figure, axes = plt.subplots(len(tried) or 1, 1, figsize=(6.4, max(height, 2)), squeeze=False, layout="constrained")
for ax, ((task, lag), rows) in zip(axes[:, 0], tried.items(), strict=False):
    soon = task in SOON
    order = [name for name in names if name in rows or name in PUBLISHED.get((task, lag), {})]
    budget = max(row["budget"] * row["batch_size"] for each in rows.values() for row in each)
    for place, name in enumerate(order):
        for draw, row in enumerate(rows.get(name, [])):
            learnt = row["solved"] is not None
            value = (row["solved"] if learnt else 1.35 * row["budget"]) * row["batch_size"] if soon else row["score"]
            ax.plot(
                value if value is not None else 0.0,
                place + 0.09 * (draw - 2),
                "o",
                color="C0" if learnt or not soon else "0.5",
                ms=4,
            )
        for _, number, *_ in PUBLISHED.get((task, lag), {}).get(name, []):
            if number is not None:
                ax.plot(number, place, "D", mfc="none", color="C1", ms=7)
    if soon:
        ax.axvspan(1.15 * budget, 1.6 * budget, color="0.5", alpha=0.2, lw=0)
        ax.set(xscale="log", xlabel="sequences until it is learnt")
        low, high = ax.get_xlim()
        marks = [mark for mark in (1_000, 3_000, 10_000, 30_000, 100_000, 300_000) if low <= mark <= high]
        ax.set_xticks(marks, [f"{mark:,}" for mark in marks])
        ax.minorticks_off()
    else:
        ax.set(xlim=(-0.02, 1.02), xlabel="answers that are right")
        ax.set_xticks([0, 0.25, 0.5, 0.75, 1], ["none", "25 %", "50 %", "75 %", "all"])
    ax.set_yticks(range(len(order)), order)
    ax.set_title(TASKS[task, lag][0])
    ax.invert_yaxis()
if tried:
    plt.show()
else:
    plt.close(figure)

# %% [markdown]
# ## Does the same come out?

# %% tags=["remove-input"]
compared, otherwise = 0, []
for key, published in PUBLISHED.items():
    for name, figures in published.items():
        rows, said_to = by_task[key].get(name), figures[0][2]
        if rows and said_to is not None:
            compared += 1
            learnt = sum(row["solved"] is not None for row in rows)
            if (learnt > len(rows) / 2) != said_to:
                what = "learns it" if said_to else "does not"
                otherwise.append(
                    f"{name} at *{TASKS[key][0]}* (in print it {what}, here {learnt} of {len(rows)} draws do)"
                )
plots.say(
    f"A paper says of {compared} of our networks whether it learns the same task over the same length. "
    f"{compared - len(otherwise)} of these come out as in print."
    + (f" Otherwise: {'; '.join(otherwise)}." if otherwise else "")
    if compared
    else "Nothing that can be compared is trained yet."
)

# %% [markdown]
# How *soon* a task is learnt can be compared with less right. We train with Adam, with 32 sequences at once and with larger
# networks than in 1997, and we stop sooner. So ours ought to need fewer sequences.
#
# ## Task by task
#
# *Learnt by* says how many of the fresh draws had learnt the task when their training ended. *Soon* says after how many
# sequences: the middle one, and below it the first and the last. *Right* says how many answers are right on sequences that
# it has not seen. Digits are trained to the end, and only *right* counts.

# %% tags=["remove-input"]


def spread(values, form):
    """The middle of some values, and the range; a dash where there is none."""
    if not values:
        return "–"
    return f"{statistics.median(values):{form}}<br><small>{min(values):{form}}–{max(values):{form}}</small>"


def table(key):
    """What came out for a task, beside what papers report."""
    rows, published = by_task[key], PUBLISHED.get(key, {})
    head = ["network", "learnt by", "soon" if key[0] in SOON else "right", "in print", "learning rate"]
    to_the_end = key[0].startswith("digits")
    lines = [head, ["---"] * len(head)]
    for name in [each for each in names if each in rows or each in published]:
        ours = rows.get(name, [])
        learnt = [row["solved"] * row["batch_size"] for row in ours if row["solved"] is not None]
        right = [row["score"] for row in ours if row["score"] is not None]
        said = "<br>".join(f"{what}<br><small>{where}</small>" for what, _, _, where in published.get(name, []))
        lines.append(
            [
                name,
                "not tried" if not ours else "–" if to_the_end else f"{len(learnt)} of {len(ours)}",
                spread(learnt, ",.0f") if key[0] in SOON else spread(right, ".0%"),
                said or "–",
                ", ".join(sorted({f"{row['lr']:g} ({row['optimizer']})" for row in ours})) or "–",
            ]
        )
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def summary(key):
    """Who learns a task most often, or best, in a sentence."""
    rows = by_task[key]
    if not rows:
        return "Ours are not trained yet."
    if key[0] in SOON:
        able = [name for name, each in rows.items() if sum(row["solved"] is not None for row in each) > len(each) / 2]
        return f"Most draws of these learn it: {', '.join(able)}." if able else "Of none of ours most draws learn it."
    middle = {name: statistics.median([row["score"] or 0.0 for row in each]) for name, each in rows.items()}
    if not key[0].startswith("digits") and not any(row["solved"] for each in rows.values() for row in each):
        return f"None of ours learns it: of no network are more than {max(middle.values()):.0%} of the answers right."
    if len(middle) < 2:
        return "Of ours only one is trained yet."
    first, last = (choose(middle, key=middle.get) for choose in (max, min))
    said = f"The most answers are right with {first}: {middle[first]:.0%}. The fewest with {last}: {middle[last]:.0%}."
    printed = {
        name: figures[0][1] for name, figures in PUBLISHED.get(key, {}).items() if name in middle and figures[0][1]
    }
    if len(printed) > 1:
        best, worst = (choose(printed, key=middle.get) for choose in (max, min))
        orders = [" > ".join(sorted(printed, key=each.get, reverse=True)) for each in (printed, middle)]
        here = "as well" if orders[0] == orders[1] else orders[1]
        if min(row["score"] or 0.0 for row in rows[best]) <= max(row["score"] or 0.0 for row in rows[worst]):
            here = "their draws overlap, so that there is no order"
        said += f" In print: {orders[0]}. Here {here}."
    return said


for key, (title, asked, differs) in TASKS.items():
    rows = [row for each in by_task[key].values() for row in each]
    plots.say(f"### {title}\n\n{asked} {summary(key)}")
    if rows or key in PUBLISHED:
        plots.say(table(key))
    if rows:
        widths = " or ".join(str(width) for width in sorted({row["hidden_size"] for row in rows}))
        plots.say(
            f"*Ours:* {widths} units, at most {max(row['budget'] for row in rows):,} steps with {rows[0]['batch_size']} "
            "sequences each."
        )
    plots.say(f"*What differs:* {differs}")

# %% [markdown]
# ## What is missing

# %% tags=["remove-input"]
open_tasks = [title for key, (title, *_) in TASKS.items() if not by_task[key]]
partly = [
    title
    for key, (title, *_) in TASKS.items()
    if by_task[key] and any(len(rows) < len(seeds) for rows in by_task[key].values())
]
said = [f"Not trained yet: {', '.join(open_tasks)}." if open_tasks else "Every task has been trained."]
if partly:
    said.append(f"Not all draws are there: {', '.join(partly)}.")
if found.failed:
    said.append(f"{len(found.failed)} trainings broke off by an error.")
diverged = sum(row["diverged"] is not None for row in found.rows if row["final"])
highest = defaultdict(float)
for row in found.rows:
    network = row["task"], row["lag"], named(row)
    highest[network] = max(highest[network], row["lr"])
chosen = [each[0]["lr"] == highest[*key, name] for key, rows in tried.items() for name, each in rows.items()]
said.append(
    f"Of {len(chosen)} pairs of a network and a task {sum(chosen)} have the highest of their rates as the best: a higher one may do better."
)
if diverged:
    said.append(f"Of the fresh draws {diverged} ended because their loss was no number any more.")
dates, commits = (sorted({row[each] for row in found.rows}) for each in ("date", "commit"))
said.append(f"The results are stored: {', '.join(map(str, dates))}, commit {', '.join(map(str, commits))}.")
if found.since:
    said.append(found.since)
plots.say(" ".join(said))

# %% [markdown]
# Small networks and short training say who learns *soon*. They do not say who could ever. Where no paper gives a figure, or
# we could not read it in the paper itself, there is a dash. So the identity start has none, although its paper is known for
# its digits: we did not find its text.
#
# ## Do it again
#
# ```sh
# make reproduce                          # in a clone; can be stopped, and goes on where it was
# rnnvanish sweep reproduced --dry-run    # how long it takes at most
# rnnvanish train --task temporalorder --cell LSTM --mitigations "Chrono(span=90)" --until_solved  # one of them
# ```
#
# ??? info "For engineers"
#     A regression is learnt when its loss on unseen sequences is a tenth of what the best constant costs; a classification
#     when 95 % are right; both in two validations in a row, and training ends there. Digits are trained to the end of their
#     budget. The gradient is clipped at norm 1. The rate is that at which most of two draws learn, then the soonest, then
#     the one with the lowest loss. RMSprop has torch's own smoothing (0.99), where papers have 0.9.
#
#     The definitions: [tasks](../reference/tasks.md). Adding has one mark in each half, as in Arjovsky, Shah & Bengio (2016).
#     The study: `records/studies/reproduced.yaml`; from Python `studies.results("reproduced")`.
