"""What surrounds a command: where its output goes, how it is set, and what its errors look like."""

import contextlib
import inspect
import io
import json
import math
import os
import sys
import textwrap
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rnnvanish.names import WrongUse, printable


def wants_json(args: list[str]) -> bool:
    """Whether `--json` is among the arguments; help is for people all the same."""
    found = False
    for arg, after in zip(args, [*args[1:], ""], strict=False):
        name, _, value = arg.partition("=")
        if name in ("--help", "-h"):
            return False
        if name == "--json":
            found = (value or after).lower() != "false"
    return found


@contextmanager
def standard_output(process: bool, alone: bool) -> Iterator[Any]:
    """Give standard output to a command.

    Args:
        process: Whether the whole process is the command's, and not only a call in somebody else's.
        alone: Whether nothing else may print there: it goes to standard error, from C and from children too, and also
            what is printed when the process ends.
    """
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed before we began
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
        if process and hasattr(stream := getattr(sys, name), "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # an encoding that lacks a letter is no reason to fail
    ours = sys.stdout
    if not alone:
        if process and isinstance(ours, io.TextIOWrapper):
            ours = sys.stdout = _TolerantOutput(ours)
        yield ours
        return
    if process:
        with contextlib.suppress(OSError):  # closed, both of them
            ours = open(os.dup(1), "w", encoding="utf-8")  # noqa: SIM115
            os.dup2(2 if _is_open(2) else _nowhere(), 1)
        sys.stdout = sys.stderr
        yield ours
    else:
        with contextlib.redirect_stdout(sys.stderr):
            yield ours


class _TolerantOutput(io.TextIOWrapper):
    """Standard output for whoever prints, the user's model too: once its reader has gone away, what comes is dropped."""

    gone = False

    def __init__(self, stream: io.TextIOWrapper) -> None:
        settings = {"encoding": stream.encoding, "errors": stream.errors, "line_buffering": stream.line_buffering}
        super().__init__(open(os.dup(stream.fileno()), "wb"), **settings)  # type: ignore[arg-type]  # noqa: SIM115

    def write(self, text: str) -> int:
        with self._whatever_becomes_of_it():
            super().write(text)
        return len(text)

    def flush(self) -> None:
        with self._whatever_becomes_of_it():
            super().flush()

    @contextmanager
    def _whatever_becomes_of_it(self) -> Iterator[None]:
        try:
            yield
        except BrokenPipeError:
            self.gone = True
            _lead_nowhere(self)


def print_text(text: str, out: Any = None) -> bool:
    """Print at once; False where the reader has gone away, which is no fault.

    Raises:
        WrongUse: Where nothing can be written there.
    """
    out = out or sys.stdout
    try:
        out.write(text)
        out.flush()
    except BrokenPipeError:
        _lead_nowhere(out)
        return False
    except (OSError, ValueError) as error:
        _lead_nowhere(out)
        raise WrongUse(f"Standard output cannot be written: {error}") from error
    return not getattr(out, "gone", False)


def _lead_nowhere(out: Any) -> None:
    """What is left in the buffer would be written, and fail, once more when the process ends."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(_nowhere(), out.fileno())


def _nowhere() -> int:
    return os.open(os.devnull, os.O_WRONLY)


def _is_open(descriptor: int) -> bool:
    with contextlib.suppress(OSError):
        os.fstat(descriptor)
        return True
    return False


def complain(message: str) -> None:
    """Write one line to standard error."""
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.write(f"rnnvanish: {message}\n")
        sys.stderr.flush()


def one_line(error: object) -> str:
    """What an error says, in one line that a terminal shows as it is."""
    return printable(" ".join(str(error).split()))


def defaults(build: Callable[..., Any]) -> dict[str, Any]:
    """The options of what builds something, those that have a default, with it."""
    options = inspect.signature(build).parameters.values()
    return {option.name: option.default for option in options if option.default is not option.empty}


def labelled(label: str, said: str) -> str:
    """What something is called, and what is said of it, in 100 columns."""
    return textwrap.fill(f"{label:<13}{said}", 100, subsequent_indent=" " * 13, break_on_hyphens=False)


def to_json(value: Any) -> str:
    """One line of JSON, which knows neither nan nor infinity: null, and the word."""
    return json.dumps(_plain(value), allow_nan=False)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(name): _plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else f"{'-' * (value < 0)}infinity"
    return value
