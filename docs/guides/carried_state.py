# ---
# description: A text that is read window by window, with the state handed on. What is cut off, and what goes wrong without a word.
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Guide: a language model with carried state
#
# A novel is read aloud by many readers in turn. Each reads a few pages. Then the reader whispers to the next one what has
# happened so far. The story goes on through all of them. But when the last one makes a mistake, only the last one is told.
#
# This is how a language model is trained on a long text. The text is cut into **windows**. The state at the end of a window
# is handed on to the next one, so the memory goes on. It is **detached** there, so the gradient does not. That is called
# truncated backpropagation through time.
#
# Our text has one rule. Somebody is named, `a` or `b`. Five signs later comes a question mark, and then the same name again.

# %%
import torch
from torch import nn

SIGNS, APART, ROWS = "ab.?", 6, 16


def text(rows, length, seed=0):
    """Rows of text, (length + 1, rows)."""
    generator = torch.Generator().manual_seed(seed)
    found = torch.full((length + 30, rows), SIGNS.index("."))
    for row in range(rows):
        at = 0
        while at < length + 10:
            at += torch.randint(4, (), generator=generator).item()
            found[at, row] = found[at + APART, row] = torch.randint(2, (), generator=generator)
            found[at + APART - 1, row] = SIGNS.index("?")
            at += APART + 3
    return found[: length + 1]


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(len(SIGNS), 8)
        self.lstm = nn.LSTM(8, 32)
        self.head = nn.Linear(32, len(SIGNS))

    def forward(self, signs, state=None):
        output, state = self.lstm(self.embed(signs), state)
        return self.head(output), state


print("".join(SIGNS[sign] for sign in text(1, 60)[:, 0]))

# %% [markdown]
# ## The loop
#
# Each row of the batch is a stretch of text of its own, and goes on in the same row of the next window.


# %%
def windows(rows, size):
    for start in range(0, len(rows) - size, size):
        yield rows[start : start + size], rows[start + 1 : start + size + 1]


def train(size, carried=True, updates=800, hand_on=lambda state: state):
    torch.manual_seed(0)
    model, state = Model(), None
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for signs, following in windows(text(ROWS, size * updates), size):
        scores, state = model(signs, state if carried else None)
        loss = nn.functional.cross_entropy(scores.flatten(0, 1), following.flatten())
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        state = hand_on(tuple(part.detach() for part in state))
    return model


def right(model, size, carried=True):
    """How many of the names after a question mark are right."""
    state, found = None, []
    with torch.no_grad():
        for signs, following in windows(text(64, 300, seed=1), size):
            scores, state = model(signs, state if carried else None)
            found.append((scores.argmax(-1) == following)[signs == SIGNS.index("?")])
    return torch.cat(found[2:]).float().mean().item()


# %% [markdown]
# ## What the window cuts off
#
# A window of 4 signs never holds a name and its question together. One of 20 often does.

# %%
WAYS = [(size, carried) for size in (4, 20) for carried in (True, False)]
models = {way: train(*way) for way in WAYS}
scores = {way: right(models[way], *way) for way in WAYS}
in_short_windows = right(models[20, True], size=4)
given_later = right(models[20, False], size=20, carried=True)

# %% tags=["remove-input"]
from rnnvanish import plots

share = {way: f"{100 * score:.0f} %" for way, score in scores.items()}
plots.say(
    "| right names | state carried | begun anew |\n|---|---|---|\n"
    f"| windows of 4 | {share[4, True]} | {share[4, False]} |\n| windows of 20 | {share[20, True]} | {share[20, False]} |\n\n"
    "Guessing gives 50 %. With short windows a carried state is **no help at all**: nothing ever tells the model to "
    "write the name down, since the blame for a wrong answer never gets back to it. With long windows it sometimes does. Then "
    "the carried state does the rest, where a border lies in between. Without it, those names are lost.\n\n"
    "So a window cuts off learning, and not remembering. The model that has learned with windows of 20 reads just as well in "
    f"windows of 4: {100 * in_short_windows:.0f} % are right. Even the one that began each window anew has {100 * given_later:.0f} % "
    "once the state is carried while it reads."
)
assert max(scores[4, True], scores[4, False]) < 0.7
assert min(scores[20, True], in_short_windows, given_later) > scores[20, False] + 0.05

# %% [markdown]
# ## Ask
#
# `diagnose` sees what you give it: one window. The curve ends where the window ends. Say how far apart things are
# in your text, with `lag=`, and it tells you when a window is too short for that.

# %%
from rnnvanish import diagnose

signs, _ = next(windows(text(ROWS, 100), 4))
for finding in diagnose(Model(), signs, lag=APART).findings:
    print(finding)

# %% [markdown]
# `watch` beside the loop sees the same, and no more: the gradient does not cross a border, so there is nothing to measure
# beyond it.

# %%
from rnnvanish import watch

model, state = Model(), None
with watch(model, every=1, on_alert=str) as watching:
    for signs, following in windows(text(ROWS, 70), 20):
        scores, state = model(signs, state)
        loss = nn.functional.cross_entropy(scores.flatten(0, 1), following.flatten())
        loss.backward()
        state = tuple(part.detach() for part in state)
measured = watching.history.of("lstm/layer0/forward")
print([len(each.gain) for each in measured], "steps measured in each of three windows")

# %% [markdown]
# ## Forgotten: to detach
#
# Leave out `detach()`, and the second window walks back through the first one.


# %%
def walked_back(loss):
    """Operations that a backward pass from this loss goes through."""
    seen, ahead = set(), [loss.grad_fn]
    while ahead:
        node = ahead.pop()
        if node is not None and node not in seen:
            seen.add(node)
            ahead += [before for before, _ in node.next_functions]
    return len(seen)


def without_detach(retain_graph=False, learn=True, beside=lambda model: None):
    model, state, counts = Model(), None, []
    beside(model)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for signs, following in windows(text(ROWS, 110), 20):
        scores, state = model(signs, state)
        loss = nn.functional.cross_entropy(scores.flatten(0, 1), following.flatten())
        counts.append(walked_back(loss))
        loss.backward(retain_graph=retain_graph)
        if learn:
            optimizer.step()
    return counts


for options in ({}, {"retain_graph": True}):
    try:
        without_detach(**options)
    except RuntimeError as error:
        print(options or "without detach()", error, sep="\n", end="\n\n")

# %% [markdown]
# The first message tempts you to write `retain_graph=True`. That is the wrong way out: the second message says that the
# weights of the first window are not there any more, since the optimizer has changed them. And where nothing is
# learned in between, as with gradients that are added up over several windows, there is no error at all. Each window only
# walks back further than the one before, and keeps all of it in memory.

# %%
import warnings

watching = []


def beside(model):
    watching.append(watch(model, every=1, on_alert=str))


with warnings.catch_warnings(action="ignore"):
    counts = without_detach(retain_graph=True, learn=False, beside=beside)

# %% tags=["remove-input"]
plots.say(
    f"Operations walked through in {len(counts)} windows: {', '.join(map(str, counts[:-1]))} and {counts[-1]}. With `detach()` "
    f"it is {counts[0]} each time."
)
assert counts == sorted(set(counts))

# %% [markdown]
# With `watch` beside it, that is no secret. It warns, once:

# %%
print(*watching[0].problems)
watching[0].close()

# %% [markdown]
# ## Forgotten: the order
#
# A carried state belongs to one row. In the next window, that row must go on with the next sign of the same text. A loader that
# shuffles, or rows that change places, hand each reader a whisper from another novel. No shape tells you.


# %%
def swap_rows(state):
    places = torch.randperm(ROWS)
    return [part[:, places] for part in state]


share_mixed = right(train(20, hand_on=swap_rows), size=20)

# %% tags=["remove-input"]
plots.say(
    f"With states that change places between windows, {100 * share_mixed:.0f} % of the names are right. In their own rows it was "
    f"{share[20, True]}, and without any state {share[20, False]}. **A wrong state is worse than none.**"
)
assert share_mixed < 0.7

# %% [markdown]
# One line in your own tests sees it: what a window was to foretell last is what the next one reads first.

# %%
from itertools import pairwise


def goes_on(batches):
    return all((wanted[-1] == read[0]).all() for (_, wanted), (read, _) in pairwise(batches))


in_order = list(windows(text(ROWS, 400), 20))
shuffled = [in_order[place] for place in torch.randperm(len(in_order))]
print(goes_on(in_order), goes_on(shuffled))

# %% [markdown]
# One mistake even that check does not see. One long text is made into rows by `view`, and there are two ways. Read one row: it
# must read like your text.

# %%
long = text(1, 1600)[:-1, 0]
for rows in (long.view(ROWS, -1).T, long.view(-1, ROWS)):
    print("".join(SIGNS[sign] for sign in rows[:50, 0]))

# %% [markdown]
# The first is right: each row is a stretch of text. In the second one, neighbours in a row stand 16 signs apart.
#
# The last batch of a loader may have fewer rows. That at least is an error. Leave out what is left over, with
# `drop_last=True`.

# %%
_, state = Model()(in_order[0][0])
try:
    Model()(in_order[1][0][:, :10], state)
except RuntimeError as error:
    print(error)

# %% [markdown]
# ## Where the model keeps the state itself
#
# Then it is in sight, and `diagnose` asks about it, or says what is wrong. With a loader that shuffles:

# %%
from torch.utils.data import DataLoader


class Keeps(Model):
    state = None

    def forward(self, signs):
        scores, state = super().forward(signs, self.state)
        self.state = tuple(part.detach() for part in state)
        return scores


loader = DataLoader([signs for signs, _ in in_order], batch_size=None, shuffle=True)
for finding in diagnose(Keeps(), loader, quick=True).findings:
    print(finding)

# %% [markdown]
# With windows that are cut inside of the model:


# %%
class Cuts(Model):
    def forward(self, signs):
        state, found = None, []
        for window in signs.split(4):
            scores, state = super().forward(window, state)
            found.append(scores)
            state = tuple(part.detach() for part in state)
        return torch.cat(found)


for finding in diagnose(Cuts(), in_order[0][0], quick=True).findings:
    print(finding)

# %% [markdown]
# ## What to do
#
# - Make the window longer than the distance that is to be learned. The state carries the memory, but only the window teaches.
# - Detach once a window, right where the state is handed on. Never answer an error with `retain_graph=True`.
# - Let row *i* of each batch go on with row *i* of the one before. Do not shuffle, drop what is left over, read a row aloud.
# - Begin from zeros where a new text begins, and test the way you train.
#
# ??? info "For engineers"
#     Tried on the models and loops of *word_language_model* of pytorch/examples (its `repackage_hidden` detaches) and of
#     *awd-lstm-lm* by Salesforce, which draws the length of each window anew. Both return `(scores, state)` and take
#     `(words, state)`: `diagnose(model, (words, model.init_hidden(rows)), loss=lambda got: criterion(got[0], following))`.
#
#     - R. J. Williams, J. Peng (1990). An Efficient Gradient-Based Algorithm for On-Line Training of Recurrent Network
#       Trajectories. *Neural Computation* 2. [doi:10.1162/neco.1990.2.4.490](https://doi.org/10.1162/neco.1990.2.4.490)
#     - S. Merity, N. S. Keskar, R. Socher (2018). Regularizing and Optimizing LSTM Language Models. *ICLR*.
#       [arXiv:1708.02182](https://arxiv.org/abs/1708.02182)
