# ---
# description: Compare cells and cures on a task with rnnvanish sweep, from one process on a laptop to a cluster.
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Guide: compare networks
#
# Which network learns your task? One run says little. Another seed, or another learning rate, and the answer may be
# another one. So one trains many networks, and counts. A **study** says which. `rnnvanish sweep` trains them, and loses
# nothing.
#
# ## Write down what you compare
#
# A study is a small file of lists. Each combination of what the lists hold is a *trial*: one network that is trained once.
#
# ```yaml
# # mine.yaml
# name: mine
# cells: [GRU]
# mitigations: ["", "Chrono(span={lag})"]  # as it is drawn, and with a cure
# tasks: [recall]
# lags: [5, 20]     # steps between what is to be remembered and the question for it
# lrs: [0.01]       # learning rates
# seeds: [0, 1]
# hidden_sizes: [16]
# steps: 100        # of training, at most; who has solved the task stops
# ```
#
# ```sh
# rnnvanish sweep mine.yaml --dry-run  # how many trials, and how long they take at most
# rnnvanish sweep mine.yaml
# ```
#
# [All cells](../reference/cells.md), [all cures](../cures.py) and [all tasks](../reference/tasks.md) of this package can
# stand in the lists, and a task of your own by its place: `my_task.py:MyTask`. A misspelt name is refused, with the names
# there are. `schedule: cosine` lowers the learning rate while a network is trained, and `weight_decay` is that of the optimiser.
# The cure `RecurrentRate(0.1)` gives the weights of the recurrence a tenth of the rate.
#
# The same from Python:

# %%
from rnnvanish import studies
from rnnvanish.studies.run import sweep

study = studies.Study(
    "mine",
    cells=["GRU"],
    mitigations=["", "Chrono(span={lag})"],
    tasks=["recall"],
    lags=[5, 20],
    lrs=[0.01],
    seeds=[0, 1],
    hidden_sizes=[16],
    steps=100,
)
sweep(study, studies.Store("studies/mine"))
found = studies.results("mine")
print(found)

# %% [markdown]
# ## Look at what came out
#
# `found.rows` has a row for each trial. The share of seeds that learnt the task, by lag:

# %%
for network, by_lag in found.success("recall").items():
    print(f"{network:<25}", {lag: f"{share:.0%}" for lag, share in by_lag.items()})

# %% [markdown]
# Where a study has several learning rates, each network is shown at the one at which most of its seeds learnt. The rule is
# the same for all of them. So none is beaten by a rate that suits another.
#
# Who may choose the rate on the very runs that count is a little too lucky. `final_seeds: [2, 3, 4]` in the file asks for a
# second pass: each network is trained once more, at its own best rate, with seeds that had no part in the choice. Then they
# count alone. `row["final"]` says which rows they are.
#
# ```sh
# rnnvanish sweep mine.yaml --plot mine.svg      # the same as a picture
# rnnvanish sweep mine.yaml --export mine.csv    # a row a trial; .parquet, too
# rnnvanish sweep mine.yaml --status             # how far it is, from another window
# rnnvanish sweep mine.yaml --tensorboard        # each trial for TensorBoard
# ```
#
# ## Stop it, kill it, go on
#
# Each result is a file of its own. It is written whole when its trial ends. So you may press Ctrl+C, close the laptop or
# lose the power: the same command goes on, and does no finished trial again. `--stop`, from another window, lets the
# trials end that are running.
#
# A trial that fails does not stop the others. Its error is kept. `--retry` runs it again.
#
# Add a seed or a lag to the file, and only the new trials are run. Results that older code made are named as such.
# Is the folder gone, and a file that `--export mine.json` wrote left? `--begin_with mine.json` goes on from it.
#
# ## Use all cores
#
# ```sh
# pip install ".[train,cluster]"         # brings Lightning and Ray
# rnnvanish sweep mine.yaml --workers 4  # four trials at a time
# ```
#
# You can also just start the same command twice. Two sweeps in one folder share the work, and do no trial twice.
#
# ## Use a cluster
#
# ```sh
# ray start --head --port 6379             # on the first machine
# ray start --address 10.0.0.1:6379        # on each of the others
# rnnvanish sweep mine.yaml --address 10.0.0.1:6379
# ```
#
# Each machine needs this package, and nothing else: results come back to the one where the sweep runs. A trial whose
# machine is lost begins again on another. `--cpus 2` gives each trial two cores, `--gpus 0.25` a quarter of a GPU; the
# study says `accelerator: gpu` then. `--gpus 2 --devices 2` lets two GPUs share each batch of a trial.
#
# No cluster, but several machines? Sweep on each a study with other seeds, and copy the files of the folders into one. Then
# a study that names all the seeds finds its trials done. A trial is named by all that it is made of. So results never mix.
#
# ## A million trials
#
# A sweep adds about two thousandths of a second to each trial, however many there are. One sweep hands out about 450 trials
# in a second. With trials of ten seconds that keeps 4,500 workers busy. So the sweep is not what breaks first.
#
# The folder is. A million results are a million files, and the same command reads all of them when it goes on: three
# minutes on a disk of this machine, an hour where each file takes four thousandths of a second, over a network. So cut the study into parts, by its seeds, for example:
# each part has a file, a sweep and a folder of its own. Copy the folders into one in the end, and write all results into
# one file: `--export all.json`. What reads them later reads that.
#
# ??? info "For engineers: the arithmetic"
#     Measured with trials that do nothing, on two workers of a busy machine with two cores (`make bench` has it for yours):
#
#     | what | for each trial | for a million |
#     |---|---|---|
#     | handed out, taken back, written; seconds on the clock | 2.2 ms; of it Ray 0.7 ms and the file 0.5 ms of CPU | 37 min, for one sweep |
#     | memory for the list of trials | 0.46 kB | 0.5 GB |
#     | memory that the sweep gains beside it | 5 MB after 1,000 trials, 10 after 10,000, 14 after 30,000 | levels off |
#     | the file | 1.2 kB, 4.1 kB on disk | 4.1 GB, a million files |
#     | to read it when the sweep goes on | 0.17 ms; over a network it may be 4 ms | 3 min; 67 min |
#     | to read it for `studies.results` | 0.16 ms, 2 kB of memory | 3 min, 2 GB |
#
#     With trials of a tenth of a second on two workers that was 4.6 % of their time where nothing else ran, and 5 to 7 % where
#     much did; with trials of a second it comes to half a percent.
#
#     What breaks, in this order: reading the folder, the memory of `studies.results`, the one process that hands out. The
#     key of a trial is the hash of its configuration, so sweeps can share a study by it: of k sweeps each takes the trials
#     whose key leaves its number when divided by k, into a folder of its own. Folders by the first two digits of the key
#     hold 3,900 files each. Both are changes of a few lines in `studies/store.py`. An object store, by fsspec, takes its
#     place behind the same five methods: a put is whole or not there, as a file that was renamed is. It has no locks; the
#     parts by hash take their place.
#
# ??? info "For engineers"
#     A trial is a function of its configuration alone. Its file is named by the hash of that, and holds steps until solved,
#     curves of loss and accuracy, half-life before and after, parameters, seconds and memory, and where, when and by which
#     commit it was made. Solved means: 95 % of the answers to a classification, or a tenth of the floor of a regression, in
#     two validations in a row. `studies.results` also reads a folder, or a file that `--export mine.json` wrote.
#
# A real study, and what came of it: [Who learns to remember](../beyond/study.py).
