"""Which steps of a training are measured."""

from types import SimpleNamespace

from rnnvanish.monitor import backward_passes
from rnnvanish.monitor.backward_passes import Schedule


def test_by_default_it_waits_until_its_time_is_a_small_share(monkeypatch):
    clock = SimpleNamespace(now=5.0)
    monkeypatch.setattr(backward_passes, "time", SimpleNamespace(perf_counter=lambda: clock.now))
    schedule = Schedule(None)
    assert schedule.is_due(0)
    schedule.note(100, 0.3)  # at step 100 and second 5, it took 0.3 seconds
    for step, now, due in ((160, 16.9, False), (160, 17.1, True), (149, 99.0, False)):
        clock.now = now
        assert schedule.is_due(step) == due
        assert not due or 0.3 / (now - 5.0) < 0.05


def test_a_fixed_interval_counts_from_the_last_measurement():
    schedule = Schedule(3)
    schedule.note(4, 100.0)
    assert [step for step in range(5, 9) if schedule.is_due(step)] == [7, 8]
