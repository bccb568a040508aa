"""watch where several processes train one model together: the first one measures, and the training is the same."""

import os

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


def train(rank, folder, watched):
    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    init_process_group("gloo", init_method=f"file://{folder}/{watched}", rank=rank, world_size=2)
    torch.manual_seed(0)
    model = DistributedDataParallel(Reader(0.3))
    watching = watch(model, every=2, on_alert=str) if watched else None
    rule, losses = torch.optim.SGD(model.parameters(), lr=0.1), []
    for step in range(STEPS):
        rule.zero_grad()
        loss = loss_of(model(batch(rank, step)))
        loss.backward()
        rule.step()
        losses.append(loss.item())
    seen = [] if watching is None else [watching.history.to_json(), watching.problems, watching.history.steps]
    if watching is not None:
        watching.close()
    torch.save([losses, [weight.tolist() for weight in model.parameters()], seen], f"{folder}/{watched}{rank}.pt")
    destroy_process_group()


def test_the_first_of_two_processes_measures_and_both_train_as_without_it(tmp_path):
    for watched in (False, True):
        start_processes(train, (str(tmp_path), watched), nprocs=2, start_method="fork")
    alone, beside = ([torch.load(tmp_path / f"{watched}{rank}.pt") for rank in (0, 1)] for watched in (False, True))
    assert [each[:2] for each in beside] == [each[:2] for each in alone]
    (_, _, first), (_, _, second) = beside
    assert first[1:] == [[], (0, 2)]
    assert second[1:] == [[], ()]


def measure(rank, folder):
    init_process_group("gloo", init_method=f"file://{folder}/measured", rank=rank, world_size=2)
    torch.manual_seed(0)
    model = DistributedDataParallel(Reader())
    with watch(model, every=1, on_alert=str) as watching:
        loss_of(model(batch(rank))).backward()
    if rank == 0:
        torch.save(watching.history.of("rnn/layer0/forward")[0].gain, f"{folder}/gain.pt")
    destroy_process_group()


def test_it_measures_what_the_probe_measures_on_the_batch_of_the_first(tmp_path):
    torch.manual_seed(0)
    (expected,) = retention(Reader(), batch(0), loss_of).values()
    start_processes(measure, (str(tmp_path),), nprocs=2, start_method="fork")
    torch.testing.assert_close(torch.load(tmp_path / "gain.pt"), expected.gain.double(), rtol=1e-4, atol=0)


def test_what_would_wait_for_the_others_is_said_and_not_measured(monkeypatch):
    monkeypatch.setattr(pass_measurement, "_are_several", lambda: True)
    monkeypatch.setattr(torch.distributed, "get_rank", lambda: 0)
    with pytest.warns(UserWarning, match=r"Sequential is not measured: 1 speaks with the other processes"):
        watching = watch(nn.Sequential(nn.GRU(2, 3), nn.SyncBatchNorm(3)))
    assert len(watching.problems) == 1
    watching.close()
