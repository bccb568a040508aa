"""What plants faults: each kind, where none belongs, and that what stands in the list of equivalent ones is still there."""

import json
import textwrap
from pathlib import Path

import pytest
from mutate import faults

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


def planted(source):
    source = textwrap.dedent(source)
    return {(fault.kind, fault.planted(source)) for fault in faults("file.py", source)}


@pytest.mark.parametrize(
    ("kind", "sound", "faulty"),
    [
        ("sign", "a + b", "(a - b)"),
        ("sign", "f(-a)", "f((a))"),
        ("sign", "a -= b", "a += b"),
        ("operator", "a * b", "(a / b)"),
        ("operator", "a < b", "(a <= b)"),
        ("operator", "a and b", "(a or b)"),
        ("operator", "not a", "(a)"),
        ("constant", "f(1)", "f((2))"),
        ("constant", "x[0.5]", "x[(1.0)]"),
        ("constant", "x = True", "x = (False)"),
        ("name", "y = f(a, b)", "y = (f(b, a))"),
        ("name", "return_ = a, b", "return_ = b, a"),
        ("name", "x[:, 0]", "x[0, :]"),
        ("call", "y = x.detach()", "y = (x)"),
        ("call", "y = torch.tanh(x)", "y = (x)"),
        ("call", "x.append(1)", "pass"),
        ("sign", "ε = 'é' + ü", "ε = ('é' - ü)"),
    ],
)
def test_each_kind_is_planted(kind, sound, faulty):
    assert (kind, faulty) in planted(sound)


@pytest.mark.parametrize(
    "silent",
    [
        '"""Words 1 + 1."""',
        "x: Float[1 + 1]",
        "raise ValueError(1 + 1)",
        "@claim(bound=1 + 1)\ndef f(): ...",
        "f'{1 + 1}'",
    ],
)
def test_what_only_says_something_is_left_alone(silent):
    assert not planted(silent)


def test_names_stay_when_lines_are_added_and_tell_equal_places_apart():
    source = "def f(a):\n    return a + 1, a + 1\n"
    ids = [fault.id for fault in faults("file.py", source)]
    assert len(set(ids)) == len(ids)
    assert "file.py::f: a + 1 -> (a - 1) #2" in ids
    assert ids == [fault.id for fault in faults("file.py", "\n\nx = y\n" + source)]


def test_every_fault_that_is_said_to_change_nothing_is_there_and_has_its_reason():
    known = json.loads((HERE / "equivalent.json").read_text(encoding="utf-8"))
    for path in {name.partition("::")[0] for name in known}:
        source = (ROOT / path).read_text(encoding="utf-8")
        there = {fault.id for fault in faults(path, source)}
        assert not {name for name in known if name.startswith(f"{path}::")} - there
    assert all(reason.endswith(".") for reason in known.values())
