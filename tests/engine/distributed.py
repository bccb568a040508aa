"""One of two processes that train a layer together, each on its half of a batch: a script, given its rank and a folder."""

import sys

import torch
from torch import nn

from rnnvanish import Recurrent, cells


def train(rank: int, folder: str) -> None:
    torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    weights, x = torch.load(f"{folder}/start.pt")
    layer = Recurrent(cells.LSTM, x.shape[2], weights["cells.0.from_h.weight"].shape[1], engine="cpu").double()
    layer.load_state_dict(weights)
    model = nn.parallel.DistributedDataParallel(layer)
    steps = torch.optim.SGD(model.parameters(), 0.1)
    for _ in range(2):
        steps.zero_grad()
        model(x.chunk(2, dim=1)[rank])[0].sin().sum().backward()
        nn.utils.clip_grad_norm_(model.parameters(), 0.5)
        steps.step()
    torch.save(layer.state_dict(), f"{folder}/{rank}.pt")
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    train(int(sys.argv[1]), sys.argv[2])
