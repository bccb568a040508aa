"""Why a step cannot be compiled: it runs as a plain loop then, and the reason stands in the log."""

from typing import Any


class Unsupported(Exception):
    """Something that the compiled engine has no way to do; the text goes on from "the compiled engine has no"."""


def operation(target: Any) -> str:
    """What a traced operation that reads the state is called in such a text, where the compiled engine has none."""
    own = str(target).removeprefix("aten.").partition(".")[0]
    family = next((each for each in ("fft", "linalg") if own.lstrip("_").startswith(f"{each}_")), None)
    name = f"torch.{family}" if family else f"torch.{own.strip('_')}"
    return f"{name} of what reads the state ({target})"


class NothingApart(Unsupported):
    """A step in which nothing reads the input alone: it cannot be parted from the rest, see `split`."""
