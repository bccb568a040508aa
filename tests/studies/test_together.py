"""A trial on two devices gives what it gives on one."""

import pytest

from rnnvanish.studies import Trial, together
from rnnvanish.studies.run import attempt
from rnnvanish.studies.together import attempt_together

TRIAL = Trial("LSTM", "recall", 4, hidden_size=4, lr=0.05, steps=20, batch_size=6, check_every=10)


def test_two_processes_find_what_one_finds(monkeypatch):
    """Over gloo; numbers are kept in five digits."""
    monkeypatch.setenv("GLOO_SOCKET_IFNAME", "lo")
    one, two = attempt(TRIAL)["result"], attempt_together(2, TRIAL)["result"]
    assert two["curve"].keys() == one["curve"].keys()
    for name, values in one["curve"].items():
        assert two["curve"][name] == pytest.approx(values, abs=2e-5), name
    assert two["loss"] == pytest.approx(one["loss"], abs=1e-5)
    assert two["after"]["half_life"] == pytest.approx(one["after"]["half_life"], rel=1e-3)


def test_a_long_curve_comes_back(monkeypatch):
    """More than a pipe holds."""
    monkeypatch.setattr(
        together, "spawn", lambda function, args, nprocs: [function(each, *args) for each in range(nprocs)]
    )
    monkeypatch.setattr(together, "attempt", lambda trial, **options: {"curve": [0.0] * 100_000})
    for name in ("MASTER_ADDR", "MASTER_PORT", "LOCAL_RANK", "NODE_RANK"):
        monkeypatch.setenv(name, "")
    assert attempt_together(2, TRIAL) == {"curve": [0.0] * 100_000}
