"""Alerts: of a verdict that changed, and not of a window that is shorter."""

import torch
from torch import nn

from rnnvanish import watch


def test_a_window_that_is_shorter_brings_no_gradient_back():
    """As where a language model draws the length of each window anew."""
    torch.manual_seed(0)
    model, alerts = nn.GRU(2, 8), []
    with watch(model, every=1, on_alert=alerts.append) as watching:
        for steps in (40, 6, 40, 5):
            model(torch.randn(steps, 3, 2))[0][-1].sum().backward()
        with torch.no_grad():
            model.bias_hh_l0[8:16] = 6.0  # the gate opens
        model(torch.randn(40, 3, 2))[0][-1].sum().backward()
    measured = watching.history.of("GRU/layer0/forward")
    assert [each.verdict for each in measured] == ["vanishing", "healthy", "vanishing", "healthy", "healthy"]
    assert [(each.step, each.before, each.verdict) for each in alerts] == [
        (0, "healthy", "vanishing"),
        (4, "vanishing", "healthy"),
    ]
