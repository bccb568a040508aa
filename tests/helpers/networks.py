"""Networks and batches that several tests measure, in double precision."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

TIME, BATCH, INPUT, HIDDEN = 7, 3, 2, 4


def same(one, other):
    torch.testing.assert_close(one, other, rtol=1e-11, atol=1e-12, equal_nan=True)


class Tagger(nn.Module):
    """A label for every step, from a layer or from a loop of a cell."""

    def __init__(self, kind="layer"):
        super().__init__()
        self.kind = kind
        self.layer, self.head = nn.GRU(INPUT, HIDDEN), nn.Linear(HIDDEN, 5)
        self.cell = nn.GRUCell(INPUT, HIDDEN)
        self.cell.load_state_dict({name.removesuffix("_l0"): w for name, w in self.layer.state_dict().items()})

    def forward(self, x):
        if self.kind == "layer":
            return self.head(self.layer(x)[0])
        h, outputs = x.new_zeros(x.shape[1], HIDDEN), []
        for now in x:
            h = self.cell(now, h)
            outputs.append(self.head(h))
        return torch.stack(outputs)


class Two(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.GRU(INPUT, HIDDEN, batch_first=True)

    def forward(self, x, scale=None):
        return self.layer(x if scale is None else x * scale)[0][:, -1]


def loader(sizes=(4, 4, 3), batch_size=4):
    torch.manual_seed(1)
    x = torch.randn(sum(sizes), TIME, INPUT).double()
    return x, DataLoader(TensorDataset(x, torch.zeros(len(x))), batch_size=batch_size, generator=torch.Generator())
