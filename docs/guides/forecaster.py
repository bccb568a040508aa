# ---
# description: A LightningModule that carries its state from window to window and still does not learn from earlier windows.
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Guide: a forecaster in Lightning
#
# A long series does not fit into memory at once. So one reads it window by window, and hands the state on from one window
# to the next, like a note from one shift to the next. This forecaster is a LightningModule as one writes it.
#
# The series: noise. One value in the first window is marked, and in the end the series comes back to it. Who remembers it
# forecasts perfectly.

# %%
import logging
import warnings

import pytorch_lightning as pl
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
warnings.filterwarnings("ignore", module="pytorch_lightning")


class Forecaster(pl.LightningModule):
    def __init__(self):
        super().__init__()
        self.gru = nn.GRU(input_size=2, hidden_size=24, batch_first=True)
        self.head = nn.Linear(24, 1)
        nn.init.constant_(self.gru.bias_hh_l0.data[24:48], 2.0)

    def forward(self, series):
        state = None
        for window in series.split(10, dim=1):
            output, state = self.gru(window, state)
            state = state.detach()  # "or it runs out of memory"
        return self.head(output[:, -1])

    def training_step(self, batch, batch_idx=0):
        series, target = batch
        return nn.functional.mse_loss(self(series), target)

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), lr=1e-2)


def dataset(count, seed):
    generator = torch.Generator().manual_seed(seed)
    series = torch.randn(count, 30, 2, generator=generator)
    series[:, :, 1] = 0.0
    rows, at = torch.arange(count), torch.randint(8, (count,), generator=generator)
    series[rows, at, 1] = 1.0
    return TensorDataset(series, series[rows, at, :1])


# %% [markdown]
# ## Ask
#
# Give it the module, the DataLoader, and the name of the step that it is trained with.

# %%
from rnnvanish import diagnose

torch.manual_seed(0)
loader = DataLoader(dataset(6400, seed=0), batch_size=64)
diagnosis = diagnose(Forecaster(), loader, loss="training_step", batches=2)
for finding in diagnosis.findings:
    print(finding)

# %% [markdown]
# The note is handed on, but nobody can ask back. `detach()` keeps the numbers and forgets where they came from. So the
# first window never learns that its value was needed.
#
# ## Do what it says
#
# Thirty steps fit into memory easily. We leave `detach()` out, and train both.


# %%
class Mended(Forecaster):
    def forward(self, series):
        state = None
        for window in series.split(10, dim=1):
            output, state = self.gru(window, state)
        return self.head(output[:, -1])


def error(model_class):
    torch.manual_seed(0)
    model = model_class()
    quiet = {
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
    }
    pl.Trainer(max_epochs=2, accelerator="cpu", gradient_clip_val=1.0, **quiet).fit(model, loader)
    with torch.no_grad():
        return model.training_step(dataset(500, seed=1)[:]).item()


before, after = error(Forecaster), error(Mended)

# %% tags=["remove-input"]
from rnnvanish import plots

plots.say(
    f"The squared error as it was: {before:.2f}. Always answering with the mean gives 1. Without `detach()`: **{after:.3f}**."
)

# %% [markdown]
# ## While it trains
#
# ```python
# from rnnvanish import RetentionMonitor
#
# trainer = pl.Trainer(callbacks=[RetentionMonitor()])
# ```
#
# It logs the half-life of every recurrent layer.
#
# ??? info "For engineers"
#     Where a layer is called again with the very state that it returned, the two calls are one loop, and the lag counts
#     through both. Where that state arrives detached, a second loop begins, and the report says so. With
#     `loss="training_step"` only a number comes out: the gradient starts from the last state that it reads, and goes back by
#     the recurrence alone. For long series, detach every hundred steps or so: *truncated* backpropagation.
