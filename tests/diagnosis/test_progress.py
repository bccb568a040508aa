"""What a diagnosis is doing is shown at a terminal, and nowhere else."""

import io
import sys
from types import SimpleNamespace

import pytest

from rnnvanish.diagnosis import progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def at_once(monkeypatch):
    monkeypatch.setattr(progress, "AFTER", 0.0)
    monkeypatch.setenv("TERM", "xterm")
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)


def written(wanted, out, error, monkeypatch):
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", error)
    with progress.shown(wanted):
        progress.doing("trying [a] cure")
        while wanted and out.isatty() and error.isatty() and "cure" not in error.getvalue():
            pass  # it is drawn by a thread of its own
    progress.doing("nobody listens")
    return error.getvalue()


def test_a_terminal_is_shown_what_is_done(at_once, monkeypatch):
    out = Terminal()
    said = written(True, out, Terminal(), monkeypatch)
    assert "trying [a] cure" in said
    assert "nobody" not in said
    assert out.getvalue() == ""


@pytest.mark.parametrize(
    ("wanted", "out", "error"),
    [(False, Terminal, Terminal), (True, io.StringIO, Terminal), (True, Terminal, io.StringIO)],
    ids=["json", "piped", "logged"],
)
def test_nothing_else_is(at_once, monkeypatch, wanted, out, error):
    assert written(wanted, out(), error(), monkeypatch) == ""


def test_what_is_quick_shows_nothing(monkeypatch):
    monkeypatch.setattr(progress, "AFTER", 60.0)
    error = Terminal()
    monkeypatch.setattr(sys, "stdout", Terminal())
    monkeypatch.setattr(sys, "stderr", error)
    with progress.shown(True):
        progress.doing("something")
    assert error.getvalue() == ""


def test_what_the_model_says_has_a_line_of_its_own(at_once, monkeypatch):
    error = Terminal()
    monkeypatch.setattr(sys, "stdout", Terminal())
    monkeypatch.setattr(sys, "stderr", error)
    with progress.shown(True):
        while "running" not in error.getvalue():
            pass  # it is drawn by a thread of its own
        print("loss is large", file=sys.stderr)
    assert sys.stderr is error
    _, _, between = error.getvalue().partition("loss is large")[0].rpartition("running the model")
    assert "\x1b[2K" in between  # the line was erased before
    assert "loss is large\n" in error.getvalue()


def notebook(monkeypatch, kernel=True):
    """As if in a cell: gives what is displayed there, one after the other, by the same handle."""
    displayed = []

    def update(data, **options):
        assert options.pop("metadata") == progress.IN_NOTEBOOK
        displayed.append(data["text/plain"])
        return SimpleNamespace(update=update)

    shell = SimpleNamespace(kernel=None) if kernel else SimpleNamespace()
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    monkeypatch.setitem(sys.modules, "IPython.display", SimpleNamespace(display=update))
    return displayed


@pytest.mark.parametrize(("kernel", "after"), [(True, 0.0), (True, 60.0), (False, 0.0)], ids=["cell", "quick", "shell"])
def test_a_notebook_is_shown_what_is_done_below_its_cell(monkeypatch, kernel, after):
    monkeypatch.setattr(progress, "AFTER", after)
    displayed = notebook(monkeypatch, kernel)
    with progress.shown_in_notebook():
        progress.doing("trying cure 1")
        progress.doing("done")
    progress.doing("nobody listens")
    assert displayed == (["trying cure 1", "done", ""] if kernel and not after else [])


def test_where_somebody_else_shows_it_a_notebook_does_not(monkeypatch):
    monkeypatch.setattr(progress, "AFTER", 0.0)
    displayed, told = notebook(monkeypatch), []
    token = progress._show.set(told.append)
    with progress.shown_in_notebook():
        progress.doing("something")
    progress._show.reset(token)
    assert (displayed, told) == ([], ["something"])
