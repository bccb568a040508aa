"""Every cheap claim of the explanation: its statistic, and how far that is from where the verdict would no longer stand."""

import json
import math
import os
import re
import signal
import statistics
from typing import Any, ClassVar

from .common import QUICK, SOURCE, Missing, look_up, need, tabulate

#: Claims by experiment and function, as in the source.
CLAIMS = sorted(
    f"{path.stem}.{name}"
    for path in (SOURCE / "experiments").glob("*.py")
    for name in re.findall(r"^@(?:grid_)?claim\((?:.|\n)*?^def (\w+)\(", path.read_text(encoding="utf-8"), re.MULTILINE)
)
#: CPU seconds that a first seed may take, with what it imports and compiles; what is more expensive is skipped. Five let all of
#: the claims through that are measured at every build of the site.
CHEAP = 0.05 if QUICK else float(os.environ.get("RNNVANISH_BENCH_CLAIM", "1"))


def strain(value: float, bounds: Any) -> float:
    """How near a statistic is to the edge of its bounds: 1 at the edge, 0.01 far inside, more outside.

    Bounds hold from below or from above; so that larger is worse for both, the distance to the edge is taken in units
    of the edge itself (of 1 where that is 0), and halves this number once a unit.
    """
    edges = [(bounds.low, bounds.low - value), (bounds.high, value - bounds.high)]
    over = [excess / (abs(edge) or 1.0) for edge, excess in edges if math.isfinite(edge)]
    return min(max(2.0 ** min(max(over), 7.0), 0.01), 100.0)


def sample(claim: Any, seeds: int | None) -> list[float]:
    """Measure a claim in a fork of this process, which the system ends where its first seed is too expensive.

    Raises:
        Missing: It was too expensive. To interrupt it here could leave a module half imported.
    """
    ours, theirs = os.pipe()
    child = os.fork()
    if not child:
        code = 1
        try:
            signal.signal(signal.SIGPROF, signal.SIG_DFL)
            signal.setitimer(signal.ITIMER_PROF, CHEAP)
            claim.measure(seeds=1)
            signal.setitimer(signal.ITIMER_PROF, 10 * CHEAP)
            os.write(theirs, json.dumps(claim.measure(seeds=seeds).values).encode())
            code = 0
        except Exception as error:  # noqa: BLE001
            os.write(theirs, json.dumps(f"{type(error).__name__}: {error}").encode())
        finally:
            os._exit(code)
    os.close(theirs)
    with os.fdopen(ours) as pipe:
        said = pipe.read()
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        raise Missing(f"more than {CHEAP:g} CPU seconds a seed")
    if status:
        raise RuntimeError(json.loads(said))
    return json.loads(said)


def statistic(name: str) -> dict[str, Any]:
    """The median that a verdict hangs on, and its strain."""
    found = [claim for claim in need("rnnvanish.experiments").claims() if claim.id == name]
    if not found:
        raise Missing(f"no claim {name} at this commit")
    (claim,) = found
    if claim.stored:
        raise Missing("measured by make claims, and stored")
    median = statistics.median(sample(claim, 1 if QUICK else None))
    shown = median if math.isfinite(median) else Missing("infinite: no point on a line")
    return {"strain": strain(median, claim.bounds[claim.stated]), "statistic": shown}


def warm() -> None:
    """Have what torch imports late imported, so that it is no cost of a claim."""
    import torch

    adam = torch.optim.Adam([torch.nn.Parameter(torch.zeros(1))])
    adam.step()


class Claims:
    """The claims of all sections that take less than a CPU second a seed."""

    version = "1"
    params: ClassVar = [CLAIMS]
    param_names: ClassVar = ["claim"]

    def setup_cache(self) -> dict[str, Any]:
        warm()
        return tabulate(statistic, CLAIMS)

    setup_cache.timeout = 1200

    def track_strain(self, table: dict[str, Any], claim: str) -> float:
        """1 where the stated verdict is about to fall, less the farther its statistic is from there."""
        return look_up(table, claim)["strain"]

    track_strain.unit = "of the way to its threshold"

    def track_statistic(self, table: dict[str, Any], claim: str) -> float:
        """The median over the seeds that the verdict hangs on; for some claims larger is better, so it is not judged."""
        return look_up(look_up(table, claim), "statistic")

    track_statistic.unit = "in the unit of its claim"
