"""Cures, each tried on a copy of the user's own model."""
