"""Find the Chromium that the browser checks need, and install one where there is none."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome")


def find() -> str | None:
    """Return the path of a Chromium: the system's, else playwright's own, else None."""
    if system := next(filter(None, map(shutil.which, NAMES)), None):
        return system
    try:
        from playwright.sync_api import Error, sync_playwright
    except ImportError:
        return None
    try:
        with sync_playwright() as playwright:
            own = playwright.chromium.executable_path
    except Error:  # playwright itself does not start: then there is no browser of its own either
        return None
    return own if Path(own).exists() else None


def skipped(why: str = f"none of {', '.join(NAMES)} is on the PATH, and playwright has none of its own") -> str:
    """Say in one line that the browser checks do not run, why, and what to do."""
    return f"The browser checks are skipped: {why}. `python tools/browser.py` installs one."


def install() -> str | None:
    """Install Chromium the way that fits this system; return what went wrong, or None."""
    apt = shutil.which("apt-get")
    if apt and hasattr(os, "geteuid") and os.geteuid() == 0:
        commands = [[apt, "update"], [apt, "install", "-y", "chromium"]]
    else:
        commands = [[sys.executable, "-m", "playwright", "install", "chromium"]]
    for command in commands:
        print("Installing Chromium for the browser checks:", *command, flush=True)
        done = subprocess.run(command, check=False)
        if done.returncode:
            return f"`{' '.join(command)}` failed with exit code {done.returncode}"
    return None


def main() -> None:
    """Make sure that there is a browser, and say which."""
    browser = find()
    problem = None if browser else install()
    if browser := browser or find():
        print(f"Browser for the checks: {browser}")
    else:
        print(skipped(problem) if problem else skipped())


if __name__ == "__main__":
    main()
