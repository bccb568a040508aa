"""Steps that hand one state to each other, such as a flow from one time to the next and an update there: they are one loop."""

from collections.abc import Sequence

from rnnvanish.names import listed
from rnnvanish.observe.cell_loops.call_pattern import CallPattern


def parts_of_other_steps(patterns: Sequence[CallPattern]) -> dict[CallPattern, CallPattern]:
    """Steps whose loop is that of another one, and which: of a chain the last, or the one that also goes on by itself."""
    found = {}
    for pattern in patterns:
        chain = [pattern]
        for each in chain:  # which grows meanwhile
            chain += [other for other in patterns if other in each.handed_by and other not in chain]
        whole = next((each for each in chain if not each.handed_by), max(chain, key=lambda each: each.began_after))
        if whole is not pattern:
            found[pattern] = whole
    return found


def check_chains(patterns: Sequence[CallPattern]) -> None:
    """Refuse steps that were named beside the one whose loop they are in; a step within that one is called by it alone."""
    parts = {part: whole for part, whole in parts_of_other_steps(patterns).items() if not _holds(whole, part)}
    for last in dict.fromkeys(parts.values()):
        some = listed(part.name for part, whole in parts.items() if whole is last)
        raise ValueError(
            f"{some} and {last.name} hand one state to each other: they are one loop, and {last.name} alone is its step. Leave "
            f"{some} out of cells=; what stands between two calls of {last.name} is measured with it."
        )


def _holds(whole: CallPattern, part: CallPattern) -> bool:
    return any(module is part.module for module in whole.module.modules())
