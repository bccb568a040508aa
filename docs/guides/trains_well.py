# ---
# description: What the verdict vanishing says and what it does not, and three ways to find out whether it matters for your model.
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Guide: it says vanishing, and my model trains well
#
# A watchmaker goes to the optician. "You are short-sighted", says the optician. "But I make the best watches in town", says
# the watchmaker. Both are right. What a watchmaker needs to see lies close by.
#
# *Vanishing* is such a finding. It says that somewhere on the way back less than a thousandth of the gradient is left. It
# does **not** say that your model is broken, that it cannot learn, or that something has to be done. Nearly every recurrent
# layer is called so as torch draws it. Whether it matters, your data decide. This page shows how to ask them.
#
# ## Two models that train well
#
# The same layer reads English prose, letter by letter, and foretells the next letter. And it reads handwritten digits,
# pixel by pixel, 64 in all, and says at the end which digit it was.

# %%
import torch
from torch import nn

from rnnvanish import diagnose, mitigations, watch
from rnnvanish.tasks import Digits, Text


class Reader(nn.Module):
    def __init__(self, task, kind=nn.LSTM):
        super().__init__()
        self.layer = kind(task.input_size, 48)
        self.head = nn.Linear(48, task.output_size)
        self.every = task.answer == "every"

    def forward(self, x):
        output, _ = self.layer(x)
        return self.head(output if self.every else output[-1])


def train(model, task, steps, rate=1e-2):
    generator = torch.Generator().manual_seed(0)
    optimizer = torch.optim.Adam(model.parameters(), lr=rate)
    with watch(model, every=20, on_alert=str) as watching:
        for _ in range(steps):
            batch = task.sample(48, generator)
            loss = task.loss(model(batch.inputs), batch)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
    return watching.history


TASKS, STEPS = {"text": Text(), "digits": Digits()}, {"text": 200, "digits": 250}
LAGS = {"text": 10, "digits": 63}  # how far back the task reaches, at a guess
models, reports, histories = {}, {}, {}
for name, task in TASKS.items():
    torch.manual_seed(0)
    models[name] = Reader(task)
    batch = task.sample(8, torch.Generator().manual_seed(0))
    reports[name] = diagnose(models[name], batch.inputs, lag=LAGS[name], quick=True)
    histories[name] = train(models[name], task, STEPS[name])


def right(name):
    batch = TASKS[name].sample(300, torch.Generator().manual_seed(1), "test")
    with torch.no_grad():
        return TASKS[name].score(models[name](batch.inputs), batch)


# %% tags=["remove-input"]
from rnnvanish import plots

before = {name: report.curves["layer/layer0/forward"] for name, report in reports.items()}


def guessed(name):
    """The part that is right of who always says what is most frequent."""
    answers = TASKS[name].sample(300, torch.Generator().manual_seed(1), "test").targets.flatten()
    return (answers.bincount().max() / len(answers)).item()


rows = [
    f"| {name} | {curve.verdict}: {plots.one_in(float(curve.gain[-1]))} after {len(curve.gain) - 1} steps | {curve.reach} "
    f"| {100 * right(name):.0f} %, by guessing {100 * guessed(name):.0f} % |"
    for name, curve in before.items()
]
plots.say(
    "| | verdict before training | reach, in steps | right answers after it |\n|---|---|---|---|\n"
    + "\n".join(rows)
    + "\n\nThe verdict is the same, and so is what followed: both train well. The reasons could not be more different."
)
assert all(curve.verdict == "vanishing" for curve in before.values())
assert all(right(name) > 2 * guessed(name) for name in models)

# %% [markdown]
# ## First: how much does the model use?
#
# Take away what lies far back, and see whether the answers get worse. Do not leave it out: a shorter text is another kind of
# text. Put in its place **what another sequence had there**. Then every step looks as it should, and says nothing.


# %%
def right_with(name, model, kept):
    """Right answers at the end, where only the last `kept` steps are the sequence's own."""
    batch = TASKS[name].sample(400, torch.Generator().manual_seed(1), "test")
    x = batch.inputs.clone()
    x[: len(x) - kept] = x[: len(x) - kept].roll(1, dims=1)
    with torch.no_grad():
        answers, wanted = model(x), batch.targets
    if model.every:
        answers, wanted = answers[-1], wanted[-1]
    return (answers.argmax(-1) == wanted).float().mean().item()


KEPT = {"text": [*range(13), 16, 20, 30, 40, 50], "digits": [*range(0, 65, 4)]}


def is_enough(name, heights):
    """Steps that give all right answers but a twentieth."""
    most = 0.95 * heights[-1]
    return next(k for k, height in zip(KEPT[name], heights, strict=True) if height >= most)


used = {name: [right_with(name, model, kept) for kept in KEPT[name]] for name, model in models.items()}
needed = {name: is_enough(name, heights) for name, heights in used.items()}

# %% tags=["hide-input"] alt="Two rising lines against the number of last steps that are left as they were, 0 to 64. The one of the text is at its final height after a few letters and stays flat. The one of the digits rises nearly to the end."
import matplotlib.pyplot as plt

fig, ax = plt.subplots()
for name, heights in used.items():
    (line,) = ax.plot(KEPT[name], [100 * height for height in heights], marker="o", markersize=4)
    ax.annotate(
        name, (KEPT[name][-1], 100 * heights[-1]), xytext=(6, 0), textcoords="offset points", color=line.get_color()
    )
ax.set(
    xlabel="last steps that are its own; all before are another's",
    ylabel="right answers, in %",
    xlim=(-1, 74),
    ylim=(0, 100),
)
plt.show()

# %% tags=["remove-input"]
plots.say(
    f"For the **text**, {needed['text']} letters give all of it but a twentieth, and the reach was {before['text'].reach}. This "
    "watchmaker sees far enough. A gradient that got further would have nothing to bring.\n\n"
    f"For the **digits** it takes {needed['digits']} of 64 pixels. The reach was {before['digits'].reach}. And yet it was learned?"
)
assert needed["text"] <= before["text"].reach
assert needed["digits"] > 2 * before["digits"].reach

# %% [markdown]
# ## Second: watch while it trains
#
# A verdict before training is about weights that training will change. `watch` beside the loop has seen what became of
# it.

# %% tags=["hide-input"] alt="Two lines against the step of the training, on a logarithmic scale of what is left of the gradient at the first step of a sequence. For the digits it rises within fifty steps from less than a billionth to about a tenth. For the text it stays near a billionth all the time."
fig, ax = plt.subplots()
for name, history in histories.items():
    measured = history.of("layer/layer0/forward")
    (line,) = ax.plot([each.step for each in measured], [float(each.gain[-1]) for each in measured])
    end = (measured[-1].step, float(measured[-1].gain[-1]))
    ax.annotate(name, end, xytext=(6, 0), textcoords="offset points", color=line.get_color(), va="center")
ax.set(xlabel="step of the training", title="gradient that is left at the first step", yscale="log", xlim=(0, 285))
plots.label_decades(ax)
plt.show()

# %% tags=["remove-input"]
first, last = ({name: history.of("layer/layer0/forward")[at] for name, history in histories.items()} for at in (0, -1))
plots.say(
    "The model of the **digits** has found its own way: what arrives at the first pixel grew from "
    f"{plots.one_in(float(first['digits'].gain[-1]))} to {plots.one_in(float(last['digits'].gain[-1]))} of the gradient, and the "
    f"verdict is *{last['digits'].verdict}* by now. The one of the **text** is *{last['text'].verdict}* to the end, with a reach of "
    f"{last['text'].reach}. It never needed more, so nothing drove it there."
)
assert last["digits"].verdict == "healthy"
assert last["text"].verdict == "vanishing"

# %% [markdown]
# So diagnose the trained model, too, before you worry. A gradient that still vanishes **after** training, in a model that should
# use what lies far back, is another matter than one that vanishes before.
#
# ## Third: give it the chance
#
# The first test has a gap. It shows what *this* model uses. A model that never got to see far back cannot use it, and looks as if
# nothing were there. Look at a plain `nn.RNN` on the same digits. Beside it the same one with a better start.

# %%
STARTS = {
    "as torch draws it": lambda model: model,
    "orthogonal start": mitigations.OrthogonalStart(),
}
reached = {}
for name, start in STARTS.items():
    torch.manual_seed(0)
    model = start(Reader(TASKS["digits"], nn.RNN))
    train(model, TASKS["digits"], steps=250, rate=3e-3)
    reached[name] = [right_with("digits", model, kept) for kept in KEPT["digits"]]

# %% tags=["hide-input"] alt="Two rising lines against the number of last pixels that are left as they were, 0 to 64. As torch draws it the line rises quickly and then stays flat at about half. With the orthogonal start it rises later, on to the last pixel, and ends much higher."
fig, ax = plt.subplots()
for name, heights in reached.items():
    (line,) = ax.plot(KEPT["digits"], [100 * height for height in heights], marker="o", markersize=4)
    ax.annotate(name, (64, 100 * heights[-1]), xytext=(6, 0), textcoords="offset points", color=line.get_color())
ax.set(
    xlabel="last pixels that are its own; all before are another's",
    ylabel="right answers, in %",
    xlim=(-1, 98),
    ylim=(0, 100),
    xticks=range(0, 65, 16),
)
plt.show()

# %% tags=["remove-input"]
flat = is_enough("digits", reached["as torch draws it"])
ends = {name: f"{100 * heights[-1]:.0f} %" for name, heights in reached.items()}
plots.say(
    f"As torch draws it, {flat} pixels seem to be all that the task needs. It trains, the loss falls, and "
    f"{ends['as torch draws it']} are right. With the better start it is **{ends['orthogonal start']}**, and it uses the image to "
    "its beginning. Nothing in the first training said that this was there to be had."
)
assert flat < 40
assert reached["orthogonal start"][-1] > reached["as torch draws it"][-1] + 0.1

# %% [markdown]
# So train twice for a short while, once with what `diagnose` puts first, and compare on data that neither has seen. That is the
# only test that can tell that something is **missing**. We did it on four kinds of real data, with several draws each, at the
# better of two learning rates:

# %% tags=["remove-input"]
from statistics import median

from rnnvanish.experiments import real

rows = []
for claim in (real.helps_where_clues_are_far, real.helps_everywhere):
    runs = [list(zip(*each, strict=True)) for each in zip(*claim.details(), strict=True)]
    for (data, network, life, _, cost, _), (_, _, longer, _, other, _) in zip(runs[::2], runs[1::2], strict=True):
        clear = "better" if max(other) < min(cost) else "worse" if min(other) > max(cost) else "no clear difference"
        lives, costs = ([median(map(float, part)) for part in parts] for parts in ((life, longer), (cost, other)))
        rows.append(
            f"| {data[0]}, {network[0]} | {lives[0]:.1f} → {lives[1]:.0f} | {100 * costs[0]:.0f} → {100 * costs[1]:.0f} "
            f"| {f'**{clear}**' if clear == 'better' else clear} |"
        )
plots.say(
    "| data and network | half-life, in steps | cost, in % | with the better start |\n|---|---|---|---|\n"
    + "\n".join(rows)
)

# %% [markdown]
# Cost is how much it is still wrong, as a part of what somebody has who remembers nothing. The gradient lasts longer in every
# row. It helps in one, and is in the way in others. [On real data](../beyond/real.py) has all of it.
#
# ## What the report says of it
#
# Tell `diagnose` how far back your task reaches, with `lag=`. Then the report has an outlook. For ten letters back, and for the
# whole image, it said before the training:

# %%
for name, report in reports.items():
    print(name, report.outlook, sep=": ", end="\n\n")

# %% [markdown]
# It is made of short trainings to remember a single bit, and is a rule of thumb. It cannot know that a training finds its own
# way, as that of the digits did.
#
# ## What to do
#
# - What the model uses lies within its reach, and a better start gains nothing? Then it is short-sighted, and a watchmaker.
#   Leave it.
# - The gradient grew while it trained? Then it has mended itself. `watch` the next training, too: another draw may not.
# - A better start gains something? Then take it, and look again.
# - The task is changed to one that reaches further back? Ask again.
#
# ??? info "For engineers"
#     Tried on the loop and model of *word_language_model* of pytorch/examples and on *char-rnn.pytorch*, which both are called
#     vanishing and train. Exchanging what lies far back between sequences is a permutation test of that part of the input: it
#     keeps the distribution of each step, and cuts what a step says of its own sequence. For how far language models look back,
#     and how that was measured by shuffling and dropping words:
#
#     - U. Khandelwal, H. He, P. Qi, D. Jurafsky (2018). Sharp Nearby, Fuzzy Far Away: How Neural Language Models Use
#       Context. *ACL*. [arXiv:1805.04623](https://arxiv.org/abs/1805.04623)
