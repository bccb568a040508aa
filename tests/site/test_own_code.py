"""All code in the repository is our own: what others wrote is a dependency, and pages load nothing of it but the theme."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
#: Every script and style sheet of the repository: a new one is added here by hand, by who wrote it.
OURS = {
    "docs/assets/address.js",
    "docs/assets/chart.js",
    "docs/assets/code.js",
    "docs/assets/commit-chart.js",
    "docs/assets/draw.js",
    "docs/assets/explorer.js",
    "docs/assets/guess.js",
    "docs/assets/iframe-worker.js",
    "docs/assets/late-search.js",
    "docs/assets/save-figure.js",
    "docs/assets/save.js",
    "docs/assets/site.css",
    "docs/assets/site.js",
    "docs/assets/slider.js",
    "docs/assets/table.js",
    "src/rnnvanish/templates/report.css",
    "src/rnnvanish/templates/report.js",
    "src/rnnvanish/templates/report/causes.js",
    "src/rnnvanish/templates/report/cures.js",
    "src/rnnvanish/templates/report/curves.js",
    "src/rnnvanish/templates/report/figures.css",
    "src/rnnvanish/templates/report/layers.js",
    "src/rnnvanish/templates/report/numbers.js",
    "src/rnnvanish/templates/report/overview.js",
}
LIVE = "docs/assets/live/"  # the figures that compute in the browser, and their engine: all written here
#: How licences of others begin, cut in two so that this file is not found by itself.
LICENCES = [
    "Permission is " + "hereby granted",
    "Redistribution and " + "use in source",
    "@lic" + "ense",
    "All rights " + "reserved",
]
LONGEST = 400  # characters of a line; minified scripts have thousands


@pytest.fixture(scope="module")
def tracked():
    if not (ROOT / ".git").exists():
        pytest.skip("not a clone: git does not say what belongs to the repository")
    said = subprocess.run(["git", "-C", str(ROOT), "ls-files"], capture_output=True, text=True, check=True).stdout
    return [name for name in said.splitlines() if (ROOT / name).is_file()]


def test_every_script_is_one_of_ours(tracked):
    scripts = {name for name in tracked if re.search(r"\.(m?js|cjs|ts|css|wasm|map)$", name)}
    assert {name for name in scripts if not name.startswith(LIVE)} == OURS
    assert not [name for name in tracked if re.search(r"vendor|third.?party|node_modules|\.min\.", name)]


def test_nothing_is_minified(tracked):
    for name in [each for each in tracked if each in OURS or each.startswith(LIVE)]:
        long = [line for line in (ROOT / name).read_text(encoding="utf-8").splitlines() if len(line) > LONGEST]
        assert all("data:image/svg" in line for line in long), name  # a sign drawn in the style sheet


def test_there_is_no_licence_but_our_own(tracked):
    texts = {name: (ROOT / name).read_text(encoding="utf-8", errors="replace") for name in tracked if name != "LICENSE"}
    found = {name: licence for name, text in texts.items() for licence in LICENCES if licence in text}
    assert not found
