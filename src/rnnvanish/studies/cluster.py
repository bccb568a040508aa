"""The trials of a study on Ray: on the cores of this machine, or on a cluster."""

import logging
import math
import os
import secrets
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from itertools import chain, islice
from typing import Any

from rnnvanish.names import require
from rnnvanish.studies.run import Attempt
from rnnvanish.studies.trial import Trial

#: How often a trial is begun again whose process or machine was lost: one that is lost each time is itself the cause.
RETRIES = 3
#: Bytes of shared memory for what goes between processes, which is little; Ray's own choice is a third of the memory.
SHARED_MEMORY = 100 * 2**20
#: Seconds between two looks at which machines there are.
LOOK = 10.0
#: Nothing is sent home, nothing is printed that is not asked for.
QUIET = {"log_to_driver": False, "configure_logging": False, "logging_level": logging.ERROR}


@dataclass(frozen=True)
class Cluster:
    """Runs trials in processes of their own, as many at a time as there is room for.

    A trial whose process or machine is lost is begun again on another, three times. Results come back to this process,
    so machines need no disk in common, but each needs this package. Without an address everything runs on this machine,
    behind a token that nobody else knows, and ends with this process, however that ends.

    Args:
        workers: At most so many trials at a time; None: as many as there is room for.
        address: Of the head of a Ray cluster, such as "10.0.0.1:6379"; None: this machine.
        cpus: Cores that a trial takes, or a part of one.
        gpus: GPUs that a trial takes, or a part of one; it sees no others. For trials whose accelerator is "gpu".

    Raises:
        ImportError: Ray is not installed: says how to install it.
        ValueError: For a number out of range.
    """

    workers: int | None = None
    address: str | None = None
    cpus: float = 1.0
    gpus: float = 0.0

    def __post_init__(self) -> None:
        if self.workers is not None and self.workers < 1:
            raise ValueError(f"A sweep needs workers >= 1, got {self.workers}.")
        if self.cpus <= 0 or self.gpus < 0:
            raise ValueError(f"A trial needs cpus > 0 and gpus >= 0, got cpus={self.cpus:g} and gpus={self.gpus:g}.")
        require("ray", "cluster", "A sweep in several processes")

    def map(self, function: Attempt, trials: Iterable[Trial]) -> Generator[tuple[Trial, dict[str, Any] | Exception]]:
        """Yield each trial with what came of it, as `Runner` says.

        Raises:
            ValueError: No machine has room for a trial.
            Exception: What `function` raised.
        """
        waiting = iter(trials)
        first = list(islice(waiting, 1))  # where nothing is to be done nothing is started
        if not first:
            return
        waiting = chain(first, waiting)
        running: dict[Any, Trial] = {}
        with self._connected() as ray:
            self._check_room(ray)
            task = ray.remote(_call).options(num_cpus=self.cpus, num_gpus=self.gpus, max_retries=RETRIES)
            looked, ended = -math.inf, list[tuple[Trial, Any]]()
            while True:
                if time.monotonic() > looked + LOOK:
                    room = max(1, self._room(ray))  # where all machines are lost, one trial waits for another machine
                    looked = time.monotonic()
                for trial in islice(waiting, max(0, room - len(running))):
                    running[task.remote(function, trial)] = trial
                for trial, reference in ended:  # after others were handed out, so that no worker waits for this process
                    yield trial, _outcome(ray, reference)
                if not running:
                    return
                ended = [(running.pop(each), each) for each in ray.wait(list(running), timeout=LOOK)[0]]

    @contextmanager
    def _connected(self) -> Iterator[Any]:
        """Connect to the cluster, or begin one on this machine that ends with the sweep."""
        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
        if self.address is None:
            os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")  # its name for: 127.0.0.1 alone
            os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))  # else it leaves one in the home folder
        ray: Any = import_module("ray")
        logging.getLogger("ray").setLevel(logging.ERROR)
        folder = None if self.address else tempfile.mkdtemp(prefix="rnnvanish-")
        try:
            with _own_signals():
                if folder is None:
                    ray.init(self.address, **QUIET)
                else:
                    cores = None if self.workers is None else math.ceil(self.workers * self.cpus)
                    ray.init(
                        "local",
                        num_cpus=cores,
                        object_store_memory=SHARED_MEMORY,
                        include_dashboard=False,
                        _temp_dir=folder,
                        **QUIET,
                    )
            yield ray
        finally:
            ray.shutdown()
            if folder is not None:
                shutil.rmtree(folder, ignore_errors=True)

    def _check_room(self, ray: Any) -> None:
        """See that there is room for one trial at least."""
        if not self._room(ray):
            has = "; ".join(f"{each.get('CPU', 0):g} cores and {each.get('GPU', 0):g} GPUs" for each in _machines(ray))
            raise ValueError(
                f"A trial takes {self.cpus:g} cores and {self.gpus:g} GPUs of one machine. There are: {has}."
            )

    def _room(self, ray: Any) -> int:
        """How many trials run at a time."""
        room = 0
        for machine in _machines(ray):
            by_gpu = machine.get("GPU", 0) / self.gpus if self.gpus else math.inf
            room += int(min(machine.get("CPU", 0) / self.cpus, by_gpu) + 1e-9)  # three times 1/3 is a whole one
        return room if self.workers is None else min(room, self.workers)


def _machines(ray: Any) -> list[dict[str, float]]:
    """What each machine of the cluster has."""
    return [machine["Resources"] for machine in ray.nodes() if machine["Alive"]]


def _call(function: Attempt, trial: Trial) -> dict[str, Any]:
    """Ray takes functions alone, and an attempt may be any callable."""
    return function(trial)


def _outcome(ray: Any, ended: Any) -> dict[str, Any] | Exception:
    """What came of a trial; an exception where its process was lost each time."""
    try:
        outcome: dict[str, Any] = ray.get(ended)
    except ray.exceptions.RayTaskError:  # the function itself failed, and would for every trial
        raise
    except ray.exceptions.RayError as error:
        lost: Exception = error
        return lost
    return outcome


@contextmanager
def _own_signals() -> Iterator[None]:
    """Ray takes SIGTERM for itself: give it back."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, before)
