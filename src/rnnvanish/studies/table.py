"""How a sweep shows how far it is: a table on a terminal, a line now and then anywhere else."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rnnvanish.console import complain
from rnnvanish.studies.progress import Progress

if TYPE_CHECKING:
    from rich.console import RenderableType

#: Seconds from one line to the next where no terminal shows a table.
EVERY = 60.0


@contextmanager
def shown(name: str) -> Iterator[Callable[[Progress], None]]:
    """Show on standard error how far a sweep is, each time that what is yielded is called with it."""
    if not sys.stderr.isatty():
        yield _Lines(name)
        return
    from rich.console import Console
    from rich.live import Live

    with Live(console=Console(stderr=True), refresh_per_second=2, transient=True) as live:
        yield lambda progress: live.update(_table(name, progress))


class _Lines:
    """A line now and then."""

    def __init__(self, name: str) -> None:
        self.name, self.last = name, time.monotonic()

    def __call__(self, progress: Progress) -> None:
        if time.monotonic() - self.last >= EVERY:
            self.last = time.monotonic()
            complain(f"{self.name}: {in_a_line(progress)}")


def in_a_line(progress: Progress) -> str:
    """How far it is."""
    said = f"{progress.done} of {progress.total} done, {progress.solved} solved, {progress.failed} failed"
    return said if progress.seconds_left is None else f"{said}, {duration(progress.seconds_left)} left"


def duration(seconds: float) -> str:
    """Seconds as people say them.

    Examples:
        >>> [duration(seconds) for seconds in (0.4, 75, 7300, 200_000)]
        ['less than a second', '1 min 15 s', '2 h 1 min', '2 d 7 h']
    """
    whole = int(seconds)
    units = [("d", whole // 86400), ("h", whole // 3600 % 24), ("min", whole // 60 % 60), ("s", whole % 60)]
    while units and not units[0][1]:
        units.pop(0)
    return " ".join(f"{count} {unit}" for unit, count in units[:2] if count) or "less than a second"


def _table(name: str, progress: Progress) -> "RenderableType":
    from rich.console import Group
    from rich.table import Table

    table = Table(title=f"Study {name}", title_justify="left")
    left = "" if progress.seconds_left is None else duration(progress.seconds_left)
    columns = {
        "done": f"{progress.done} of {progress.total}",
        "running": str(progress.running),
        "failed": str(progress.failed),
        "solved": str(progress.solved),
        "diverged": str(progress.diverged),
        "time left": left,
    }
    for title in columns:
        table.add_column(title)
    table.add_row(*columns.values())
    return Group(table, *(f"Best so far: {line}" for line in best(progress)))


def best(progress: Progress) -> list[str]:
    """Of each task who remembers longest, and learns it soonest."""
    return [f"{trial}: solved in {-steps} steps" for _, steps, trial in progress.best.values()]
