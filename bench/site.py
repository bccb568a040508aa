"""What the site costs its readers and its builders; measured where one was built and where there is a browser."""

import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from asv_runner.benchmarks.mark import SkipNotImplemented

from .browser import chromium, longest_task, slow_down
from .common import QUICK, Missing, look_up, tabulate

if TYPE_CHECKING:
    from playwright.sync_api import Browser

SITE = Path(os.environ.get("SITE_DIR", Path(__file__).parents[1] / "site"))


def pages() -> list[Path]:
    """Every page of the site that was built.

    Raises:
        SkipNotImplemented: There is none, or it is of another commit than the one that is measured.
    """
    if "ASV_COMMIT" in os.environ and built().get("commit") != os.environ["ASV_COMMIT"][:8]:
        raise SkipNotImplemented("no site was built at this commit")
    found = sorted(path for path in SITE.rglob("*.html"))
    if not found:
        raise SkipNotImplemented("no site was built: make html builds one")
    return found


def built() -> dict[str, Any]:
    """What the build wrote down of itself."""
    path = SITE / "build.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


class Site:
    """The site of this commit."""

    version = "1"

    def track_heaviest_page(self) -> float:
        """Kilobytes of HTML of the heaviest page, uncompressed, with the figures that stand in it."""
        return max(page.stat().st_size for page in pages()) / 1e3

    track_heaviest_page.unit = "kB"

    def track_mean_page(self) -> float:
        """Kilobytes of HTML of a page, mean of all."""
        found = pages()
        return sum(page.stat().st_size for page in found) / len(found) / 1e3

    track_mean_page.unit = "kB"

    def track_build_seconds(self) -> float:
        """Wall seconds of a build in which every page was executed."""
        pages()
        seconds = built().get("seconds")
        if not seconds or built().get("cached", 1):
            raise SkipNotImplemented("the site was not built from scratch: make clean html builds it so")
        return seconds

    track_build_seconds.unit = "seconds"


ENGINE = Path(__file__).parents[1] / "docs/assets/live"
#: One training step of 16 units, 32 sequences and 40 steps, its milliseconds and those of a plain loop of its products,
#: in turns; the least of all rounds, since whatever else runs only adds to them.
STEP = """({ cell, rounds }) => {
  const net = new rv.Network({ cell, units: 16, batch: 32, steps: 40 }), random = new rv.Twister(1), products = [];
  const adam = new rv.Adam(net, 0.005), now = () => performance.now();
  rv.starts.torch(net, random);
  const step = () => {
    rv.tasks.recall.sample(net, random);
    net.forward();
    net.backward();
    rv.clipNorm(net.grad, 1);
    adam.step();
  };
  const { mulNT, mulTN } = rv;
  for (const name of ["mulNT", "mulTN"]) rv[name] = (...all) => products.push(all.slice(6));
  step();
  Object.assign(rv, { mulNT, mulTN });
  const most = Math.max(...products.map((sides) => Math.max(sides[0] * sides[2], sides[1] * sides[2], sides[0] * sides[1])));
  const [A, B, C] = [0.5, 0.25, 0].map((value) => new Float64Array(most).fill(value));
  const plain = () => {
    for (const [m, n, k] of products)
      for (let i = 0; i < m; i++)
        for (let j = 0; j < n; j++) {
          let sum = 0;
          for (let p = 0; p < k; p++) sum += A[i * k + p] * B[j * k + p];
          C[i * n + j] = sum;
        }
  };
  const least = { step: Infinity, plain: Infinity }, times = cell === "Elman" ? 3 : 1; // its clock counts tenths
  for (let round = 0; round < rounds; round++)
    for (const [name, work] of Object.entries({ step, plain })) {
      const start = now();
      for (let i = 0; i < times; i++) work();
      if (round > rounds / 3) least[name] = Math.min(least[name], (now() - start) / times);
    }
  return least;
}"""
#: What a page does that warms up, and then trains for so many steps in slices.
TRAIN = """async ({ cell, steps }) => {
  await rv.warm({ cell, units: 16 });
  const run = new rv.Run({ cell, units: 16, lag: 39, batch: 32, most: steps, epoch: steps });
  await new Promise((ready) => rv.slices((end) => { run.step(end); return !run.over; }, (last) => last && ready()));
}"""


class Engine:
    """The networks that train in the reader's browser, in a Chromium of this machine."""

    version = "1"
    params: ClassVar = [["Elman", "GRU", "LSTM"]]
    param_names: ClassVar = ["cell"]
    timeout = 600

    def setup_cache(self) -> dict[str, Any]:
        return tabulate(_in_browser, self.params[0])

    def track_vs_loop(self, table: dict[str, Any], cell: str) -> float:
        """A training step, as a multiple of a plain loop of its multiplications. Goal: 1.5 at most."""
        least = look_up(table, cell)["step"]
        return least["step"] / least["plain"]

    track_vs_loop.unit = "x plain loop"

    def track_milliseconds(self, table: dict[str, Any], cell: str) -> float:
        """A training step of 16 units, 32 sequences and 40 steps. Goal: 1.5 (Elman) and 5 (GRU, LSTM)."""
        return look_up(table, cell)["step"]["step"]

    track_milliseconds.unit = "milliseconds"

    def track_longest_task(self, table: dict[str, Any], cell: str) -> float:
        """CPU time of the longest task of a page that trains, during which it answers nothing. Goal: 50."""
        return look_up(table, cell)["longest"][1]

    track_longest_task.unit = "milliseconds"

    def track_longest_task_slowed(self, table: dict[str, Any], cell: str) -> float:
        """The same at a quarter of this machine's speed, as on a phone. Goal: 50."""
        return look_up(table, cell)["longest"][4]

    track_longest_task_slowed.unit = "milliseconds"


def _needed(name: str) -> list[str]:
    """A script of the engine after all that it needs, as its head says."""
    needs = re.search(r"^// needs: (.+)$", (ENGINE / f"{name}.js").read_text(encoding="utf-8"), re.MULTILINE)
    return [*(each for need in (needs[1].split() if needs else ()) for each in _needed(need)), name]


def _in_browser(cell: str) -> dict[str, Any]:
    """Measure a cell, each time in a page of its own: in a second run nothing is compiled any more."""
    if not ENGINE.exists():
        raise Missing("no engine at this commit")
    with chromium() as browser:

        def ask(code: str, slowed: int = 1, **options: Any) -> tuple[Any, float]:
            page = browser.new_page()
            for name in dict.fromkeys((*_needed("training"), "slices")):
                page.add_script_tag(path=ENGINE / f"{name}.js")
            slow_down(page, slowed)
            with longest_task(browser, page) as longest:
                found = page.evaluate(code, {"cell": cell, **options})
            page.close()
            return found, longest[0]

        rounds, steps = (20, 20) if QUICK else (150, 200)
        return {
            "step": ask(STEP, rounds=rounds)[0],
            "longest": {slowed: ask(TRAIN, slowed, steps=steps)[1] for slowed in (1, 4)},
        }


#: Where live figures are watched.
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
