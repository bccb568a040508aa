"""For all tests: what checks the annotations draws from a generator of its own, not from the one that models draw from."""

import random

from beartype._check.code import codemain

codemain.getrandbits = random.Random(0).getrandbits  # it picks the item of a list that it looks at
