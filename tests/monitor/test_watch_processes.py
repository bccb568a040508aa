"""watch where several processes train one model together: the first one measures, and the training is the same."""

import os
from contextlib import nullcontext

import pytest
import torch
from torch import nn
from torch.distributed import destroy_process_group, init_process_group
from torch.multiprocessing import start_processes
from torch.nn.parallel import DistributedDataParallel

from rnnvanish import watch
from rnnvanish.monitor import pass_measurement
from rnnvanish.probes import retention

STEPS = 4


class Reader(nn.Module):
    def __init__(self, dropout=0.0):
        super().__init__()
        self.rnn, self.drop, self.head = nn.GRU(3, 5), nn.Dropout(dropout), nn.Linear(5, 1)

    def forward(self, x):
        return self.head(self.drop(self.rnn(x)[0][-1]))


def batch(rank, step=0):
    return torch.randn(9, 4, 3, generator=torch.Generator().manual_seed(10 * step + rank))


def loss_of(output):
    return (output - 1).square().mean()


def train(rank, watched):
    """Losses and weights; and of what watches what it has to show."""
    torch.manual_seed(0)
    model = DistributedDataParallel(Reader(0.3))
    rule, losses = torch.optim.SGD(model.parameters(), lr=0.1), []
    with watch(model, every=2, on_alert=str) if watched else nullcontext() as watching:
        for step in range(STEPS):
            rule.zero_grad()
            loss = loss_of(model(batch(rank, step)))
            loss.backward()
            rule.step()
            losses.append(loss.item())
    seen = None if watching is None else (watching.history.steps, watching.problems)
    return losses, [weight.tolist() for weight in model.parameters()], seen


def measure(rank):
    """The curve of a first pass; empty where it is not measured."""
    torch.manual_seed(0)
    model = DistributedDataParallel(Reader())
    with watch(model, every=1, on_alert=str) as watching:
        loss_of(model(batch(rank))).backward()
    return [each.gain for each in watching.history]


def in_process(rank, folder):
    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2)
    torch.save((train(rank, False), train(rank, True), measure(rank)), f"{folder}/{rank}.pt")
    destroy_process_group()


def test_the_first_of_two_processes_measures_its_batch_and_both_train_as_without_it(tmp_path):
    start_processes(in_process, (str(tmp_path),), nprocs=2, start_method="fork")
    (alone, first, gains), (other, second, none) = (torch.load(tmp_path / f"{rank}.pt") for rank in (0, 1))
    assert first[:2] == alone[:2]
    assert second[:2] == other[:2]
    assert first[2] == ((0, 2), [])
    assert second[2] == ((), [])
    torch.manual_seed(0)
    (expected,) = retention(Reader(), batch(0), loss_of).values()
    torch.testing.assert_close(gains, [expected.gain.double()], rtol=1e-4, atol=0)
    assert none == []


def test_what_would_wait_for_the_others_is_said_and_not_measured(monkeypatch):
    monkeypatch.setattr(pass_measurement, "_are_several", lambda: True)
    monkeypatch.setattr(torch.distributed, "get_rank", lambda: 0)
    with pytest.warns(UserWarning, match=r"Sequential is not measured: 1 speaks with the other processes"):
        watching = watch(nn.Sequential(nn.GRU(2, 3), nn.SyncBatchNorm(3)))
    assert len(watching.problems) == 1
    watching.close()
