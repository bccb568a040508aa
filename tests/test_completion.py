"""Tab at the shell, as the reference's page says: the file is made by its command, and asked in bash itself."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from rnnvanish.__main__ import COMMANDS

pytest.importorskip("shtab")
PAGE = (Path(__file__).parents[1] / "docs/reference/training.md").read_text(encoding="utf-8")
MAKE = re.search(r"^pip install shtab\n(.*\n)(.*\n)", PAGE, re.MULTILINE)
#: What bash calls when Tab is pressed behind some words.
ASK = """
source ~/.local/share/bash-completion/completions/rnnvanish
press_tab() {
  COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMP_LINE="$*"; COMP_POINT=${#COMP_LINE}; COMPREPLY=()
  $(complete -p rnnvanish | sed 's/.*-F \\([^ ]*\\).*/\\1/') rnnvanish "${@: -1}" "${@: -2:1}" 2> /dev/null
  echo "${COMPREPLY[*]}"
}
"""
ANSWERS = {
    ("rnnvanish", ""): set(COMMANDS),
    ("rnnvanish", "d"): {"diagnose"},
    ("rnnvanish", "train", "--mo"): {"--momentum", "--monitor"},
    ("rnnvanish", "train", "--schedule", ""): {"constant", "linear", "cosine", "step"},
    ("rnnvanish", "sweep", "--dry"): {"--dry_run"},
    ("rnnvanish", "diagnose", "--nothing"): set(),
}


@pytest.mark.skipif(sys.platform == "win32", reason="its bash is another machine's")
def test_bash_completes_commands_options_and_choices(tmp_path):
    home = os.environ | {"HOME": str(tmp_path), "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    script = f"{MAKE[1]}{MAKE[2]}{ASK}" + "".join(f"press_tab {shlex.join(words)}\n" for words in ANSWERS)
    ran = subprocess.run(["bash", "-c", script], env=home, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert [set(line.split()) for line in ran.stdout.split("\n")[:-1]] == list(ANSWERS.values())
