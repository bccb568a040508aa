"""The pages of cells and cures: what they show can be typed."""

import re
import shlex

import pytest

from rnnvanish import mitigations
from rnnvanish.mitigation import Penalty, Rule
from rnnvanish.training.learner import Learner
from tools.site.catalogue import of_cures, pages


@pytest.mark.parametrize("name", mitigations.ALL)
def test_the_lines_to_use_a_cure_run(name):
    code = of_cures.python(name)
    known = {}
    exec(code, known)  # noqa: S102  (our own lines)
    assert bool(code) == isinstance(known.get("cure"), mitigations.ALL[name])
    if issubclass(mitigations.ALL[name], Penalty | Rule):
        assert any(weight.grad.any() for weight in known["model"].parameters())
    command = re.search(r"^rnnvanish train (.+)$", of_cures.use(mitigations.ALL[name]), re.MULTILINE)[1]
    words = shlex.split(command.replace("--cell_options.nonlinearity relu", ""))
    options = dict(zip(words[::2], words[1::2], strict=True))
    relu = {"cell_options": {"nonlinearity": "relu"}} if "relu" in command else {}
    Learner(**{option.removeprefix("--"): value for option, value in options.items()}, **relu)


def test_a_file_is_one_entry_and_every_name_is_in_one():
    for page in ("rnnvanish.cells", "rnnvanish.mitigations"):
        entries = pages.entries(page)
        assert len({entry.module for entry in entries}) == len(entries)
        listed = [name for entry in entries for name in entry.kinds]
        assert sorted(listed) == sorted(set(listed))
        assert all(entry.sentence.endswith(".") for entry in entries)
