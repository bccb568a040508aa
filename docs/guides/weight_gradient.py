# ---
# description: "What each time step adds to the gradient of a weight, from the states, the direct and the total gradients of every step; the sum is .grad, checked against an explicit loop."
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Guide: the gradient of a weight, step by step
#
# A recurrent network uses one and the same weight at every step. After `loss.backward()` that weight has one gradient. It is
# a sum, with a part from each step: what this step should have done otherwise. Who gave how much? torch does not say. Here
# is how to see it.
#
# The network reads thirty numbers, and says in the end whether the **first** was positive.

# %%
import torch
from torch import nn


class Rememberer(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn, self.head = nn.RNN(1, 16, batch_first=True), nn.Linear(16, 2)

    def forward(self, readings):
        output, _ = self.rnn(readings)
        return self.head(output[:, -1])


torch.manual_seed(0)
model = Rememberer().double()
readings = torch.randn(8, 30, 1).double()
answers = (readings[:, 0, 0] > 0).long()


def loss(said):
    return nn.functional.cross_entropy(said, answers)


loss(model(readings)).backward()
whole = model.rnn.weight_hh_l0.grad
print(tuple(whole.shape), "and that is all there is")

# %% [markdown]
# ## Every step
#
# `probes.trajectory` takes down every step of every layer. Each entry is a tensor: step, sequence, unit.

# %%
from rnnvanish import probes

steps = probes.trajectory(model, readings, loss)["rnn/layer0/forward"]
for name in ("states", "gates", "direct", "total"):
    print(name, {part: tuple(value.shape) for part, value in getattr(steps, name).items()})

# %% [markdown]
# - **states**: what the network remembers after each step.
# - **total**: how the loss would change with that memory, through all the steps that follow.
# - **direct**: the part of it that comes in at this very step, from whoever reads it: the answer, or a layer above.
#
# A step computes `h = tanh(W · h_before + …)`. So what it adds to the gradient of `W` is: what comes back to it, times the
# slope of tanh, times the memory that it read.

# %%
h = steps.states["h"]
before = torch.cat([steps.initial["h"][None], h[:-1]])
sent = steps.total["h"] * (1 - h.square())
by_step = torch.einsum("tbi,tbj->tij", sent, before)
off = float((by_step.sum(0) - whole).abs().max() / whole.abs().max())

# %% tags=["remove-input"]
from rnnvanish import plots
from rnnvanish.numerals import power_of_ten

plots.say(
    f"Thirty matrices, one a step. Their sum is `weight_hh_l0.grad`, up to rounding: they differ by "
    f"{'nothing' if off == 0 else f'less than {power_of_ten(-15 if off < 1e-15 else -12)}'} of its largest number."
)
assert off < 1e-12

# %% [markdown]
# ## Is it true?
#
# Check it with nothing of this project: a loop written out, in which **each step has a copy of the weight of its own**. Then
# autograd has to say what each copy gets.

# %%
rnn = model.rnn
copies = [rnn.weight_hh_l0.detach().clone().requires_grad_() for _ in range(30)]
state = torch.zeros(8, 16).double()
for t, weight in enumerate(copies):
    state = torch.tanh(readings[:, t] @ rnn.weight_ih_l0.T + rnn.bias_ih_l0 + state @ weight.T + rnn.bias_hh_l0)
explicit = torch.stack(torch.autograd.grad(loss(model.head(state)), copies))
torch.testing.assert_close(by_step, explicit)
print("the same, at every step")

# %% [markdown]
# ## Look
#
# How large is what each step adds?

# %% tags=["hide-input"] alt="Thirty bars on a logarithmic scale, the size of what each step adds to the gradient against the step. The last steps have the largest bars; towards the first they shrink by many powers of ten."
import matplotlib.pyplot as plt

size = by_step.flatten(1).norm(dim=1)
figure, axes = plt.subplots()
axes.bar(range(1, 30), size[1:])
axes.set(xlabel="step", title="size of what it adds to the gradient of W", yscale="log", xlim=(0, 30))
plt.show()

# %% tags=["remove-input"]
share = size / size.sum()
measured = probes.shares(model, readings, loss)["rnn/layer0/forward"].by_weight["weight_hh_l0"].flip(0)
assert torch.allclose(measured, share, atol=1e-9)
plots.say(
    f"The last five steps have **{100 * share[-5:].sum():.0f} %** of it, the first five {plots.one_in(float(share[:5].sum()))}. "
    "But the question was about the *first* number. So the weight learns from the steps that do not matter. (Step 0 adds "
    "nothing at all: there was no memory to read. The line *weights* of a report is made of the same numbers.)"
)

# %% [markdown]
# ## Do they agree?
#
# The parts have directions, too. Where two steps want opposite things, they cancel.

# %%
together = float(whole.norm() / size.sum())
likeness = nn.functional.cosine_similarity(by_step[1:].flatten(1), whole.flatten()[None])

# %% tags=["remove-input"]
against = int((likeness < 0).sum())
plots.say(
    f"If all pulled in one direction, their sum would be as long as all of them laid end to end. It has {together:.0%} of that "
    f"length. {against or 'None'} of the 29 steps {'pulls' if against == 1 else 'pull'} against the sum."
)

# %% [markdown]
# ## Where the loss comes in
#
# Above, the loss read the last step alone. So *direct* is zero everywhere else. Now let a network answer at every step. Then
# every step gets blame from two sides: its own answer, and all the answers after it.


# %%
class Teller(Rememberer):
    def forward(self, readings):
        return self.head(self.rnn(readings)[0])


def loss_of_all(said):
    return nn.functional.cross_entropy(said.transpose(1, 2), answers[:, None].expand(-1, 30))


torch.manual_seed(0)
teller = Teller().double()
told = probes.trajectory(teller, readings, loss_of_all)["rnn/layer0/forward"]
direct, total = (part["h"].norm(dim=(1, 2)) for part in (told.direct, told.total))

# %% tags=["hide-input"] alt="Two lines against the step, 0 to 29: the direct gradient, nearly level, and the total gradient, somewhat above it and equal to it at the last step."
figure, axes = plt.subplots()
axes.plot(total, label="total")
axes.plot(direct, label="direct", linestyle="--")
axes.set(xlabel="step", title="size of the gradient by the state", ylim=(0, None))
axes.legend()
plt.show()

# %% tags=["remove-input"]
plots.say(
    f"At the last step both are the same. At all others the total is {float((total / direct)[:-1].mean()):.1f} times the direct "
    "one, on average. It looks as if nothing vanished. But each step hears mostly its neighbours. That is why a diagnosis "
    "starts from [one step alone](../diagnose.py#where-the-gradient-starts)."
)

# %% [markdown]
# ## Any cell
#
# An LSTM has two parts of a state and four gates. You need not write its slopes by hand. Take one step, and send back what
# `total` says: `torch.autograd.grad` does the rest.

# %%
lstm = nn.LSTM(1, 16).double()
series = readings.transpose(0, 1)


def end(output):
    return output[0][-1].square().sum()


end(lstm(series)).backward()
steps = probes.trajectory(lstm, series, end)["LSTM/layer0/forward"]

cell = nn.LSTMCell(1, 16).double()
cell.load_state_dict({name.removesuffix("_l0"): weight for name, weight in lstm.state_dict().items()})
parts = []
for t, x in enumerate(series):
    given = [(steps.states[name][t - 1] if t else steps.initial[name]) for name in ("h", "c")]
    parts += torch.autograd.grad(cell(x, given), cell.weight_hh, [steps.total[name][t] for name in ("h", "c")])
torch.testing.assert_close(torch.stack(parts).sum(0), lstm.weight_hh_l0.grad)
print(len(parts), "parts of a matrix", tuple(parts[0].shape), "sum up to .grad")

# %% [markdown]
# We tried it on `spro/char-rnn.pytorch`, which calls its layer once for each letter, with a GRU and with an LSTM of two layers.
# The parts of each layer sum up to its gradient there, too.
#
# ??? info "For engineers"
#     `total[t]` is `direct[t]` and what step t + 1 passes back of `total[t + 1]`. The parts of a state are independent
#     coordinates, as the next step is handed them: `total["c"]` does not count the way through the h of the same step, since
#     the step's own derivative does. So one vector-Jacobian product a step, with all parts of `total`, gives what it adds to
#     any weight, exactly and for any cell. Sequences of different lengths have zeros beyond their end, of a backward direction
#     steps stand as it runs. `trajectory` differentiates the whole loss; `probes.shares`, and so the report, starts at one end
#     point. Numbers are in double precision where the model can run so: compare with a model in double, or with a tolerance.
