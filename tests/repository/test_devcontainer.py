"""The container for development: it is JSON, and what it names is there."""

import inspect
import json
import re
import tomllib
from pathlib import Path

from packaging.specifiers import SpecifierSet

from tools import serve

ROOT = Path(__file__).parents[2]
CONTAINER = json.loads((ROOT / ".devcontainer/devcontainer.json").read_text(encoding="utf-8"))


def test_what_it_names_is_there():
    command, target = CONTAINER["postCreateCommand"].split()
    assert command == "make"
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    python = re.search(r"python:(\d\.\d+)-", CONTAINER["image"])[1]
    promised = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["requires-python"]
    assert SpecifierSet(promised).contains(python)
    port = inspect.signature(serve.main).parameters["port"].default
    assert CONTAINER["forwardPorts"] == [int(port)]
    assert list(CONTAINER["portsAttributes"]) == [port]
    settings = CONTAINER["customizations"]["vscode"]["settings"]
    assert settings["python.defaultInterpreterPath"].endswith("/.venv/bin/python")
    assert all((ROOT / folder).is_dir() for folder in settings["python.testing.pytestArgs"])
