"""How long a page answers nothing while a live figure of it is started and runs, on a phone's screen."""

import re
from typing import TYPE_CHECKING, Any, ClassVar

from .browser import chromium, longest_task, slow_down
from .common import QUICK, look_up, tabulate
from .site import SITE, pages

if TYPE_CHECKING:
    from playwright.sync_api import Browser

SCREEN = {"width": 390, "height": 844}
#: Milliseconds: until what stands near is fetched and computed; while it runs.
NEAR, WATCHED = (500, 500) if QUICK else (2500, 6000)


class Figures:
    """The live figures of this commit's site that are started by a button, each started and watched."""

    version = "1"
    params: ClassVar = [[1, 4]]
    param_names: ClassVar = ["slowed"]
    timeout = 900

    def setup_cache(self) -> dict[str, Any]:
        return tabulate(stalls, self.params[0])

    setup_cache.timeout = 900

    def track_longest_task(self, table: dict[str, Any], slowed: int) -> float:
        """CPU time of the longest task of all. Goal: 50, at a quarter of this machine's speed too."""
        return max(look_up(table, slowed).values())

    track_longest_task.unit = "milliseconds"


def stalls(slowed: int) -> dict[str, float]:
    """Milliseconds of the longest task of each figure, as "page figure"."""
    found = {}
    with chromium() as browser:
        for path in pages():
            for name in sorted(set(re.findall(r"<(rv-\w+)[ >]", path.read_text(encoding="utf-8")))):
                longest = _stall(browser, path.resolve().as_uri(), name, slowed)
                if longest is not None:
                    found[f"{path.relative_to(SITE).with_suffix('')} {name}"] = longest
            if QUICK and found:
                break
    return found


def _stall(browser: "Browser", address: str, name: str, slowed: int) -> float | None:
    """Of one figure; None where it has nothing to start."""
    page = browser.new_page(viewport=SCREEN)
    try:
        page.goto(address)
        start = page.locator(f"{name} .md-button--primary").first
        if not start.count():
            return None
        start.scroll_into_view_if_needed()
        page.wait_for_timeout(NEAR)
        committed = page.locator(f"{name} .rv-cover .rv-small").first
        if committed.count():
            committed.click()
            page.wait_for_timeout(NEAR / 5)
        slow_down(page, slowed)
        with longest_task(browser, page) as longest:
            start.evaluate("button => setTimeout(() => button.click(), 50)")  # the page is not asked meanwhile
            page.wait_for_timeout(WATCHED)
            page.evaluate("0")  # what still runs is counted, too
        return longest[0]
    finally:
        page.close()
