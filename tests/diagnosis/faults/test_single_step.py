"""Sequences of one step, by a wrong axis or for want of a loop; and models that take one step on purpose."""

import pytest
import torch
from torch import nn

from rnnvanish import Recurrent, cells, diagnose
from rnnvanish.diagnosis.find_faults import find

FAULT = "sequences of one step"


class Reader(nn.Module):
    """Gives its layer an axis of time at `axis`."""

    def __init__(self, layer, axis):
        super().__init__()
        self.layer, self.axis, self.head = layer, axis, nn.Linear(6, 1)

    def forward(self, x):
        output, _ = self.layer(x.unsqueeze(self.axis))
        return self.head(output.squeeze(self.axis))


@pytest.mark.parametrize(
    ("layer", "axis"),
    [(nn.LSTM(2, 6, batch_first=True), 1), (nn.GRU(2, 6), 0), (Recurrent(cells.GRU, 2, 6, batch_first=True), 1)],
    ids=["batch first", "time first", "Recurrent"],
)
def test_the_rows_of_the_batch_are_tried_as_steps(layer, axis):
    torch.manual_seed(0)
    (finding,) = find(Reader(layer, axis), torch.randn(20, 2))
    assert (finding.fault, finding.layer, finding.question) == (FAULT, "layer", False)
    assert "20 sequences of one step each" in finding.seen
    assert f"x.unsqueeze({1 - axis})" in finding.remedy
    assert (finding.before, finding.after) == (1, 20)


def test_a_layer_by_itself_and_a_cell_that_is_called_once():
    diagnosis = diagnose(nn.GRU(2, 6), torch.randn(1, 5, 2))
    assert [finding.fault for finding in diagnosis.findings] == [FAULT]
    assert not diagnosis.healthy

    class Once(nn.Module):
        def __init__(self):
            super().__init__()
            self.cell = nn.LSTMCell(2, 6)

        def forward(self, x):
            return self.cell(x)[0]

    (finding,) = find(Once(), torch.randn(5, 2))
    assert finding.fault == FAULT
    assert "Call it once for each step" in finding.remedy


class Policy(nn.Module):
    """Acts once; its state is returned, or kept, for the next time."""

    def __init__(self, keeps):
        super().__init__()
        self.memory, self.head, self.keeps, self.state = nn.GRU(2, 6), nn.Linear(6, 3), keeps, None

    def forward(self, seen, state=None):
        output, state = self.memory(seen[None], self.state if self.keeps else state)
        if self.keeps:
            self.state = state.detach()
            return self.head(output[0])
        return self.head(output[0]), state


class Captions(nn.Module):
    """Starts a decoder, that takes one step here, from an image."""

    def __init__(self):
        super().__init__()
        self.image, self.decoder = nn.Linear(4, 6), nn.GRUCell(2, 6)

    def forward(self, image, word):
        return self.decoder(word, self.image(image))


def test_one_step_on_purpose_is_no_fault():
    torch.manual_seed(0)
    seen = torch.randn(5, 2)
    assert find(Policy(keeps=False), seen) == ()
    assert all(finding.question for finding in find(Policy(keeps=True), seen))  # whose state is kept
    assert find(Captions(), (torch.randn(5, 4), seen)) == ()
    assert find(Reader(nn.GRU(2, 6), 1), torch.randn(5, 2)) == ()


def test_what_may_be_meant_is_asked():
    class Given(nn.Module):
        def __init__(self):
            super().__init__()
            self.memory = nn.GRU(2, 6)

        def forward(self, seen, state):
            return self.memory(seen[None], state)[0]

    (finding,) = find(Given(), (torch.randn(5, 2), torch.zeros(1, 5, 6)))
    assert finding.question

    class Beside(nn.Module):
        def __init__(self):
            super().__init__()
            self.words, self.sentences = nn.GRU(2, 6), nn.GRU(6, 6)

        def forward(self, x):
            return self.sentences(self.words(x)[0][-1:])[0]

    (finding,) = find(Beside(), torch.randn(5, 2, 2))
    assert (finding.layer, finding.question) == ("sentences", True)
