"""Tasks, one file each.

A new task is its file, one import and its name in `__all__`.
"""

from pathlib import Path

from rnnvanish.names import WrongUse, did_you_mean, listed, lookup
from rnnvanish.observe.inputs.own_code import import_own, parted
from rnnvanish.task import Task
from rnnvanish.tasks.adding import Adding
from rnnvanish.tasks.copying import Copying
from rnnvanish.tasks.delayed_xor import DelayedXOR
from rnnvanish.tasks.digits import Digits
from rnnvanish.tasks.multiplication import Multiplication
from rnnvanish.tasks.recall import Recall
from rnnvanish.tasks.sunspots import Sunspots
from rnnvanish.tasks.temporal_order import TemporalOrder
from rnnvanish.tasks.text import Text
from rnnvanish.tasks.vowels import Vowels

__all__ = [
    "ALL",
    "Adding",
    "Copying",
    "DelayedXOR",
    "Digits",
    "Multiplication",
    "Recall",
    "Sunspots",
    "TemporalOrder",
    "Text",
    "Vowels",
]

#: Every task by its name in lower case.
ALL: dict[str, type[Task]] = {name.lower(): globals()[name] for name in __all__ if name != "ALL"}
#: Tasks that are none of these, by file or module and name, once they were asked for.
_OWN: dict[tuple[str, str], type[Task]] = {}


def is_own(name: str) -> bool:
    """Whether a task is named by its place, "my_task.py:MyTask", so that finding it runs code."""
    return ":" in name


def is_found(name: str) -> bool:
    """Whether a task can be had without running code."""
    return not is_own(name) or _place(name) in _OWN


def find(name: str) -> type[Task]:
    """Return a task by its name, or one of your own by its place: "my_task.py:MyTask", "package.module:MyTask".

    Raises:
        ValueError: Where there is none: says what there is. For a file that fails: says where.
    """
    if not is_own(name):
        return lookup("task", name, ALL)
    if (place := _place(name)) not in _OWN:
        try:
            objects = vars(import_own(place[0]))
        except WrongUse as error:
            raise ValueError(str(error)) from error
        known = {key: each for key, each in objects.items() if isinstance(each, type) and issubclass(each, Task)}
        own = {key: each for key, each in known.items() if each is not Task}
        if place[1] not in own:
            raise ValueError(
                f"{place[0]} has no task {place[1]!r}.{did_you_mean(place[1], own)} There are: {listed(own) or 'none'}. "
                "A task is a class made of rnnvanish.task.Task."
            )
        _OWN[place] = own[place[1]]
    return _OWN[place]


def _place(name: str) -> tuple[str, str]:
    where, own = parted(name)
    return str(Path(where).resolve()) if where.endswith(".py") else where, own
