"""The recorded results, read."""
