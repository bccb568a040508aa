"""Tasks, one file each. A new task is its file, one import and one entry of `ALL`."""

from rnnvanish.task import Task
from rnnvanish.tasks.adding import Adding
from rnnvanish.tasks.copying import Copying
from rnnvanish.tasks.digits import Digits
from rnnvanish.tasks.recall import Recall
from rnnvanish.tasks.sunspots import Sunspots
from rnnvanish.tasks.text import Text
from rnnvanish.tasks.vowels import Vowels

#: Every task by its name in lower case.
ALL: dict[str, type[Task]] = {
    task.__name__.lower(): task for task in (Adding, Copying, Digits, Recall, Sunspots, Text, Vowels)
}

__all__ = ["ALL", "Adding", "Copying", "Digits", "Recall", "Sunspots", "Text", "Vowels"]
