# ---
# description: How far back the gradient reaches in your own model, why it stops there, and what helps.
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Diagnose your own model
#
# Your network reads long sequences and does not learn from their beginnings. Is it too small? Trained too briefly? Or
# does the message never reach the beginning? You can measure that. It takes a few seconds, and your model is left as it
# was.
#
# Here is a model as one writes it. It reads a handwritten digit, one pixel after the other, 64 in all, and then says
# which digit it was. Nothing in it knows of this project.

# %%
import torch
from sklearn.datasets import load_digits
from torch import nn


class DigitReader(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(input_size=1, hidden_size=48, batch_first=True)
        self.head = nn.Linear(48, 10)

    def forward(self, pixels):
        output, _ = self.lstm(pixels)
        return self.head(output[:, -1])


torch.manual_seed(0)
model = DigitReader()
digits = torch.tensor(load_digits().data[:32], dtype=torch.float32).unsqueeze(-1) / 16

# %% [markdown]
# ## Ask
#
# Give `diagnose` the model and a batch of what it reads.

# %%
from rnnvanish import diagnose

diagnosis = diagnose(model, digits)
print(diagnosis)

# %% [markdown]
# The **first sentence** is the answer: what is wrong, where, and what to do first. Then, line by line:
#
# - The **bars** show how much of the gradient is left, from the last pixel on the left to the first on the right. Each
#   step down is less than a tenth of what was there. A dot is less than a millionth.
# - What **arrives** is the part that is left at the very first step. The **half-life** is the number of steps in which half
#   of it is lost. Where it is not lost any more after a while, the report says after how much.
# - The **reach** is the number of steps until less than a thousandth is left. What lies further back has hardly any say.
# - The **cause** is read from the gates, the weights and the slopes of this very run.
# - The **weights** are changed by what comes from the last steps alone, nearly all of it.
# - What was **tried** was tried on a copy of your model, and measured again. Nothing is advised that was not tried. The
#   best of it stands below, ready **to apply**.
#
# The verdict is *vanishing* where somewhere on the way less than a thousandth is left, *exploding* where it grows more
# than a thousandfold, *healthy* otherwise. A loop of which your loss reads nothing is *not read*; one that takes a single
# step has *nothing to carry*.
#
# All this fits a screen: the worst is told in full, the rest in a line each, and layers that are alike are told once.
# `--full` tells everything. So does the page that `diagnosis.to_html("report.html")` writes: point at a word in it, and it
# says what the word means.
#
# ## Where the gradient starts
#
# Many models answer at every step, and the loss reads all the answers. Then each step gets blame from the answer next to
# it, and it looks as if nothing were lost. It is like judging a long whisper by what each person said to the next.
#
# So the gradient starts at **one** step of what your model returns: the last that the loss reads, or the first for a layer
# that reads backwards. From there it goes back through your whole model. A model that answers once, or at every step, or in
# one long list of rows gets the same verdict. The report says where it started.
#
# ## Do what it says
#
# Each line names a **mitigation**, something that helps, as you would type it. We take the
# second: open the gate that keeps the state.

# %%
from rnnvanish import mitigations

mitigations.OpenGate(bias=3.0)(model)
opened = diagnose(model, digits)

# %% tags=["hide-input"] alt="Two falling lines on a logarithmic scale, the gradient left against the steps back from 0 to 63. The one of the model as torch made it drops steeply all the way; the one with the open gate stays near the top."
import math

import matplotlib.pyplot as plt

from rnnvanish import plots

before, after = (found.curves["lstm/layer0/forward"] for found in (diagnosis, opened))
plots.retention({"as torch made it": before, "with the gate open": after})
plt.show()

# %% tags=["remove-input"]
plots.say(
    f"As torch made it, {plots.one_in(float(before.gain[-1]))} of the gradient at the last pixel reached the first. "
    f"With the gate open, **{plots.one_in(float(after.gain[-1]))}** does"
    + ("." if math.isfinite(after.half_life) else ", and from there on nothing further is lost.")
)

# %% [markdown]
# A gradient that arrives is necessary, not sufficient: the model has yet to be trained. This tells you that it can be.
#
# `rnnvanish mitigations` lists all that there are. Those that draw the weights anew belong before the training.
#
# ## When it does not help
#
# *Vanishing* is what nearly every recurrent layer is called as torch draws it, and many of them learn well. Whether it
# matters is decided by your data. A better start does not help
#
# - where the **clues lie close by**, as the next letter of a text hangs mostly on the last few. Then a memory that is too
#   long may even slow learning down;
# - where the **reach** in the report is longer than what your task asks for: then the gradient is not what is missing;
# - where your model has **found its own way** already. Training changes the weights, and with them how far the gradient
#   gets. Diagnose the trained model, too.
#
# We tried it: [on real data](beyond/real.py), on images, text, speech and sunspots. A better start clearly helped where the
# clues lie far back, and not elsewhere. So train both for a short while, and compare.
#
# ## Questions that come up
#
# - *My texts have a thousand words.* Give a batch as your loader does. The reach counts words. It is no fault that hardly
#   anything arrives after a thousand of them. Say how far your task reaches back, with `lag=40`: then the report judges
#   what is tried by what arrives after 40.
# - *My sequences are packed, and read in both directions.* Give what your model takes. Each sequence counts from its own
#   end. The backward direction starts at the first step. Directions that are alike stand together.
# - *I compute in half precision.* The model runs as it is, in the format that it has. The report says from where on the
#   gradient is so small that such numbers turn it into zero.
# - *It says vanishing, and the model trains well.* Then what it needs lies within its reach, or training has made that reach
#   longer. Or it could do better still: [find out which](guides/trains_well.py).
# - *What does it cost?* About as much as 20 to 30 steps of training, and a few more for each thing that is tried. With
#   `quick=True` each is drawn once, not five times.
#
# ## From the command line
#
# Write a function that returns your model and a batch, and name it:
#
# ```sh
# rnnvanish diagnose my_project/model.py:build
# ```
#
# Without `:build` the command lists what the file holds that can be diagnosed. If there is only one such function, it is taken.
#
# `--out report` saves the report as text, as JSON, and as one HTML page that needs nothing else, with curves that one can
# read off. `--json` prints it, and [Explore a report](explore-report.py) opens it in your browser: all layers in one picture,
# what each step takes, two reports side by side. `--full` tells everything that was measured. The exit code is 1 where a gradient vanishes
# or explodes, a fault was found, or a layer is not read at all. A checkpoint of `rnnvanish train` can be given, too.
#
# - `--lag 200` asks whether a model like yours learns across 200 steps.
# - `--train 50` tries every cure with 50 steps of training besides.
# - `--against earlier.json` compares with an earlier report, [in your own tests](guides/report.py) for instance.
# - `--cells decoder.cell` names a step of a loop that you wrote yourself. If you leave it out, the command says which
#   modules may be meant.
# - `--layers encoder` judges these layers alone.
#
# A batch may have any form that a loader gives: a tuple, a list, names, one in the other. What your model does not take
# counts as the targets, for a loss such as `nn.CrossEntropyLoss()`. If it is not plain what is meant, the error says what was
# tried.
#
# ## Your situation
#
# - [A classifier](guides/classifier.py) of recordings of different lengths.
# - [A translator with attention](guides/seq2seq.py).
# - [A forecaster in Lightning](guides/forecaster.py) that carries its state.
# - [A cell of your own](guides/custom_cell.py), and [a fast loop](guides/fast_cell.py) for it.
# - [A loop over time](guides/loop.py) that you wrote yourself.
# - [It says vanishing, and my model trains well](guides/trains_well.py).
# - [Reinforcement learning with resets](guides/resets.py) inside a rollout.
# - [A language model with carried state](guides/carried_state.py).
# - [A loop that is not over time](guides/not_over_time.py): one block again and again.
# - [The gradient of a weight](guides/weight_gradient.py), and what each step adds to it.
# - [A loss that is nan](guides/nan.py).
#
# Faults that have a name stand first in the report, under **FOUND**: a closed gate, an input so large that nothing
# answers to it, recurrent weights that make everything smaller, a state that is handed on detached, padding that is read
# at the end. Each was seen in the run, and what mends it was tried on a copy. What looks like a fault, but may be right as it
# is, is put as a **QUESTION**. All of them, each with ten lines that have it and ten that don't:
# [Silent mistakes of recurrent models](mistakes.py).
#
# ## While it trains
#
# In a loop of your own it is one line, `watch`: [a whole training in one picture](explore-report.py#a-whole-training). To any
# Lightning Trainer give this. Every 50 steps, or fewer times if it is slow, it logs for each layer the half-life and
# the powers of ten that are lost, of the gradient of your own loss. The training itself is not changed.
#
# ```python
# from rnnvanish import RetentionMonitor
#
# trainer = pytorch_lightning.Trainer(callbacks=[RetentionMonitor()])
# ```
#
# ??? info "For engineers"
#     Measured is the total derivative $g_t = \partial L / \partial s_t$ with respect to the **whole** state after step
#     $t$ (for an LSTM $h$ and $c$), through every later step and every other way through the model (upper layers,
#     attention, pooling, skips). It starts from $\partial L / \partial y$ at one step of the output $y$, with all other
#     steps zero: each sequence's last step that $L$ reads, the first for a backward direction. Which rows of $y$ belong to
#     which step is found by looking, not by shape. Where only a number comes out (`training_step`), it starts from the last
#     state that $L$ reads, and goes back by the recurrence alone (of a loop that your model writes itself: by every way that
#     leads to that state, so through an input made of the state before, too). The *gain* at
#     lag $k$ is $\|g_{T-k}\| / \|g_T\|$, the geometric mean over the sequences that are longer than $k$, each counted
#     back from its own end. The half-life is $\ln 2$ over the slope of $-\ln$ gain, fitted from lag 1 on: the first step
#     of an LSTM pays an entry cost that the later ones do not.
#
#     It works on `torch.nn.RNN`, `LSTM` and `GRU` and on `Recurrent`, anywhere in a module: several layers, both
#     directions, packed sequences in any order, projections, dropout, frozen or parametrized weights. `output.grad` would
#     not do: it holds the direct part alone, not what comes back through later steps. So each recurrent module is run as
#     a plain loop over its own weights while it is measured. The result of that run is compared with the ordinary one,
#     with the same dropout masks. If they differ by more than rounding, there is an error and no number.
#
#     By default the loss is what your model returns, summed; of a layer alone, the states that it ends with, of an LSTM both
#     $h$ and $c$. Say `diagnose(model, inputs, loss=...)` for another. The curve of the whole loss stands beside:
#     `curve.total`; and the share that took the recurrence alone: `curve.recurrent`. What single precision cannot hold is
#     measured again in double. The [reference](reference/diagnosing.md) says more.
