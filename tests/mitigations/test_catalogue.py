"""Every mitigation says where it comes from, when it acts and what it keeps, and some test here holds it to that."""

import ast
from itertools import chain
from pathlib import Path

import pytest

from rnnvanish import mitigations
from rnnvanish.mitigation import Build, Draw, Mitigation, Penalty, Regime, Rule

HERE = Path(__file__)
FILES = {path: ast.parse(path.read_text(encoding="utf-8")) for path in HERE.parent.glob("test_*.py") if path != HERE}
HELPERS = [ast.parse(path.read_text(encoding="utf-8")) for path in (HERE.parents[1] / "helpers").glob("*.py")]


def definitions(tree):
    """The functions and constants of a file, by their names."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name, node
        elif isinstance(node, ast.Assign):
            yield from ((target.id, node) for target in node.targets if isinstance(target, ast.Name))


def reached(test, known):
    """All nodes of a test, and of what it names: its parameters and helpers, and what these name."""
    open_, seen = [test], set()
    while open_:
        for node in ast.walk(open_.pop()):
            yield node
            if isinstance(node, ast.Name) and node.id in known and node.id not in seen:
                seen.add(node.id)
                open_.append(known[node.id])


def name_of(call):
    return getattr(call.func, "attr", getattr(call.func, "id", ""))


def called(test, known):
    """What a test calls, where it also asserts something; that it is refused is no assertion."""
    nodes = list(reached(test, known))
    calls = {name_of(node) for node in nodes if isinstance(node, ast.Call)}
    asserts = any(isinstance(node, ast.Assert) for node in nodes) or any(name.startswith("assert_") for name in calls)
    return calls if asserts else set()


def held_in(files, helpers=()):
    """All that is called in some test that asserts something."""
    shared = dict(chain.from_iterable(map(definitions, helpers)))
    tests = [
        (node, shared | known)
        for known in (dict(definitions(tree)) for tree in files)
        for name, node in known.items()
        if name.startswith("test_") and isinstance(node, ast.FunctionDef)
    ]
    return set().union(*(called(test, known) for test, known in tests))


HELD = held_in(FILES.values(), HELPERS)


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
    assert name in HELD, (
        f"{name} needs a test of its invariant, {mitigation.invariant!r}: a function test_… of tests/mitigations that calls "
        f"{name}(…) and asserts something. Which file: CONTRIBUTING.md, 'A cure'."
    )


def test_a_mention_is_no_test():
    """A name in words, in a refusal, or beside a test; a call counts that a parameter or a helper of the test makes."""
    lines = [
        "SEEN = [Parameter()]",
        "UNSEEN = [Beside()]",
        "def same(cure): assert cure == Helper()",
        "@pytest.mark.parametrize('cure', SEEN)",
        "def test_one(cure): same(cure(model)); torch.testing.assert_close('InWords()', mitigations.Inside())",
        "def test_two():",
        "    with pytest.raises(ValueError): Refused()",
        "def test_three(): Made()",
    ]
    held = held_in([ast.parse("\n".join(lines))])
    assert {name for name in held if name[0].isupper()} == {"Parameter", "Helper", "Inside"}


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
