"""The random number generators that everybody shares: torch's, Python's and numpy's."""

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


@contextmanager
def preserve_random_state() -> Iterator[None]:
    """Put the states of the shared generators back in the end, a GPU's not: what was drawn will be drawn again."""
    python, arrays = random.getstate(), np.random.get_state()  # noqa: NPY002  # the shared one is meant
    with torch.random.fork_rng(devices=[]):
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(arrays)  # noqa: NPY002
