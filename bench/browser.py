"""A Chromium of this machine, slowed down as a phone is, and how long its pages answer nothing."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from shutil import which
from typing import TYPE_CHECKING, Any

from .common import Missing

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page


@contextmanager
def chromium() -> "Iterator[Browser]":
    """A browser, closed at the end.

    Raises:
        Missing: This machine has none.
    """
    found = which("chromium") or which("chromium-browser") or which("google-chrome")
    if found is None or find_spec("playwright") is None:
        raise Missing("no Chromium on this machine")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox", "--disable-gpu"])
        try:
            yield browser
        finally:
            browser.close()


def slow_down(page: "Page", times: int) -> None:
    """Let a page's scripts, styles and layouts take so many times as long."""
    page.context.new_cdp_session(page).send("Emulation.setCPUThrottlingRate", {"rate": times})


@contextmanager
def longest_task(browser: "Browser", page: "Page") -> Iterator[list[float]]:
    """What a page does meanwhile; afterwards the list holds the milliseconds of CPU time of its longest task."""
    found: list[float] = []
    browser.start_tracing(page=page, categories=["toplevel", "__metadata"])
    yield found
    found.append(_longest(json.loads(browser.stop_tracing())["traceEvents"]))


def _longest(events: list[dict[str, Any]]) -> float:
    """Of the main thread, in CPU time: what else runs on this machine takes wall time alone."""
    pages = {
        (each["pid"], each["tid"])
        for each in events
        if each["name"] == "thread_name" and each["args"]["name"] == "CrRendererMain"
    }
    return max(each["tdur"] for each in events if "tdur" in each and (each["pid"], each["tid"]) in pages) / 1e3
