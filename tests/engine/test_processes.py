"""Processes that share what is made once: workers of a DataLoader, forks, and a process that is killed while it writes."""

import os
import signal
import subprocess
import sys
import time

import pytest
import torch
from torch.utils.data import DataLoader, Dataset

from rnnvanish import Recurrent, cells
from rnnvanish.engine import run
from rnnvanish.engine.cache import private_folder
from rnnvanish.engine.cpu import cpu_loop

X = torch.randn(40, 16, 5, generator=torch.Generator().manual_seed(0))


class Features(Dataset):
    """Items that a layer computes in the process of a worker: its output, and a gradient."""

    def __init__(self, layer):
        self.layer = layer

    def __len__(self):
        return 4

    def __getitem__(self, index):
        x = X * (index + 1)
        output, _ = self.layer(x)
        return output.detach()[-1], torch.autograd.grad(output.square().sum(), self.layer.cells[0].from_x.bias)[0]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no forks on this platform")
@pytest.mark.timeout(120)
@pytest.mark.parametrize("warm", [True, False], ids=["compiled before", "compiled there"])
def test_workers_of_a_dataloader_run_a_layer(warm, monkeypatch):
    torch.manual_seed(0)
    layer = Recurrent(cells.GRU, 5, 8)
    plain = Recurrent(cells.GRU, 5, 8, engine="reference")
    plain.load_state_dict(layer.state_dict())
    expected = [Features(plain)[index] for index in range(4)]
    monkeypatch.setattr(run, "_programs", {})
    if warm:
        layer(X)
    loader = DataLoader(Features(layer), batch_size=None, num_workers=2, multiprocessing_context="fork")
    for found, wanted in zip(loader, expected, strict=True):
        torch.testing.assert_close(found, list(wanted), rtol=1e-4, atol=1e-3)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no forks on this platform")
def test_the_threads_of_a_forked_process_are_its_own():
    assert cpu_loop._pool().submit(int).result() == 0
    child = os.fork()
    if not child:
        status = 1
        try:
            status = cpu_loop._pool().submit(int).result(timeout=20)
        finally:
            os._exit(status)
    assert os.waitpid(child, 0)[1] == 0


#: A layer is the first thing that the process runs, its gradient the next; then a fork has one, too.
FORKED = """
import os, torch
from rnnvanish import Recurrent, cells
layer, x = Recurrent(cells.GRU, 5, 8), torch.randn(40, 16, 5)
gradient = lambda: torch.autograd.grad(layer(x)[0].square().sum(), layer.cells[0].from_x.bias)[0]
expected = gradient()
child = os.fork()
if not child:
    status = 1
    try:
        status = not torch.equal(gradient(), expected)
    finally:
        os._exit(status)
assert os.waitpid(child, 0)[1] == 0
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no forks on this platform")
def test_a_fork_has_gradients_whatever_its_parent_ran_first():
    subprocess.run([sys.executable, "-c", FORKED], check=True)


#: Is killed when the file is written, and not yet in its place.
KILLED = """
import importlib.util, os, pathlib, signal, sys
spec = importlib.util.spec_from_file_location("private", sys.argv[1])
private = importlib.util.module_from_spec(spec)
spec.loader.exec_module(private)
os.replace = lambda *args, **kwargs: os.kill(os.getpid(), signal.SIGKILL)
private.PrivateFolder(pathlib.Path(sys.argv[2]), make=True, close=False).write("step-" + "a" * 32, bytes(10**5))
"""


def test_what_a_killed_process_was_writing_is_never_read_and_goes_away(tmp_path):
    killed = subprocess.run(
        [sys.executable, "-S", "-c", KILLED, private_folder.__file__, str(tmp_path / "cache")], check=False
    )
    assert killed.returncode == -signal.SIGKILL
    (draft,) = (tmp_path / "cache").iterdir()
    folder = private_folder.PrivateFolder(tmp_path / "cache", make=False, close=False)
    assert folder.read(f"step-{'a' * 32}") is None
    folder.write(f"step-{'b' * 32}", b"whole")
    assert draft.exists()  # it could belong to a process that still writes it
    os.utime(draft, (time.time() - private_folder.ABANDONED - 60,) * 2)
    folder.write(f"step-{'b' * 32}", b"whole")
    assert not draft.exists()
    folder.close()
