"""Which cures go together: what arrives from 100 steps back in untrained networks with two of them, beside each alone.

Of those that act before training, the strongest. A stored measurement: `python -m rnnvanish.experiments.cure_pairs`.
"""

import math
from functools import cache
from itertools import combinations
from typing import Any

from rnnvanish import mitigations
from rnnvanish.experiments.cures import example, kept, suited
from rnnvanish.mitigation import Build, Draw
from rnnvanish.records import ledger
from rnnvanish.records.provenance import provenance

#: Of the record: what was measured, and where.
RECORD = "cures.pairs"
STRONGEST = 12
#: The networks whose pairs are measured.
PAIRED = ("tanh", "LSTM")
#: Decades that make a difference: a factor of two.
NOTABLE = math.log10(2)


def off(arrives: float) -> float:
    """How far a gradient that arrives is from a whole one, in decades: too small or too large."""
    return abs(math.log10(arrives)) if 0 < arrives < math.inf else math.inf


def verdict(first: float, second: float, both: float) -> str:
    """Say what two cures do together, from what arrives with each alone and with both.

    Returns:
        "better than either", "as the better one", "worse than the better one", "worse than either"; what counts is how near
        to a whole gradient that is, and what is less than a factor of two apart is the same.

    Examples:
        >>> verdict(0.1, 0.001, 0.9), verdict(0.1, 0.001, 0.08), verdict(0.1, 0.001, 0.01), verdict(0.1, 0.001, 1e-9)
        ('better than either', 'as the better one', 'worse than the better one', 'worse than either')
    """
    better, worse = sorted((off(first), off(second)))
    together = off(both)
    if together < better - NOTABLE:
        return "better than either"
    if together <= better + NOTABLE or (math.isinf(together) and math.isinf(better)):
        return "as the better one"
    return "worse than the better one" if together <= worse + NOTABLE else "worse than either"


def strongest(network: str) -> list[str]:
    """The cures that act before training, of those that the network takes, with which most nearly all arrives."""
    found = {
        name: off(kept(network, cure).arrives)
        for name in mitigations.ALL
        if isinstance(cure := example(name), Draw | Build) and network in suited(cure)
    }
    return sorted(found, key=lambda name: found[name])[:STRONGEST]


@cache
def record() -> dict[str, Any]:
    """The stored pairs, by network: what arrives with each cure, the strongest first, and with each two; where it was measured.

    Raises:
        NotStored: There are none.
    """
    return ledger.read(RECORD)


def names(network: str) -> list[str]:
    """The cures whose pairs are stored, the strongest first."""
    return list(record()["networks"][network]["alone"])


def verdicts(network: str) -> dict[tuple[str, str], str]:
    """What each two of them do together: as `verdict` says, or "do not go together"."""
    known = record()["networks"][network]
    alone = known["alone"]
    return {
        (one, other): "do not go together" if both is None else verdict(alone[one], alone[other], both)
        for one, other, both in known["pairs"]
    }


def measure(network: str, names: list[str]) -> dict[str, Any]:
    """Measure these cures, each alone and each with each other; None where two do not go together."""
    alone = {name: kept(network, example(name)).arrives for name in names}
    return {
        "alone": alone,
        "pairs": [[one, other, _both(network, one, other)] for one, other in combinations(names, 2)],
    }


def _both(network: str, one: str, other: str) -> float | None:
    try:
        return kept(network, example(one), example(other)).arrives
    except (ValueError, RuntimeError):  # they do not go together, or no gradient can be told of both
        return None


def main() -> None:
    """Measure all pairs of the strongest, and store them."""
    found = {network: measure(network, strongest(network)) for network in PAIRED}
    ledger.write(RECORD, {"networks": found, "provenance": provenance()})


if __name__ == "__main__":
    main()
