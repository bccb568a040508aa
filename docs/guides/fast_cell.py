# ---
# description: "Write the step of a recurrent cell as its paper has it, and Recurrent compiles the loop: measured beside a plain loop and torch.compile, with what cannot be compiled."
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Guide: your own cell, in a fast loop
#
# A paper describes a new cell in three lines. You write them down, put a loop around, and it works. But it crawls. Each of
# a hundred steps asks Python for a handful of small sums. Most of the time goes into the asking.
#
# So write the step alone, and give away the loop. What your cell does to the gradient is [another guide](custom_cell.py).
# This one is about time.
#
# ## As the paper has it
#
# Here is the *minimal gated unit*: a GRU whose two gates are one.

# %%
import torch
from torch import nn

from rnnvanish import Recurrent
from rnnvanish.cell import Cell


class MinimalGated(Cell):
    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.gate = nn.Linear(input_size + hidden_size, hidden_size)
        self.new = nn.Linear(input_size + hidden_size, hidden_size)

    def forward(self, x, state):
        (h,) = state
        f = torch.sigmoid(self.gate(torch.cat([x, h], -1)))
        n = torch.tanh(self.new(torch.cat([x, f * h], -1)))
        return ((1 - f) * h + f * n,)


torch.manual_seed(0)
layer = Recurrent(MinimalGated, 32, 64)
x = torch.randn(100, 16, 32)
output, state = layer(x)
print(tuple(output.shape))

# %% [markdown]
# That is all. `Recurrent` looks at the step once. It pulls out of the loop what does not need the state, here the half of
# each product that reads `x`. It writes the rest as one loop, forward and backward, and has it compiled.
#
# ## The same numbers
#
# A fast loop that computes something else is worth nothing. Here is the loop as you would write it, around the very same
# cell.


# %%
class PlainLoop(nn.Module):
    def __init__(self, cell):
        super().__init__()
        self.cell = cell

    def forward(self, x):
        h, states = x.new_zeros(x.shape[1], 64), []
        for now in x:
            (h,) = self.cell(now, (h,))
            states.append(h)
        return torch.stack(states)


plain = PlainLoop(layer.cells[0])
torch.testing.assert_close(plain(x), output)
weights = list(layer.parameters())
ours, theirs = (torch.autograd.grad(found.square().sum(), weights) for found in (layer(x)[0], plain(x)))
torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)
print("states and gradients agree")

# %% [markdown]
# ## How much faster?
#
# torch has a compiler of its own. Put it around the loop, `torch.compile(loop)`, and it writes all steps one after the other,
# as if you had written them fifty times. Put it around the step alone, `torch.compile(cell)`, and Python still asks at each
# step. So there are four ways to run one cell. A training step of each was measured, in turns, so that a busy machine slows
# all down alike.

# %% tags=["remove-input"]
from rnnvanish import plots
from rnnvanish.experiments import compiled_loops
from rnnvanish.records.provenance import in_a_sentence

stored = compiled_loops.record()
titles = {
    "plain": "a plain loop",
    "Recurrent": "`Recurrent`",
    "step": "`torch.compile(cell)` in a plain loop",
    "loop": "`torch.compile(loop)`",
}


def took(seconds):
    return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s" if seconds >= 1 else f"{1000 * seconds:.0f} ms"


rows = [
    f"| {title} | {each['faster']:.1f} × | {took(each['first'])} | {took(each['other length'])} |"
    for name, title in titles.items()
    for each in (stored["measured"][name],)
]
plots.say("| the cell in | speed | first step | another length |\n|---|--:|--:|--:|\n" + "\n".join(rows))
plots.say(
    f"The minimal gated unit of the [collection](../reference/cells.md), {stored['time']} steps, then {compiled_loops.LONGER}; "
    f"{compiled_loops.BATCH} sequences, {compiled_loops.HIDDEN} units. CPU seconds of one thread, compilers included, with empty "
    f"caches: the first training step, and the first of another length. Speed is the "
    f"median of {compiled_loops.ROUNDS} rounds. {in_a_sentence(stored['provenance'])}."
)
plots.source(compiled_loops.measure, "How it was measured")

# %% [markdown]
# The unrolled loop is fast code, and takes long to make. Its price comes back with every new length, and texts have many. A
# compiled loop of `Recurrent` takes any length, and the next program that runs on this machine finds it on disk.
#
# This was measured on a processor. What a GPU makes of it is [on the page of speed](../benchmarks/speed.md), as far as one
# was there to measure.
#
# ## What cannot be compiled
#
# Nothing breaks. A step that the compiler cannot follow runs as a plain loop, and a line in the log says what is in the way.

# %%
import logging
import textwrap


class Base(Cell):
    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.mix = nn.Linear(input_size + hidden_size, hidden_size)
        self.steps = 0

    def new(self, x, state):
        return torch.tanh(self.mix(torch.cat([x, state[0]], -1)))


class Sorts(Base):
    def forward(self, x, state):
        return (self.new(x, state).sort(-1).values,)


class Decides(Base):
    def forward(self, x, state):
        h = self.new(x, state)
        return (h if h.mean() > 0 else h / 2,)


class Counts(Base):
    def forward(self, x, state):
        self.steps += 1
        return (self.new(x, state) / self.steps,)


class Normalises(Base):
    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.norm = nn.BatchNorm1d(hidden_size)

    def forward(self, x, state):
        return (self.norm(self.new(x, state)),)


class Lines(logging.Handler):
    def emit(self, record):
        print(textwrap.fill(record.getMessage(), 76), end="\n\n")


logger = logging.getLogger("rnnvanish.engine")
logger.addHandler(Lines())
logger.propagate = False
for odd in (Sorts, Decides, Counts, Normalises):
    Recurrent(odd, 32, 64)(x)

# %% [markdown]
# Three of the four have a way around:
#
# - A choice by a number: `torch.where`, for each sequence by itself, as below.
# - A count: the time of a step can be told to it, `wants = ("times",)`.
# - Statistics of a batch: `nn.LayerNorm`, which needs none.
#
# Dropout, noise and any work on the input alone are compiled, or done for all steps at once.


# %%
class DecidesByNumbers(Base):
    def forward(self, x, state):
        h = self.new(x, state)
        return (torch.where(h.mean(-1, keepdim=True) > 0, h, h / 2),)


Recurrent(DecidesByNumbers, 32, 64, engine="cpu")(x)
print("compiled")

# %% [markdown]
# With `engine="cpu"` a cell that cannot be compiled is an error instead of a line. That is for your tests.
#
# We tried it on a cell that nobody here wrote, the closed-form continuous-time cell of `mlech26l/ncps`. Its module went
# into a `Cell` of four lines, was compiled, and gave its states up to rounding.
#
# ??? info "For engineers"
#     A step is traced by `make_fx`, with its derivative. What reads the input alone becomes one product for all steps; what
#     reads weights alone is done once; the rest is generated as a loop for Numba, whose matrix products are BLAS calls, with
#     the backward loop and the products for the weights' gradients behind it. Every program is held against the cell
#     before it is used. Loops over fewer than 2048 numbers are not worth it, and run plain. On a GPU loops are compiled by
#     Triton. Ratios are medians over rounds of the ratio within a round, of CPU seconds. `torch.compile` was called with
#     its defaults.
