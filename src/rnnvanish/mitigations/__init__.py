"""Mitigations, one file each. A new one is its file, one import and one entry of `ALL`."""

from rnnvanish.mitigation import Mitigation

#: Every mitigation by its name.
ALL: dict[str, type[Mitigation]] = {}
