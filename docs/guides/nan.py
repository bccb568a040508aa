# ---
# description: "The loss is nan: which batch, which line, which step it begins at, forward or backward; the usual causes, each with its finding and its mend."
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Guide: where does the nan begin?
#
# *nan* means: not a number. One division by zero makes one nan. All that touches it becomes nan as well: the sum, the loss,
# the gradient, and with the next step every weight. When you see it, it is everywhere. So the question is not where it is,
# but where it **began**.
#
# Here is a reader of short texts. It weighs the words by attention. A mask hides what lies beyond the end of a text.

# %%
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class Reader(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed, self.gru = nn.Embedding(50, 16), nn.GRU(16, 24, batch_first=True)
        self.score, self.head = nn.Linear(24, 1), nn.Linear(24, 2)

    def forward(self, words, lengths):
        states, _ = self.gru(self.embed(words))
        scores = self.score(states)[..., 0]
        hidden = torch.arange(words.shape[1]) >= lengths[:, None]
        weights = scores.masked_fill(hidden, -torch.inf).softmax(-1)
        return self.head((weights[..., None] * states).sum(1))


generator = torch.Generator().manual_seed(0)
words = torch.randint(50, (400, 12), generator=generator)
lengths = torch.randint(1, 13, (400,), generator=generator)
lengths[137] = 0  # an empty text, as it happens
answers = (words[:, 0] < 25).long()
loader = DataLoader(TensorDataset(words, lengths, answers), batch_size=16)

torch.manual_seed(0)
model = Reader()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
losses = []
for words, lengths, answers in loader:
    loss = nn.functional.cross_entropy(model(words, lengths), answers)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
print([round(loss, 2) for loss in losses])

# %% [markdown]
# At some batch it begins, and never ends. Now even good batches give nan, since the weights are nan.
#
# ## Ask
#
# Take the model as it was before, and all that it read.

# %%
from rnnvanish import probes

torch.manual_seed(0)
found = probes.first_nan(Reader(), loader, loss=nn.CrossEntropyLoss())
print(found)

# %% tags=["remove-input"]
from rnnvanish import plots

plots.say(
    f"Batch {found.batch}, text {found.index[0]} of it. Its length is 0, so the mask hides all of its words. A softmax shares "
    "100 % out among what is left. Here nothing is left."
)

# %% [markdown]
# The minus infinities of the mask are no fault: they are in every batch, and meant so. What is looked for is the line that
# turns them, or ordinary numbers, into what spoils the loss. The mend: let every text keep one word.


# %%
class Mended(Reader):
    def forward(self, words, lengths):
        return super().forward(words, lengths.clamp(min=1))


torch.manual_seed(0)
print("found now:", probes.first_nan(Mended(), loader, loss=nn.CrossEntropyLoss()))

# %% [markdown]
# ## The usual causes
#
# Six causes are met again and again. Here are five, each on two lines, behind the same small layer. `diagnose` says the same
# where it meets one.


# %%
class Small(nn.Module):
    def __init__(self, behind):
        super().__init__()
        self.gru, self.behind = nn.GRU(2, 8, batch_first=True), behind

    def forward(self, x):
        return self.behind(self.gru(x)[0])


LENGTHS = torch.tensor([9, 0, 4])


def chance(states):
    chances = torch.softmax(400 * states[:, -1], -1)
    return chances.log()


def mean_over_length(states):
    inside = (torch.arange(9) < LENGTHS[:, None])[..., None]
    return (states * inside).sum(1) / LENGTHS[:, None]


def hidden_row(states):
    hidden = torch.arange(9) >= LENGTHS[:, None]
    return states.sum(-1).masked_fill(hidden, -torch.inf).softmax(-1)


def spread(states):
    variance = states[:, -1:].var(1, unbiased=False)
    return variance.sqrt()


def half_precision(states):
    energy = (1000 * states.half()) ** 2
    return (energy / energy.sum()).float()


x = torch.randn(3, 9, 2, generator=torch.Generator().manual_seed(0))
for behind in (chance, mean_over_length, hidden_row, spread, half_precision):
    torch.manual_seed(0)
    print(f"{behind.__name__}\n{probes.first_nan(Small(behind), x)}\n")

# %% [markdown]
# Note the fourth: **backward**. Its loss is a fine number. Only the gradient is not: the slope of a root at zero is infinite.
# A spread of one single step is zero, and so is a distance of two things that are alike.
#
# What to write instead, and the check that it helps:


# %%
def log_of_chance(states):
    return torch.log_softmax(400 * states[:, -1], -1)


def mean_over_some(states):
    inside = (torch.arange(9) < LENGTHS[:, None])[..., None]
    return (states * inside).sum(1) / LENGTHS.clamp(min=1)[:, None]


def row_with_one(states):
    hidden = torch.arange(9) >= LENGTHS.clamp(min=1)[:, None]
    return states.sum(-1).masked_fill(hidden, -torch.inf).softmax(-1)


def spread_and_a_little(states):
    variance = states[:, -1:].var(1, unbiased=False)
    return (variance + 1e-8).sqrt()


def in_single_precision(states):
    energy = (1000 * states.half()).float() ** 2
    return energy / energy.sum()


for behind in (log_of_chance, mean_over_some, row_with_one, spread_and_a_little, in_single_precision):
    print(f"{behind.__name__}: {probes.first_nan(Small(behind), x)}")

# %% [markdown]
# ## The sixth: a state that explodes
#
# A recurrent layer multiplies its state again and again. If each step makes it twice as large, it soon leaves what a number
# can hold. Then `inf − inf` is nan.

# %%
import copy

torch.manual_seed(0)
layer = nn.RNN(2, 16, nonlinearity="relu", batch_first=True)
layer.weight_hh_l0.data *= 6
series = torch.rand(4, 250, 2, generator=torch.Generator().manual_seed(0))
single = probes.first_nan(layer, series)
print(single)
half = probes.first_nan(copy.deepcopy(layer).half(), series.half())
print(half)

# %% [markdown]
# `probes.trajectory` has every state of every step. It computes in double precision, whose numbers go further. So we can
# look at what happens beyond the edge.

# %% tags=["hide-input"] alt="A straight rising line on a logarithmic scale: the largest number of the state against the step. It crosses a lower dashed line, the largest number of half precision, early, and an upper one, that of single precision, later."
import matplotlib.pyplot as plt

steps = probes.trajectory(layer, series)["RNN/layer0/forward"]
largest = steps.states["h"].abs().amax((1, 2))
figure, axes = plt.subplots()
axes.plot(largest)
limits = {"single": torch.finfo(torch.float32).max, "half": torch.finfo(torch.float16).max}
for name, limit in limits.items():
    axes.axhline(limit, color="C1", linestyle="--")
    left = name == "single"
    place = 0 if left else len(largest)
    axes.annotate(f"end of {name} precision", (place, limit), va="bottom", ha="left" if left else "right", color="C1")
axes.set(xlabel="step", title="largest number of the state", yscale="log")
plt.show()

# %% tags=["remove-input"]
crossed = {name: int((largest > limit).nonzero()[0]) for name, limit in limits.items()}
plots.say(
    f"The state passes the end of single precision at step **{crossed['single']}**, that of half precision at step "
    f"**{crossed['half']}**. Named were the steps {single.step} and {half.step}. The gradient is multiplied by the same "
    "weights on its way back. So it explodes as well, and what helps is [on a page of its own](../beyond/exploding.py)."
)

# %% [markdown]
# ## In your own training
#
# Stop **before** the step that spoils the weights, and keep the batch.
#
# ```python
# loss = loss_function(model(inputs), targets)
# loss.backward()
# size = torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
# if not (loss.isfinite() and size.isfinite()):
#     print(probes.first_nan(model, (inputs, targets), loss=loss_function))
#     break
# optimizer.step()
# ```
#
# The second check matters: a loss can be fine, and its gradient not. If the finding says *given*, the nan stands in your data
# or in a weight: then it is an earlier step, or an earlier line of your program, that made it.
#
# We tried it on the attention of `IBM/pytorch-seq2seq` with a text whose words are all hidden, and on the light GRU of
# `mravanelli/pytorch-kaldi` with weights that had grown: it has no squashing, so it can explode. Both were found at the line,
# and the second at its layer and step.
#
# ??? info "For engineers"
#     Every call of a torch function is recorded by a `TorchFunctionMode`, with the line that makes it. From what is not
#     finite the way goes back over the operations that made it, to the first that was given finite numbers; of a nan made
#     of infinities, to where these were made, unless they were written on purpose. Going backward, hooks on the nodes of
#     autograd's graph tell where finite gradients first became others, on a way that reaches a weight: a nan that is masked
#     again does no harm, and is not reported. Where a `nan` forward is multiplied by a gradient of zero, the forward line is
#     named. What happens inside a `torch.autograd.Function` is known by its name alone, a whole `torch.nn.GRU` by the step.
#     The pass runs in the model's own precision and mode. `torch.autograd.detect_anomaly()` looks at the backward pass only,
#     and for nan only. `diagnose` measures in double precision; where the model's own has a nan that double has not, that is
#     the first finding.
