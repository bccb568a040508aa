"""Engines: how one step of a cell becomes a loop over time."""
