"""The table of licences: all that is needed is in it, each as its metadata say, and nothing that the package may not use."""

import re
from email.message import Message
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace

import pytest
from packaging.requirements import Requirement

from tools.site import licences

ROOT = Path(__file__).resolve().parents[2]
#: What a licence that allows ours may be called.
FREE = re.compile(r"\b(MIT|BSD|Apache|ISC|PSF|Python Software Foundation|MPL|BSL)\b")


@pytest.fixture(scope="module")
def found():
    return licences.installed(ROOT)


def test_all_that_is_needed_is_there_once(found):
    names = [each.name.lower().replace("_", "-") for each in found["package"] + found["development"]]
    assert len(names) == len(set(names))
    needed = [Requirement(each) for each in metadata.requires("rnnvanish") or () if "all" not in each]
    wanted = {each.name.lower() for each in needed} - {"rnnvanish"}
    assert wanted <= {each.name.lower().replace("_", "-") for each in found["package"]}
    own = {each.name: each for each in found["package"]}
    assert own["torch"].brought_by == "rnnvanish"
    assert own["sympy"].brought_by == "rnnvanish"  # torch needs it
    assert own["scipy"].brought_by == "[data]"
    assert own["rich"].version == metadata.version("rich")
    assert "mkdocs" in {each.name for each in found["development"]}


def test_nothing_stands_in_the_way_of_our_licence(found):
    for each in found["package"]:
        assert FREE.search(each.licence), f"{each.name} is under {each.licence!r}, which nobody has looked at"
        assert not re.search(r"\b[AL]?GPL", each.licence) or " OR " in each.licence, each


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ([("License-Expression", "MIT"), ("License", "something else")], "MIT"),
        ([("License", "Apache 2.0")], "Apache 2.0"),
        ([("License", "UNKNOWN"), ("Classifier", "License :: OSI Approved :: MIT License")], "MIT License"),
        ([("License", "BSD 3-Clause License\n\nAll rights"), ("Classifier", "Topic :: X")], "BSD 3-Clause License"),
        ([("License", "Copyright (c) 1\n2"), ("Classifier", "License :: OSI Approved :: BSD License")], "BSD License"),
        ([("Name", "x")], licences.UNSAID),
    ],
)
def test_a_licence_is_what_the_metadata_say(fields, said):
    message = Message()
    for name, value in fields:
        message[name] = value
    assert licences.licence(SimpleNamespace(metadata=message)) == said


def test_a_page_has_a_row_for_each(found):
    shown = licences.put('<div data-rv-licences="package"></div>', ROOT)
    assert shown.count("<tr>") == len(found["package"]) + 1
    assert re.search(r"torch</th><td>[\d.]+</td><td>Apache-2.0", shown)
    assert licences.put("<p>x</p>", ROOT) == "<p>x</p>"
