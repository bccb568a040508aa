"""How long a study takes, from a few timed steps."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from rnnvanish.studies.trial import Trial, run

#: Networks that are timed at most.
TIMED = 8


@dataclass(frozen=True)
class Estimate:
    """What trials take one after the other on this machine.

    Attributes:
        seconds: Where none is solved before its budget is spent, so at most.
        timed: How many networks were timed.
        networks: How many there are.
    """

    seconds: float
    timed: int
    networks: int


def estimate(trials: Sequence[Trial]) -> Estimate:
    """Time a few steps of some of the networks, evenly spread, and take the others to be like these.

    What is compiled at the first step of a network on a machine is not counted.
    """
    networks = list(dict.fromkeys(trial.network for trial in trials))
    count = min(TIMED, len(networks))
    chosen = [networks[place * len(networks) // count] for place in range(count)]
    per_trial = per_check = 0.0
    for network in chosen:
        once, thrice = (replace(network, lr=1e-9, share=1.0, steps=times * network.check_every) for times in (1, 3))
        run(once)  # compiles
        short, long = (run(each)["cost"]["seconds"] for each in (once, thrice))
        per_check += max(long - short, 0.0) / 2 / count
        per_trial += short / count
    checks = sum(trial.steps // trial.check_every - 1 for trial in trials)
    return Estimate(per_trial * len(trials) + per_check * checks, count, len(networks))
