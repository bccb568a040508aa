"""Benchmarks: asv knows every key and every number, a planted slowdown is seen, a missing or broken cell hides nothing."""

import json
import math
import os
import platform
import random
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from asv.config import Config
from asv.util import load_json
from asv_runner._aux import update_sys_path
from asv_runner.discovery import disc_benchmarks

import rnnvanish.claim
import rnnvanish.experiments
import rnnvanish.names
from rnnvanish import Recurrent, cells
from rnnvanish.engine import loop
from rnnvanish.engine.cpu import cpu_loop

ROOT = Path(__file__).parents[2]

update_sys_path(str(ROOT / "bench"))  # as asv finds it
common, speed, retention, memory = (import_module(f"bench.{n}") for n in ("common", "speed", "retention", "memory"))
claims, learning, site = (import_module(f"bench.{n}") for n in ("claims", "learning", "site"))
machine, judged = import_module("bench.plugins.machine"), import_module("bench.stored.regressions")
UNITS = judged.EXACTLY | judged.NEVER | judged.NOISY
BENCHMARKS = list(disc_benchmarks(str(ROOT / "bench")))
sys.meta_path.pop(0)  # what asv put there: pytest asks every importer in a way that this one does not know


@pytest.fixture
def tiny(monkeypatch):
    monkeypatch.setattr(speed, "TIME", 4)
    monkeypatch.setattr(speed, "ROUNDS", 2)
    monkeypatch.setattr(retention, "LAGS", [10])
    monkeypatch.setattr(retention, "SEEDS", 1)


def settings():
    return load_json(ROOT / "asv.conf.json", js_comments=True)


def test_asv_knows_every_key():  # one that it does not know it passes over in silence
    assert settings().keys() <= vars(Config()).keys() | {"version"}


def test_the_measured_versions_are_those_of_the_project():
    pinned = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text().split() if "==" in line)
    wanted = settings()["matrix"]["req"]
    assert "torch" in wanted
    assert {name: [pinned[name]] for name in wanted} == wanted


def test_every_cell_of_the_catalogue_is_tracked():
    assert sorted(cells.ALL) == common.CELLS


def test_whatever_torch_has_is_compared_with_it():
    def has_counterpart(cell):
        try:
            return bool(Recurrent(cell, 2, 3).to_torch())
        except ValueError:
            return False

    assert {name for name, cell in cells.ALL.items() if has_counterpart(cell)} == common.IN_TORCH


@pytest.mark.parametrize("benchmark", BENCHMARKS, ids=lambda benchmark: benchmark.name)
def test_a_benchmark_has_a_unit_and_a_version_set_by_hand(benchmark):
    assert benchmark.unit in UNITS
    assert benchmark.version.isdigit()
    assert len(benchmark.version) < 4  # asv's own is a hash of the source: every edit would drop the history


def test_every_claim_is_tracked():
    assert set(claims.CLAIMS) == {claim.id for claim in rnnvanish.experiments.claims()}


def test_what_is_left_out_to_see_what_memory_of_its_own_costs_is_put_back(tiny):
    before = loop.lazy_clone, loop.copy_shared, cpu_loop.data_address
    assert speed.owned("GRU") > 0
    assert (loop.lazy_clone, loop.copy_shared, cpu_loop.data_address) == before


def test_torch_loses_what_we_lose(tiny, monkeypatch):
    monkeypatch.setattr(common, "tabulate", partial(common.tabulate, cells=sorted(common.IN_TORCH)))
    tables = retention.Retention().setup_cache()
    assert tables["ours"].keys() == common.IN_TORCH
    for cell in common.IN_TORCH:
        assert tables["ours"][cell] == pytest.approx(tables["torch"][cell])


@pytest.mark.parametrize(("gain", "lost"), [(0.0, 300.0), (math.nan, 300.0), (10.0, 0.01), (1e-3, 3.0)])
def test_decades_stay_between_what_asv_and_what_double_precision_can_tell(monkeypatch, gain, lost):
    gains = torch.full((6,), gain, dtype=torch.float64)
    curve = rnnvanish.probes.Curve(torch.arange(len(gains)), gains)
    monkeypatch.setattr(rnnvanish.probes, "retention", lambda model, x: {"": curve})
    assert retention.decades_lost(torch.nn.Identity(), [5]) == {5: pytest.approx(lost)}


@pytest.mark.parametrize(("exponent", "far"), [(-math.inf, 300.0), (0.0, 1e-3), (-0.5, 0.5)])
def test_an_exponent_stays_between_what_asv_can_compare(monkeypatch, exponent, far):
    monkeypatch.setattr(rnnvanish.probes, "lyapunov", lambda model, x, count: torch.tensor([exponent]))
    assert retention.leading_exponent("Elman") == pytest.approx(far)


def test_a_cure_that_suits_the_cell_keeps_the_gradient_and_one_that_does_not_is_skipped(monkeypatch):
    monkeypatch.setattr(retention, "LONGEST", 100)
    torch.manual_seed(0)
    plain = retention.decades_lost(common.layer("LSTM"), [100])[100]
    assert retention.decades_lost(retention.cured("LSTM", "Chrono"), [100])[100] < plain / 4
    with pytest.raises(common.Missing, match="suits no layer"):
        retention.cured("Elman", "Chrono")


@pytest.mark.parametrize(
    ("low", "high", "value", "strain"),
    [
        (3, math.inf, 3, 1.0),  # at its edge
        (3, math.inf, 6, 0.5),
        (3, math.inf, 0, 2.0),  # outside
        (-math.inf, 1e-9, 0.0, 0.5),
        (-3, math.inf, -3, 1.0),
        (10, 60, 50, 2 ** (-10 / 60)),  # the nearer of two edges
        (0, math.inf, math.inf, 0.01),
    ],
)
def test_a_claim_is_the_worse_the_nearer_it_is_to_its_threshold(low, high, value, strain):
    assert claims.strain(value, rnnvanish.claim.Bounds(low, high)) == pytest.approx(strain)


def test_a_dear_claim_is_given_up_and_leaves_nothing_behind():
    class Dear:
        def measure(self, seeds):
            while True:
                sum(range(1000))

    with pytest.raises(common.Missing, match=r"more than .* CPU seconds a seed"):
        claims.sample(Dear(), 1)

    class Broken:
        def measure(self, seeds):
            raise ZeroDivisionError("planted")

    with pytest.raises(RuntimeError, match="planted"):
        claims.sample(Broken(), 1)


def test_learning_counts_the_steps_until_it_is_learnt(monkeypatch):
    monkeypatch.setitem(learning.TASKS, "recall", ({"length": 1}, 0.95, 200))  # nothing to keep
    assert 10 < learning.steps_to_learn("Elman", "recall", 0) < 60
    monkeypatch.setitem(learning.TASKS, "recall", ({"length": 50}, 0.95, 12))
    assert learning.steps_to_learn("Elman", "recall", 0) == 12


def test_a_site_of_another_commit_is_not_taken_for_this_one(tmp_path, monkeypatch):
    (tmp_path / "index.html").write_bytes(b"x" * 2000)
    (tmp_path / "build.json").write_text('{"commit": "0123abcd", "seconds": 7, "cached": 0}')
    monkeypatch.setattr(site, "SITE", tmp_path)
    monkeypatch.setenv("ASV_COMMIT", "0123abcdef")
    assert (site.Site().track_heaviest_page(), site.Site().track_build_seconds()) == (2.0, 7)
    monkeypatch.setenv("ASV_COMMIT", "fffffff")
    with pytest.raises(NotImplementedError, match="no site was built at this commit"):
        site.Site().track_heaviest_page()


def test_a_figure_that_stalls_its_page_is_found(tmp_path, monkeypatch):
    figure = '<rv-{0}><button class="md-button--primary" onclick="for (let i = 0; i < {1}; i++) Math.random()">Start</button></rv-{0}>'
    page = f"{figure.format('busy', 3e6)}{figure.format('calm', 3e4)}<rv-still></rv-still>"
    (tmp_path / "index.html").write_text(page)
    for name, value in {"SITE": tmp_path, "NEAR": 100, "WATCHED": 500}.items():
        monkeypatch.setattr(site, name, value)
    with ThreadPoolExecutor(
        1
    ) as own:  # the tests of the site have a browser in this one, and a thread has one at a time
        usual, slowed = own.map(site.stalls, (1, 4))
    assert set(usual) == {"index rv-busy", "index rv-calm"}  # what has nothing to start is left out
    assert usual["index rv-busy"] > 3 * usual["index rv-calm"]
    assert slowed["index rv-busy"] > 1.5 * usual["index rv-busy"]


@pytest.mark.parametrize("slower", [1.0, 1.5])
def test_a_planted_slowdown_is_found(slower):
    """By a clock of the test's own, on a machine that others use: it gets slower all the time, and halts now and then."""
    done, halts = SimpleNamespace(seconds=1000.0), random.Random(0)

    def work(steps):
        def function():
            done.seconds += steps * done.seconds / 1000 + (halts.random() < 0.2) * halts.uniform(0, 50)

        return function

    ours, reference = common.interleaved(work(slower), work(1.0), rounds=41, now=lambda: done.seconds)
    assert max(ours) > 5 * min(ours)
    assert common.ratio(ours, reference) == pytest.approx(slower, rel=0.1)


def test_each_round_is_timed_in_turns_and_in_alternating_order():
    order = []
    common.interleaved(lambda: order.append("a"), lambda: order.append("b"), rounds=3, warm=1)
    assert "".join(order) == "ab" + "ba" + "ab" + "ba"


def test_saved_bytes_counts_each_storage_once_and_leaves_out_what_was_there():
    x = torch.randn(10, 100, requires_grad=True)
    weight = torch.randn(100, 5, requires_grad=True)

    def forward():
        once = x.exp()  # keeps its result: 4000 bytes
        twice = once.sin()  # keeps `once` again, which is counted already
        return twice @ weight + twice.t().square().sum()  # keeps `twice` (4000 bytes), a view of it, and the weight

    assert common.saved_bytes(forward, [x, weight]) == 8000
    assert common.saved_bytes(forward, []) == 8000 + 2000


def test_the_counterpart_of_torch_keeps_what_it_must():  # tanh keeps its outputs; besides them the first state
    assert memory.megabytes(torch.nn.RNN(16, 64)) == pytest.approx(101 * 32 * 64 * 4 / 1e6)


def test_a_cell_that_the_commit_lacks_is_skipped_and_one_that_fails_stands_alone(monkeypatch):
    def broken(cell):
        if cell == "LSTM":
            raise ZeroDivisionError("planted")
        return memory.megabytes(common.layer(cell))

    table = common.tabulate(broken, ["Elman", "LSTM", "OfTomorrow"])
    assert common.look_up(table, "Elman") > 0
    with pytest.raises(RuntimeError, match="ZeroDivisionError: planted"):
        common.look_up(table, "LSTM")
    with pytest.raises(NotImplementedError, match="OfTomorrow"):  # what asv takes for a skip
        common.look_up(table, "OfTomorrow")


def test_a_cell_without_counterpart_has_its_ratio_to_the_loop(tiny, monkeypatch):
    monkeypatch.setattr(common, "IN_TORCH", set())
    suite, table = speed.TrainingStep(), common.tabulate(lambda pair: speed.measure(*pair), [("GRU", "cpu")])
    assert suite.track_vs_loop(table, "GRU", "cpu") > 0
    with pytest.raises(NotImplementedError, match=r"torch\.nn has no GRU"):
        suite.track_vs_torch(table, "GRU", "cpu")


def test_a_gpu_is_waited_for_before_the_clock_is_read(monkeypatch):
    said, clock = [], iter(range(100))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: said.append("wait"))
    monkeypatch.setattr(common.time, "perf_counter", lambda: said.append("look") or next(clock))
    seconds = common.interleaved(lambda: said.append("step"), rounds=2, warm=1, now=common.clock("cuda"))
    assert said == ["step"] + 2 * ["wait", "look", "step", "wait", "look"]
    assert seconds == [[1, 1]]


def test_without_a_gpu_its_numbers_are_skipped(tiny, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    table = common.tabulate(lambda pair: speed.measure(*pair), [("GRU", "cuda")])
    with pytest.raises(NotImplementedError, match="no GPU on this machine"):
        speed.TrainingStep().track_seconds(table, "GRU", "cuda")


def test_a_module_that_is_there_and_broken_is_no_skip(tmp_path, monkeypatch):
    (tmp_path / "broken.py").write_text("import nowhere_to_be_found")
    monkeypatch.setattr(rnnvanish, "__path__", [*rnnvanish.__path__, str(tmp_path)])
    with pytest.raises(ModuleNotFoundError, match="nowhere"):
        common.need("rnnvanish.broken")
    with pytest.raises(common.Missing):
        common.need("rnnvanish.absent")


def test_what_has_moved_is_found_where_an_earlier_commit_has_it():
    """Also where the folder that it is in now was a module then."""
    assert common.need("rnnvanish.numerals.absent", "rnnvanish.names") is rnnvanish.names
    assert common.need("rnnvanish.names", "rnnvanish.numerals") is rnnvanish.names
    with pytest.raises(common.Missing, match=r"no rnnvanish\.numerals\.absent at this commit"):
        common.need("rnnvanish.numerals.absent", "rnnvanish.absent.too")


def test_threads_are_as_they_were():
    threads = torch.get_num_threads()
    assert common.tabulate(lambda cell: torch.get_num_threads(), ["Elman"]) == {"Elman": 1}
    assert torch.get_num_threads() == threads


def test_discovery_imports_neither_torch_nor_the_package():  # so no CUDA either, and not a second for every number
    script = f"""
        import sys
        from asv_runner._aux import update_sys_path
        from asv_runner.discovery import disc_benchmarks
        update_sys_path({str(ROOT / "bench")!r})
        assert list(disc_benchmarks({str(ROOT / "bench")!r}))
        assert not {{"torch", "rnnvanish"}} & set(sys.modules)
    """
    subprocess.run([sys.executable, "-c", "\n".join(map(str.strip, script.splitlines()))], check=True)


def test_a_machine_is_known_by_its_kind():
    known = machine.describe()
    assert not {platform.node(), platform.release()} & set(known.values())
    assert json.dumps(known["machine"]).strip('"').replace("-", "").replace(".", "").isalnum()


def test_a_dry_run_asks_nothing_and_writes_nothing_but_in_the_folder_of_asv(tmp_path):
    def results():
        return {path: path.stat().st_mtime_ns for path in (ROOT / "bench/results").rglob("*") if path.is_file()}

    before = results()
    asv = [sys.executable, "-m", "asv", "run", "--python=same", "--quick", "--dry-run", "--bench", "just-discover"]
    subprocess.run(asv, cwd=ROOT, env=os.environ | {"HOME": str(tmp_path)}, stdin=subprocess.DEVNULL, check=True)
    assert not list(tmp_path.iterdir())
    assert results() == before
