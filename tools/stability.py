"""Measure every claim over disjoint sets of seeds: a verdict that hangs on the seeds is no verdict.

`python tools/stability.py [sets] [section ...]`; it exits with 1 where a verdict differs from the stated one.
"""

import sys

from rnnvanish import experiments
from rnnvanish.experiments.claim_grid import GridClaim


def main(sets: int, sections: set[int]) -> int:
    """Print a line for each claim with its medians and verdicts; return the exit code."""
    unstable = 0
    for claim in experiments.claims():
        if claim.origin is not None or isinstance(claim, GridClaim):  # reads a study, whose seeds are its own
            continue
        if sections and claim.section not in sections:
            continue
        measured = [claim.measure(first=number * claim.seeds) for number in range(sets)]
        differs = {one.verdict for one in measured} != {claim.stated}
        unstable += differs
        medians = ", ".join(f"{one.median:.3g}" for one in measured)
        seconds = sum(one.seconds for one in measured)
        print(f"{'UNSTABLE' if differs else 'stable':<9}{claim.id:<44}{claim.stated:<22}{medians}  ({seconds:.0f} s)")
        sys.stdout.flush()
    print(f"{unstable} verdicts hang on the seeds." if unstable else f"Every verdict is the same over {sets} sets.")
    return 1 if unstable else 0


if __name__ == "__main__":
    given = [int(number) for number in sys.argv[1:]]
    sys.exit(main(given[0] if given else 3, set(given[1:])))
