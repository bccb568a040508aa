# ---
# description: Open the report of your own model in your browser, drag along its curves, and compare it before and after a cure.
# hide: [toc]
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Explore a report
#
# `rnnvanish diagnose` measured your model. Here you can look around in what it found. Save the report as JSON, and drop it
# below:
#
# ```sh
# rnnvanish diagnose my_project/model.py:build --json > report.json
# ```
#
# The file is read by your browser, and goes nowhere else. No report at hand? Open the example. It was made together with
# this page: an LSTM that reads a series in both directions and a GRU beside it, as PyTorch draws them, and then with open
# gates.

# %% tags=["remove-input"]
import torch
from torch import nn

from rnnvanish import diagnose, mitigations, plots


class Reader(nn.Module):
    """An LSTM that reads a series in both directions, and a GRU that reads it once."""

    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(3, 12, bidirectional=True, batch_first=True)
        self.gru = nn.GRU(3, 12, batch_first=True)
        self.head = nn.Linear(36, 2)

    def forward(self, series):
        _, (both, _) = self.lstm(series)
        _, last = self.gru(series)
        return self.head(torch.cat([*both, *last], dim=-1))  # where each of them ends


torch.manual_seed(0)
model, series = Reader(), torch.randn(4, 60, 3)
before = diagnose(model, series, quick=True)
mitigations.OpenGate(bias=3.0)(model)
after = diagnose(model, series, quick=True)


def drawn(report):
    """A report without the measures that this page doesn't draw."""
    layers = {loop: layer | {"measures": {}, "intervals": None} for loop, layer in report.to_dict()["layers"].items()}
    return report.to_dict() | {"layers": layers}


# %% [markdown]
# ## Open it
#
# <link rel="stylesheet" href="assets/report/figures.css">
#
# <rv-report id="report" markdown>

# %% tags=["remove-input"] alt="Line chart on an axis of powers of ten: the gradient that is left against the steps back, for the GRU and both directions of the LSTM of the example, as PyTorch draws them. All lines fall."
import matplotlib.pyplot as plt

plots.retention(before.curves)
plt.show()

# %% tags=["remove-input"]
plots.say(f"The example, as PyTorch draws it: {before.answer}")
plots.embed(drawn(before), name="the example", digits=6)
plots.embed(drawn(after), name="the example with open gates", digits=6)

# %% [markdown]
# </rv-report>
#
# ## What you see
#
# - **How much is left**: a line for each layer and direction. Drag along it, or use the arrow keys. Left is the last step,
#   right the first. Each line across is so many times less.
# - **What one step back does**: the factors that a step multiplies the gradient by. A bar begins where the one above it
#   ended. To the left it takes, to the right it gives. Beside it stands what this factor alone would leave.
# - **What was tried**: from the open dot to the full one, so much more arrives with a cure. Nothing is said here that was not
#   tried on a copy of your model.
# - **Two reports**: choose *Compare with a second report*. One from before a change, one from after. Dashed is before.
#
# What is not a number is hatched: the number format ends there.
#
# ## A whole training
#
# A report is one moment. `watch` looks all along: one line around a loop of your own. This network reads 16 knocks. Was the
# first one loud or soft?

# %%
from rnnvanish import watch


class Listener(nn.Module):
    def __init__(self):
        super().__init__()
        self.gru, self.head = nn.GRU(1, 24, batch_first=True), nn.Linear(24, 1)

    def forward(self, knocks):
        return self.head(self.gru(knocks)[0][:, -1])


torch.manual_seed(0)
listener = Listener()
optimizer = torch.optim.Adam(listener.parameters(), lr=1e-2)
with watch(listener, every=10, on_alert=print) as watching:
    for step in range(300):
        knocks = 0.3 * torch.randn(32, 16, 1)
        knocks[:, 0, 0] += 2 * torch.randint(2, (32,)) - 1
        loss = (listener(knocks)[:, 0] - knocks[:, 0, 0].sign()).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 50 == 0:
            print(f"step {step}: loss {loss.item():.2f}")

# %% tags=["remove-cell"]
assert [(alert.verdict, alert.step < 150) for alert in watching.alerts] == [("vanishing", True), ("healthy", True)]

# %% [markdown]
# The loss stands still for a long time, and the memory grows meanwhile. Below, a column is a moment of the training, and down
# is back in time. Light is much, dark is next to nothing.

# %%
watching.history

# %% [markdown]
# `diagnose(listener, knocks).to_html("report.html", history=watching.history)` puts this picture into a report's own page. With
# Lightning, `RetentionMonitor` keeps the same `history`. To keep it and open it again: `history.to_json("history.json")` and
# `History.from_json("history.json")`.
#
# ## The report's own page
#
# The same drawings are on the page that `rnnvanish diagnose --out report` writes beside the JSON. That page needs no net
# and no other file. What each field of the JSON says: [Guide: the report in your own tests](guides/report.py).
