"""What a diagnosis is doing, shown to whoever waits for it at a terminal or in a notebook."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from threading import Timer
from typing import Any

#: Seconds after which there is something to be seen: what is done by then needs no sign of life.
AFTER = 1.0

#: By what is shown in a notebook it is known that it is no result: pages leave it out.
IN_NOTEBOOK = {"rnnvanish": "progress"}

_show: ContextVar[Callable[[str], None] | None] = ContextVar("_show", default=None)


def doing(what: str) -> None:
    """Say what is done from now on; nobody may be listening."""
    if show := _show.get():
        show(what)


@contextmanager
def shown(wanted: bool) -> Iterator[None]:
    """Show on standard error what is done, and for how long, if that is `wanted` and both outputs are a terminal's."""
    if not (wanted and sys.stdout.isatty() and sys.stderr.isatty()):
        yield
        return
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    display = Progress(
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
        redirect_stdout=False,
        redirect_stderr=True,  # what the model says has a line of its own
    )
    task = display.add_task("running the model", total=None)
    timer = Timer(AFTER, display.start)
    timer.daemon = True
    token = _show.set(lambda what: display.update(task, description=what))
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()
        display.stop()
        _show.reset(token)


@contextmanager
def shown_in_notebook() -> Iterator[None]:
    """Show below the cell of a notebook what is done, if it takes its time and nobody else shows it."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    if not hasattr(shell, "kernel") or _show.get() is not None:
        yield
        return
    from IPython.display import display

    began, line = time.monotonic(), list[Any]()

    def show(what: str) -> None:
        if line:
            line[0].update({"text/plain": what}, raw=True, metadata=IN_NOTEBOOK)
        elif time.monotonic() - began >= AFTER:
            line.append(display({"text/plain": what}, raw=True, display_id=True, metadata=IN_NOTEBOOK))

    token = _show.set(show)
    try:
        yield
    finally:
        _show.reset(token)
        if line:
            show("")  # in a notebook that is kept nothing is left to be seen
