"""What the site costs its readers and its builders; measured where one was built, skipped elsewhere."""

import json
import os
from pathlib import Path
from typing import Any

from asv_runner.benchmarks.mark import SkipNotImplemented

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
