"""For all tests, examples in docstrings among them: annotations are checked. And the one browser of a process."""

import os

import checked_annotations
import pytest

from tools.browser import find, skipped

checked_annotations.install()
FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run "
    "--disable-background-networking --disable-component-update --disable-sync"
)


@pytest.fixture(scope="session")
def browser():
    """Chromium, one for all tests of a process: there can be no two in a thread."""
    path = find()
    if path is None:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(skipped())
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=FLAGS.split())
        yield chromium
        chromium.close()
