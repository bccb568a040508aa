"""Every mitigation says where it comes from, when it acts and what it keeps, and some test here uses it."""

import re
from pathlib import Path

import pytest

from rnnvanish import mitigations
from rnnvanish.mitigation import Build, Draw, Mitigation, Penalty, Regime, Rule

TESTS = "".join(path.read_text() for path in Path(__file__).parent.glob("test_*.py") if path != Path(__file__))


@pytest.mark.parametrize("name", mitigations.ALL)
def test_a_mitigation_is_whole(name):
    mitigation = mitigations.ALL[name]
    assert mitigation is getattr(mitigations, name)
    assert name in mitigations.__all__
    assert sum(issubclass(mitigation, kind) for kind in (Draw, Build, Penalty, Rule, Regime)) == 1
    assert mitigation.paper.authors
    assert 1980 < mitigation.paper.year < 2030
    assert mitigation.paper.link.startswith("https://")
    assert len(mitigation.checked) > 10
    assert mitigation.invariant.endswith(".")
    assert mitigation.moment in {kind.moment for kind in (Draw, Build, Penalty, Rule, Regime)}
    assert mitigation.__doc__
    assert re.search(rf"\b{name}\(", TESTS), f"{name} needs a test of its invariant in {Path(__file__).parent}."


def test_a_mitigation_that_was_written_is_listed():
    folder = Path(mitigations.__file__).parent
    written = {path.stem for path in folder.glob("*.py")} - {"__init__"}
    assert written == {mitigation.__module__.rpartition(".")[2] for mitigation in mitigations.ALL.values()}


def test_names_are_in_alphabetical_order():
    assert list(mitigations.ALL) == sorted(mitigations.ALL)


def test_a_mitigation_is_one_of_the_five_kinds():
    kinds = {kind.moment for kind in (Draw, Build, Penalty, Rule, Regime)}
    assert len(kinds) == 5
    assert not hasattr(Mitigation, "moment")
