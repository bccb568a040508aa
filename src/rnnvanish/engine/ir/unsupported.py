"""Why a step cannot be compiled: it runs as a plain loop then, and the reason stands in the log."""


class Unsupported(Exception):
    """Something that the compiled engine has no way to do; the text goes on from "the compiled engine has no"."""


class NothingApart(Unsupported):
    """A step in which nothing reads the input alone: it cannot be parted from the rest, see `split`."""
