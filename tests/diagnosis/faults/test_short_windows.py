"""Windows that are shorter than the lag that was asked for; and ones that are longer."""

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader

from rnnvanish.diagnosis.find_faults import find
from rnnvanish.probes import retention

FAULT = "windows shorter than the lag"


class Reader(nn.Module):
    def __init__(self, batch_first=True, window=None):
        super().__init__()
        self.rnn, self.head, self.window = nn.GRU(2, 6, batch_first=batch_first), nn.Linear(6, 1), window

    def forward(self, x):
        state, time = None, 1 if self.rnn.batch_first else 0
        for part in x.split(self.window or x.shape[time], time):
            output, state = self.rnn(part, None if state is None else state.detach())
        return self.head(output.select(time, -1))


def found(model, inputs, lag):
    return [finding for finding in find(model, inputs, lag=lag) if finding.fault == FAULT]


@pytest.mark.parametrize("batch_first", [True, False])
def test_longer_inputs_are_tried_and_give_what_they_have(batch_first):
    torch.manual_seed(0)
    model, x = Reader(batch_first), torch.randn(*((4, 6) if batch_first else (6, 4)), 2)
    (finding,) = found(model, x, 9)
    assert finding.question
    assert finding.before == 0
    time = 1 if batch_first else 0
    (curve,) = retention(model, x.repeat(*(2 if axis == time else 1 for axis in range(3)))).values()
    assert finding.after == pytest.approx(float(curve.gain[9]), rel=1e-4)


def test_what_a_loader_gives_is_what_is_trained_on():
    torch.manual_seed(0)
    loader = DataLoader(torch.randn(8, 6, 2), batch_size=4)
    (finding,) = found(Reader(), loader, 6)
    assert not finding.question
    assert "runs for 6 steps at most" in finding.seen
    assert found(Reader(), loader, 5) == []
    assert found(Reader(), loader, None) == []


def test_windows_within_the_model_have_a_fault_of_their_own():
    torch.manual_seed(0)
    x = torch.randn(4, 12, 2)
    (finding,) = find(Reader(window=4), x, lag=20)
    assert finding.fault == "detached state"
