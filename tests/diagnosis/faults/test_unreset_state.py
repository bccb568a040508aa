"""Rows of a batch read one after the other without a reset; and rows that each begin anew, or are one long series."""

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader

from rnnvanish.diagnosis.find_faults import find

FAULT = "state never reset between sequences"


class RowByRow(nn.Module):
    def __init__(self, step, resets=False):
        super().__init__()
        self.step, self.resets, self.head = step, resets, nn.Linear(6, 1)

    def forward(self, x):
        state, ends = None, []
        for row in x:
            state = None if self.resets else state
            if isinstance(self.step, nn.RNNCellBase):
                for one in row:
                    state = self.step(one[None], state)
                output = state if isinstance(state, torch.Tensor) else state[0]
            else:
                output, state = self.step(row[:, None], state)
                output = output[-1]
            ends.append(self.head(output[0]))
        return torch.stack(ends)


def found(model, inputs):
    return [finding for finding in find(model, inputs) if finding.fault == FAULT]


def loader(shuffle):
    generator = torch.Generator().manual_seed(0)
    return DataLoader(torch.randn(8, 6, 2), batch_size=4, shuffle=shuffle, generator=generator)


@pytest.mark.parametrize("make", [nn.GRU, nn.LSTM, nn.GRUCell, nn.LSTMCell])
def test_of_a_shuffling_loader_it_is_a_fault_and_a_reset_parts_the_sequences(make):
    torch.manual_seed(0)
    model = RowByRow(make(2, 6))
    (finding,) = found(model, loader(shuffle=True))
    assert (finding.layer, finding.question, finding.after) == ("step", False, 0)
    assert finding.before > 1e-4
    assert "reads the 4 rows of a batch one after the other" in finding.seen
    model.resets = True
    assert found(model, loader(shuffle=True)) == []


def test_in_order_it_may_be_one_long_series():
    torch.manual_seed(0)
    for inputs in (loader(shuffle=False), torch.randn(4, 6, 2)):
        (finding,) = found(RowByRow(nn.GRU(2, 6)), inputs)
        assert finding.question


class OneSeries(nn.Module):
    """Reads a single series, (time, features): its rows are steps."""

    def __init__(self):
        super().__init__()
        self.rnn = nn.GRU(2, 6)

    def forward(self, x):
        return self.rnn(x)[0]


def test_steps_and_whole_batches_are_no_rows():
    torch.manual_seed(0)
    assert found(OneSeries(), torch.randn(9, 2)) == []
    assert found(nn.GRU(2, 6, batch_first=True), torch.randn(3, 9, 2)) == []
