"""Watching a training: the gradient of the user's own loss, measured as it goes back, and the history of it."""
