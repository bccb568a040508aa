"""Tasks, one file each.

A new task is its file, one import and its name in `__all__`.
"""

from rnnvanish.task import Task
from rnnvanish.tasks.adding import Adding
from rnnvanish.tasks.copying import Copying
from rnnvanish.tasks.digits import Digits
from rnnvanish.tasks.recall import Recall
from rnnvanish.tasks.sunspots import Sunspots
from rnnvanish.tasks.text import Text
from rnnvanish.tasks.vowels import Vowels

__all__ = ["ALL", "Adding", "Copying", "Digits", "Recall", "Sunspots", "Text", "Vowels"]

#: Every task by its name in lower case.
ALL: dict[str, type[Task]] = {name.lower(): globals()[name] for name in __all__ if name != "ALL"}
