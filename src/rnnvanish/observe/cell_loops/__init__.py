"""Loops that a model writes itself: the calls of its own step, recorded, and the state found among their arguments."""
