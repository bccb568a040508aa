"""Plugins of asv's."""
