"""A trial on several devices: a process for each, which share every batch by Lightning's strategy "ddp"."""

import os
import pickle
import socket
import tempfile
from pathlib import Path
from typing import Any

from torch.multiprocessing.spawn import spawn

from rnnvanish.studies.run import attempt, failure
from rnnvanish.studies.trial import Trial


def attempt_together(devices: int, trial: Trial) -> dict[str, Any]:
    """Run a trial on so many devices of this machine; the first process says what came of it.

    Its numbers are those of one process but for rounding, and where cures or dropout act on the sequences of a batch.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        said = (
            Path(folder) / "said"
        )  # a file: a pipe would be full with a long curve, and each would wait for the other
        try:
            spawn(_attempt_one, (devices, port, trial, said), nprocs=devices)
        except Exception as error:  # noqa: BLE001  # a process was lost
            return failure(trial, error)
        told: dict[str, Any] = pickle.loads(said.read_bytes())
        return told


def _attempt_one(rank: int, devices: int, port: int, trial: Trial, said: Path) -> None:
    """One of the processes; Lightning finds the others by what stands in the environment."""
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "LOCAL_RANK": str(rank), "NODE_RANK": "0"}
    from lightning_fabric.plugins.environments.lightning import LightningEnvironment

    told = attempt(
        trial, devices=devices, strategy="ddp", plugins=[LightningEnvironment()], use_distributed_sampler=False
    )
    if not rank:
        said.write_bytes(pickle.dumps(told))
