"""Names and options that people type: find what they mean, or say what there is."""

import ast
import difflib
import inspect
from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any, NamedTuple, TypeVar

T = TypeVar("T")

#: Other names of what is known by one of its own.
ALIASES = {"RNN": "Elman"}


class WrongUse(Exception):
    """A command was given what it cannot work with; the message says what was needed."""


class NotInstalled(ImportError):
    """A package that an extra brings is not there; the message says how to install it."""


def lookup(kind: str, name: str, known: Mapping[str, T]) -> T:
    """Return what is known by a name.

    Raises:
        ValueError: For an unknown name: lists the names there are.

    Examples:
        >>> lookup("cell", "lstn", {"LSTM": 1, "GRU": 2})
        Traceback (most recent call last):
        ValueError: There is no cell 'lstn'. Did you mean LSTM? There are: GRU, LSTM.
    """
    if name not in known and ALIASES.get(name) in known:
        name = ALIASES[name]
    if name not in known:
        raise ValueError(f"There is no {kind} {name!r}.{did_you_mean(name, known)} There are: {listed(known)}.")
    return known[name]


def check_options(kind: str, build: Callable[..., Any], options: Mapping[str, Any], ours: Iterable[str] = ()) -> None:
    """Check options against the signature that they are for.

    Args:
        kind: What is built, for the message.
        build: The class that takes the options.
        options: The options by their names.
        ours: Parameters that are no option, since they come from elsewhere.

    Raises:
        ValueError: For an unknown option: lists those there are; for a value of another type: says which is needed.
    """
    known = {name: each for name, each in inspect.signature(build).parameters.items() if name not in ours}
    for name, value in options.items():
        if name not in known:
            raise ValueError(
                f"{kind} has no option {name!r}.{did_you_mean(name, known)} There are: {listed(known) or 'none'}."
            )
        needed = known[name].annotation
        fits = (int, float) if needed is float else needed
        if needed in (bool, int, float, str) and not isinstance(value, fits):
            raise ValueError(f"{kind} needs {name} as {needed.__name__}, got {value!r}.")


class Written(NamedTuple):
    """A name with options, as Python writes it: "Chrono(span=100)"."""

    name: str
    args: list[Any]
    options: dict[str, Any]


def written(text: str) -> list[Written]:
    """Read names with options, separated by commas; the options are literals.

    Raises:
        ValueError: For a text that is not written so.

    Examples:
        >>> written("OpenGate, Identity(0.9), Elman(nonlinearity='relu')")[2]
        Written(name='Elman', args=[], options={'nonlinearity': 'relu'})
    """
    try:  # what is not written so lacks an attribute, or is no literal
        listing: Any = ast.parse(f"[{text}]", mode="eval").body
        calls: list[Any] = [each if isinstance(each, ast.Call) else ast.Call(each, [], []) for each in listing.elts]
        return [
            Written(
                each.func.id,
                [*map(ast.literal_eval, each.args)],
                {str(k.arg): ast.literal_eval(k.value) for k in each.keywords},
            )
            for each in calls
        ]
    except (SyntaxError, ValueError, AttributeError) as error:
        raise ValueError(f"{text!r} is not written as in Python: needs 'Name, Other(number=1.0)'.") from error


def built(kind: str, text: str, known: Mapping[str, Callable[..., T]]) -> tuple[T, ...]:
    """Build what a text names: names with options, written and separated as in Python.

    Args:
        kind: What they are, for the messages.
        text: Such as "OpenGate, Chrono(span=100), Identity(0.9)"; the options are literals.
        known: What builds each, by its name.

    Raises:
        ValueError: For a text that is not written so, an unknown name or option, or one that is missing.

    Examples:
        >>> built("cure", "pair(2, b=3), pair(1)", {"pair": lambda a, b=0: (a, b)})
        ((2, 3), (1, 0))
    """
    found = []
    for name, args, options in written(text):
        build = lookup(kind, name, known)
        check_options(f"{kind} {name}", build, options)
        try:
            given = inspect.signature(build).bind(*args, **options).arguments
        except TypeError as error:
            raise ValueError(f"{kind} {name}{inspect.signature(build)}: {error}.") from error
        check_options(f"{kind} {name}", build, given)
        found.append(build(**given))
    return tuple(found)


def printable(text: str) -> str:
    """Write text as characters that can be seen: others could command a terminal, or hide or forge what stands there.

    Examples:
        >>> print(printable("größe" + chr(27) + "[31m" + chr(10) + chr(0x202E)))
        größe\\x1b[31m\\n\\u202e
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Ask whether a similar name was meant; empty where none is similar."""
    by_lower = {each.lower(): each for each in known}
    close = difflib.get_close_matches(name.lower(), by_lower, n=1)
    return f" Did you mean {by_lower[close[0]]}?" if close else ""


def listed(names: Iterable[str]) -> str:
    """Write names in alphabetical order."""
    return ", ".join(sorted(names, key=str.lower))


def module_name(loop: str) -> str:
    """The module of a loop: "encoder.lstm" of "encoder.lstm (call 2)/layer0/forward"."""
    return loop.partition("/")[0].partition(" (call")[0]


def is_named(loop: str, name: str) -> bool:
    """Whether a name is that of a loop, of its module, or of one that holds it."""
    module = module_name(loop)
    return name in (loop, module, loop.partition("/")[0]) or module.startswith(f"{name}.")


def require(name: str, extra: str, what: str = "This") -> None:
    """See that a package is installed which an extra of rnnvanish brings; it is not imported.

    Args:
        name: The package, or a module of it.
        extra: What brings it.
        what: What needs it, to begin the sentence with.

    Raises:
        NotInstalled: Where it is not: says how to install it.
    """
    package = name.partition(".")[0]
    if find_spec(package) is None:
        raise NotInstalled(f'{what} needs {package}: pip install "rnnvanish[{extra}]" brings it.')


def installed(name: str, extra: str, what: str = "This") -> ModuleType:
    """Import a package that an extra brings; arguments and errors are those of `require`."""
    require(name, extra, what)
    return import_module(name)
