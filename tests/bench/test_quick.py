"""A quick run takes every number once, and one that fails fails it."""

import math

import pytest
from asv_runner.benchmarks.mark import SkipNotImplemented

from bench.commands import quick
from bench.pages import labels


class Planted:
    """A benchmark as asv's discovery finds it, for three cells."""

    setup_cache_key, unit, params = "here", "MB", (["a", "b", "c"],)

    def __init__(self, values, name="memory.Planted.track", table=None):
        self.values, self.name, self.table, self.made = values, name, table, 0

    def do_setup_cache(self):
        self.made += 1
        if isinstance(self.table, Exception):
            raise self.table
        return self.table

    def set_cache(self, table):
        self.given = table

    def set_param_idx(self, index):
        self.index = index

    def do_run(self):
        value = self.values[self.index]
        if isinstance(value, Exception):
            raise value
        return value


def outcomes(planted):
    return dict(quick.take(planted, {}))


def test_every_number_is_taken_a_skip_is_none_and_a_failure_stands_alone():
    found = outcomes(Planted([2.0, SkipNotImplemented("absent"), ZeroDivisionError("planted")]))
    assert (found["a"], found["b"]) == (2.0, None)
    assert isinstance(found["c"], ZeroDivisionError)


@pytest.mark.parametrize("value", [0.0, -1.0, math.inf, math.nan])
def test_what_asv_cannot_compare_has_failed(value):
    assert isinstance(outcomes(Planted([value, 1.0, 1.0]))["a"], ValueError)


def test_the_number_of_a_claim_may_be_negative_but_not_infinite():
    found = outcomes(Planted([-1.0, math.inf, 0.0], name=labels.IN_VERDICTS))
    assert (found["a"], found["c"]) == (-1.0, 0.0)
    assert isinstance(found["b"], ValueError)


def test_a_table_is_made_once_for_the_suites_that_share_it():
    first, second, tables = Planted([1.0] * 3, table={"a": 1}), Planted([1.0] * 3), {}
    list(quick.take(first, tables))
    list(quick.take(second, tables))
    assert (first.made, second.made, second.given) == (1, 0, {"a": 1})


def test_a_table_that_cannot_be_made_or_handed_on_is_said_to_have_failed():
    assert isinstance(outcomes(Planted([], table=ImportError("planted")))["its table"], ImportError)
    assert isinstance(outcomes(Planted([], table=lambda: 0))["its table"], Exception)


@pytest.mark.parametrize(("value", "code"), [(1.0, 0), (0.0, 1)])
def test_a_number_that_fails_fails_the_run(monkeypatch, capsys, value, code):
    monkeypatch.setattr(quick, "update_sys_path", lambda _: None)
    monkeypatch.setattr(quick, "disc_benchmarks", lambda _: [Planted([value, 1.0, 1.0])])
    monkeypatch.setenv("RNNVANISH_BENCH_QUICK", "1")
    monkeypatch.setattr(quick.sys, "argv", ["quick"])
    assert quick.main() == code
    assert ("FAILED memory.Planted.track(a): ValueError" in capsys.readouterr().out) == bool(code)
