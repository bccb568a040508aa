"""Sweeps on Ray: little is in flight, what is lost is begun again, whatever is killed the results are those of one process."""

import os
import signal
import sys
import tempfile
import time
from collections import Counter
from contextlib import contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace

import pytest

from rnnvanish.__main__ import main
from rnnvanish.studies import Store, Study, Trial
from rnnvanish.studies.cluster import Cluster
from rnnvanish.studies.run import attempt, sweep

STUDY = Study(
    "small",
    ["LSTM", "GRU"],
    ["recall"],
    [3, 5],
    hidden_sizes=[4],
    seeds=[0, 1, 2],
    steps=50,
    batch_size=8,
    check_every=10,
)
TRIALS = [Trial("GRU", "recall", seed=seed) for seed in range(100)]
MACHINE = {"Alive": True, "Resources": {"CPU": 4.0, "GPU": 2.0}}


class Lost(Exception):
    """As Ray tells that a process was lost."""


class Failed(Lost):
    """As Ray tells that a function raised."""


class InstantRay:
    """A Ray on which what was begun first ends first."""

    exceptions = SimpleNamespace(RayError=Lost, RayTaskError=Failed)

    def __init__(self, *machines):
        self.machines, self.running, self.most = machines, [], 0

    def nodes(self):
        return self.machines

    def remote(self, function):
        self.function = function
        return self

    def options(self, **options):
        self.told = options
        return SimpleNamespace(remote=self.begin)

    def begin(self, *args):
        self.running.append(args)
        self.most = max(self.most, len(self.running))
        return len(self.running), args

    def wait(self, references, timeout):
        self.running.pop(0)
        return references[:1], references[1:]

    def get(self, reference):
        return self.function(*reference[1])


@pytest.fixture
def connected(monkeypatch):
    def connect(ray):
        @contextmanager
        def _connected(self):
            yield ray

        monkeypatch.setattr(Cluster, "_connected", _connected)
        return ray

    return connect


@pytest.mark.parametrize(
    ("options", "most"),
    [
        ({}, 8),
        ({"workers": 3}, 3),
        ({"cpus": 0.5}, 16),
        ({"cpus": 3.0}, 2),
        ({"cpus": 0.1, "gpus": 1 / 3}, 12),
        ({"cpus": 2.0, "gpus": 2.0}, 2),
    ],
)
def test_as_many_trials_are_in_flight_as_there_is_room_for_and_no_more_are_taken(connected, options, most):
    ray, taken = connected(InstantRay(MACHINE, MACHINE, MACHINE | {"Alive": False})), Counter()

    def trials():
        for trial in TRIALS:
            taken["taken"] += 1
            yield trial

    for ended, (trial, outcome) in enumerate(Cluster(**options).map(lambda trial: {"seed": trial.seed}, trials())):
        assert outcome == {"seed": trial.seed}
        assert taken["taken"] <= ended + 1 + most
    assert (taken["taken"], ray.most) == (100, most)
    assert ray.told["max_retries"] == 3


def test_a_lost_process_is_an_outcome_and_a_function_that_fails_is_raised(connected):
    def function(trial):
        if trial.seed in (1, 3):
            raise (Lost if trial.seed == 1 else Failed)(f"trial {trial.seed}")
        return {"seed": trial.seed}

    connected(InstantRay(MACHINE))
    outcomes = Cluster(workers=1).map(function, TRIALS)
    assert next(outcomes) == (TRIALS[0], {"seed": 0})
    trial, lost = next(outcomes)
    assert (trial, type(lost), str(lost)) == (TRIALS[1], Lost, "trial 1")
    assert next(outcomes) == (TRIALS[2], {"seed": 2})
    with pytest.raises(Failed, match="trial 3"):
        next(outcomes)


def test_where_nothing_is_to_be_done_nothing_is_started(connected):
    connected(None)
    assert list(Cluster().map(attempt, [])) == []


def test_a_trial_that_no_machine_has_room_for_is_refused(connected):
    connected(InstantRay(MACHINE))
    with pytest.raises(ValueError, match=r"takes 1 cores and 3 GPUs of one machine. There are: 4 cores and 2 GPUs"):
        next(Cluster(gpus=3.0).map(attempt, TRIALS))


def test_a_wrong_number_is_refused_and_without_ray_it_is_said_what_to_install(monkeypatch, tmp_path, capsys):
    with pytest.raises(ValueError, match="workers >= 1, got 0"):
        Cluster(workers=0)
    with pytest.raises(ValueError, match="cpus > 0 and gpus >= 0, got cpus=0 and gpus=0"):
        Cluster(cpus=0.0)
    monkeypatch.setitem(sys.modules, "ray", None)
    assert main(["sweep", str(tmp_path / "study.yaml"), "--workers", "2"]) == 2
    assert 'pip install "rnnvanish[cluster]"' in capsys.readouterr().err


# Kills.


@contextmanager
def forked(work):
    """A child of this process at work; whatever is left of it and of its children in the end is killed, by id."""
    child = os.fork()
    if not child:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    known = {child: "driver"}
    try:
        yield child, lambda: known.update(children(child)) or children(child)
    finally:
        known.update(children(child))
        for each in known:
            with suppress(ProcessLookupError):
                os.kill(each, signal.SIGKILL)


def children(process):
    """Names of all processes below one, by their ids."""
    parents, names = {}, {}
    for folder in Path("/proc").iterdir():
        with suppress(OSError, ValueError):
            each = int(folder.name)
            parents[each] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            names[each] = (folder / "cmdline").read_text().replace("\0", " ")
    found, size = {process}, 0
    while len(found) > size:
        size = len(found)
        found |= {each for each, parent in parents.items() if parent in found}
    return {each: names.get(each, "") for each in found - {process}}


def until(condition, seconds=240):
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end
        time.sleep(0.05)
    return found


def results(store):
    return {trial.key: store.read(trial).content.get("result") for trial in STUDY.trials()}


def on_two_machines(store, said):
    """Sweep on two machines on the loopback address; the second is killed while it is at a trial."""
    os.environ |= {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0", "RAY_AUTH_TOKEN": "0" * 64, "RAY_USAGE_STATS_ENABLED": "0"}
    with tempfile.TemporaryDirectory(prefix="rv-") as folder:
        os.environ["RAY_TMPDIR"] = folder
        from ray.cluster_utils import Cluster as Machines

        small = {"num_cpus": 1, "object_store_memory": 80 * 2**20, "include_dashboard": False}
        machines = Machines(initialize_head=True, head_node_args=small)
        second = machines.add_node(**small)

        def attempt_there(trial):
            import ray

            return attempt(trial) | {"machine": ray.get_runtime_context().get_node_id()}

        class Watched:
            def map(self, function, trials):
                killed = False
                for trial, outcome in Cluster(address=machines.address).map(function, trials):
                    yield trial, outcome
                    if not killed and outcome["machine"] == second.node_id:
                        machines.remove_node(second, allow_graceful=False)
                        killed = True

        sweep(STUDY, store, Watched(), function=attempt_there)
        said.write_text(second.node_id)
        machines.shutdown()


@pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")
def test_a_sweep_whose_workers_driver_and_machine_are_killed_gives_what_an_uninterrupted_one_gives(tmp_path):
    pytest.importorskip("ray")
    whole, store = Store(tmp_path / "whole"), Store(tmp_path / "broken")
    sweep(STUDY, whole)
    assert None not in results(whole).values()

    def finished():
        return [trial.key for trial in STUDY.trials() if store.path(trial).exists()]

    def workers():
        return [each for each, name in below().items() if name.startswith("ray::_call")]

    def on_two_workers():
        tempfile.tempdir = folder  # what is killed leaves Ray's logs
        sweep(STUDY, store, Cluster(workers=2))

    with (
        tempfile.TemporaryDirectory(prefix="rv-", ignore_cleanup_errors=True) as folder,
        forked(on_two_workers) as (driver, below),
    ):
        for done in (1, 3):
            until(lambda done=done: len(finished()) >= done and workers())
            os.kill(workers()[0], signal.SIGKILL)
        until(lambda: len(finished()) >= 5)
        others = [each for each, name in below().items() if "ray::_call" in name or "raylet" in name]
        os.kill(driver, signal.SIGKILL)
        os.waitpid(driver, 0)
        until(lambda: not any(Path(f"/proc/{each}/cmdline").exists() for each in others))  # they end with it
    kept = {key: (store.folder / f"{key}.json").read_bytes() for key in finished()}
    assert 5 <= len(kept) < len(STUDY.trials())

    with forked(lambda: on_two_machines(store, tmp_path / "second")) as (driver, _):
        until(lambda: os.waitpid(driver, os.WNOHANG)[0])
    assert results(store) == results(whole)
    assert all((store.folder / f"{key}.json").read_bytes() == before for key, before in kept.items())
    there = [store.read(trial).content for trial in STUDY.trials() if trial.key not in kept]
    machines = Counter(each["machine"] for each in there)
    assert len(machines) == 2
    assert machines[(tmp_path / "second").read_text()] >= 1
