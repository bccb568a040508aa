"""The commands of the home page do what it says, as they are printed."""

import re
import tomllib
from pathlib import Path

from rnnvanish.diagnosis.target import load_target

ROOT = Path(__file__).resolve().parents[2]
HOME = (ROOT / "docs/index.md").read_text(encoding="utf-8")


def test_the_command_for_a_model_of_ones_own_finds_it_as_printed(tmp_path, monkeypatch):
    (code,) = re.findall(r"```python\n# my_model\.py\n(.*?)```", HOME, re.DOTALL)
    (target,) = re.findall(r"^rnnvanish diagnose (\S+)$", HOME, re.MULTILINE)
    (tmp_path / "my_model.py").write_text(code, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    model, inputs, loss = load_target(target)
    assert loss is None
    assert model(*inputs if isinstance(inputs, tuple) else (inputs,))[0].shape[0] == 100
    assert len([line for line in code.splitlines() if line.startswith(("def", "    "))]) == 3, (
        "the page says three lines"
    )


def test_the_page_says_how_to_get_the_package():
    assert "\npip install .\n" in HOME
    needs = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["requires-python"]
    assert f"Python {needs.removeprefix('>=')} or newer" in HOME


def test_what_the_page_makes_is_there():
    targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    for target in re.findall(r"^make (\w+)", HOME, re.MULTILINE):
        assert target in targets
