"""The arguments of the command line: a parser that says which names there are when one is misspelt."""

import inspect
import itertools
import re
from argparse import Action
from collections.abc import Callable, Collection, Mapping
from typing import Any, NoReturn

from jsonargparse import ArgumentParser

from rnnvanish.console import print_text
from rnnvanish.names import WrongUse, did_you_mean, listed
from rnnvanish.records.version import version_and_commit


class Parser(ArgumentParser):
    """A parser of one command, or of all of them.

    Args:
        commands: The names of all commands.
    """

    def __init__(self, commands: tuple[str, ...] = (), **options: Any) -> None:
        super().__init__(allow_abbrev=False, **options)
        self.commands = commands

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Say what is wrong."""
        options = [option for option in self._option_string_actions if option.startswith("--")]
        if message.startswith("unrecognized arguments"):
            guesses = "".join(did_you_mean(word, options) for word in re.findall(r"--[\w-]+", message))
            message += f".{guesses} There are: {listed(options)}."
        elif choice := re.search(r"invalid choice: '(.*?)' \(", message):
            wrong = choice[1]
            message = f"there is no command {wrong!r}.{did_you_mean(wrong, self.commands)} There are: {listed(self.commands)}."
        else:
            message = re.sub(rf"\b({'|'.join(self.commands)})\.(?=\w)", "--", message)  # train.task: --task
            message = re.sub(r'Parser key "(\w+)":\s*', r"--\1: ", message)
        raise WrongUse(message) from ex


class SayVersion(Action):
    """`--version`: git may have to be asked for the commit, so only when somebody wants to know."""

    def __call__(self, parser: Any, *given: Any, **options: Any) -> None:
        """Say it, and end."""
        print_text(f"rnnvanish {version_and_commit()}\n")
        parser.exit()


def parsed(
    args: list[str],
    commands: Mapping[str, Callable[..., Any]],
    positional: Collection[Callable[..., Any]],
    configurable: Collection[Callable[..., Any]] = (),
) -> tuple[str, dict[str, Any]]:
    """Read the name of a command, and its options.

    Args:
        args: What was typed.
        commands: The commands: signature and docstring are the options and their help.
        positional: The commands whose first argument is given without its name; so are, and may be missing, all at the
            beginning that are None by default.
        configurable: The commands whose options may stand in a YAML file, given as --config.

    Raises:
        WrongUse: Says what was needed.
        SystemExit: After `--help` and `--version`.
    """
    known = tuple(commands)
    parser = Parser(known, prog="rnnvanish", description="Why recurrent networks forget, and what helps.")
    parser.add_argument("--version", action=SayVersion, nargs=0, help="Say which version and which commit this is.")
    subcommands = parser.add_subcommands(dest="command")
    for name, function in commands.items():
        summary = (function.__doc__ or "").partition("\n")[0]
        command = Parser(known, description=summary)
        missing = itertools.takewhile(
            lambda each: each.default is None, inspect.signature(function).parameters.values()
        )
        optional = [each.name for each in missing] if function in positional else []
        if function in configurable:
            command.add_argument(
                "--config", action="config", help="A YAML file of options; one that is given besides counts instead."
            )
        for argument in optional:
            command.add_argument(argument, nargs="?", type=str, default=None, help=_help(function, argument))
        command.add_function_arguments(
            function,
            as_group=False,
            as_positional=function in positional and not optional,
            skip=set(optional) or None,
        )
        for action in command._actions:
            if getattr(action, "_typehint", None) is bool:  # --json alone means --json true
                action.nargs, action.const = "?", True
        subcommands.add_subcommand(name, command, help=summary)
    given = parser.parse_args(
        ["--dry_run" if each == "--dry-run" else each for each in args]
    )  # as other tools spell it
    options: dict[str, Any] = given[given.command].as_dict()
    return given.command, {name: value for name, value in options.items() if name != "config"}


def _help(function: Callable[..., Any], argument: str) -> str:
    """What a docstring says of an argument, on one line."""
    found = re.search(rf"^ +{argument}: (.*)$", function.__doc__ or "", re.MULTILINE)
    return found[1] if found else ""
