"""Where the repository and its site stand: one field of pyproject.toml; empty as long as nobody knows."""

from __future__ import annotations

import os
import re
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
FORM = re.compile(r"https://github\.com/([A-Za-z0-9-]+)/([A-Za-z0-9._-]+?)")
NEEDED = (
    "pyproject.toml, [tool.rnnvanish] address: needed is https://github.com/OWNER/NAME, or nothing while there is none; "
    "the workflows, the site in versions and the notebooks' links are made for that. It says {!r}."
)


def address(root: Path = ROOT) -> str:
    """The address of the repository, or "": there is none, or no pyproject.toml beside a site that is tried.

    Raises:
        ValueError: Where it is none: says what is needed.
    """
    if not (held := root / "pyproject.toml").exists():
        return ""
    known: str = tomllib.loads(held.read_text(encoding="utf-8"))["tool"]["rnnvanish"]["address"]
    if known and not FORM.fullmatch(known):
        raise ValueError(NEEDED.format(known))
    return known


def site(known: str) -> str:
    """Where the site of a repository is published, with a slash at its end; "" where there is no address."""
    found = FORM.fullmatch(known)
    return f"https://{found[1].lower()}.github.io/{found[2]}/" if found else ""


def link(config: Any, known: str) -> None:
    """Give every page of the site its way to the repository, and the whole address that it will have."""
    if "MIKE_DOCS_VERSION" in os.environ:  # one of several versions: a reader can choose
        config.extra["version"] = {"provider": "mike"}
    if not known:
        return
    config.repo_url, config.repo_name, config.edit_uri = known, "GitHub", "edit/main/docs/"
    config.site_url = config.site_url or site(known)
    config.theme["features"].append("content.action.edit")
