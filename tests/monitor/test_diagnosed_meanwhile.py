"""A model that is diagnosed while it is watched: the watch sees its training, and nothing of the diagnosis."""

import pytest
import torch
from torch import nn

from rnnvanish import diagnose, watch
from rnnvanish.probes import retention


class Reader(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer, self.head = nn.GRU(2, 4), nn.Linear(4, 1)

    def forward(self, x):
        return self.head(self.layer(x)[0][-1])


MEASURES = {
    "diagnose": lambda model, x: diagnose(model, x, quick=True),
    "retention": retention,
    "of a part": lambda model, x: retention(model.layer, x),
    "of the whole": lambda model, x: retention(nn.Sequential(model, nn.Tanh()), x),
}


@pytest.mark.parametrize("measure", MEASURES.values(), ids=MEASURES)
def test_a_diagnosis_is_no_part_of_the_training(measure):
    torch.manual_seed(0)
    model, x = Reader(), torch.randn(6, 3, 2)
    with watch(model, every=2, on_alert=str) as watching:
        for _ in range(5):
            loss = model(x).sum()
            measure(model, x)
            loss.backward()
            measure(model, x)
    assert (watching.history.steps, watching.problems) == ((0, 2, 4), [])
    assert repr(watching) == "<Watch of Reader: 5 backward passes, 3 measured>"
    torch.testing.assert_close(
        watching.history.of("layer/layer0/forward")[0].gain, retention(model, x)["layer/layer0/forward"].gain.double()
    )
