"""A series that is read in windows, and a batch of words that is padded behind: what tests of faults are made of."""

import torch
from torch import nn

TIME, LENGTHS = 24, (9, 14, 24, 7)


class Windows(nn.Module):
    """A series in windows of so many steps; between two the state goes through `way`."""

    def __init__(self, layer, way, size=4):
        super().__init__()
        self.layer, self.way, self.size, self.head = layer, way, size, nn.Linear(6, 1)

    def forward(self, x):
        state = None
        for window in x.split(self.size):
            output, state = self.layer(window, None if state is None else self.way(state))
        return self.head(output[-1])


def padded_words(lengths=LENGTHS):
    """Words of sequences, (sequences, TIME), with zeros behind each."""
    torch.manual_seed(1)
    x = torch.randint(1, 20, (len(lengths), TIME))
    for row, length in enumerate(lengths):
        x[row, length:] = 0
    return x
