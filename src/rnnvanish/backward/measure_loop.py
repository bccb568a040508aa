"""Several measures of one loop, in one pass over its replayed steps.

A measure that needs every step is a generator: it is sent `ReplayedSteps`, some steps at a time, then None, and returns its
result. So each stays a function of its own, and `measure_loop` replays the steps once for all of them, never all at once.
"""

from collections.abc import Callable, Generator, Hashable, Mapping
from typing import Any, TypeVar, cast

from rnnvanish.backward.replay import ReplayedSteps, replay_all
from rnnvanish.observe.record import Series
from rnnvanish.observe.watch import Run

Found = TypeVar("Found")

#: A measure under way: `while (steps := (yield)) is not None: ...`.
Pass = Generator[None, ReplayedSteps | None, Found]

#: A measure of one loop, given the total gradient of every state; made at once, or of every step.
LoopMeasure = Callable[[Run, Series], Found | Pass[Found]]


def measure_loop(run: Run, gradients: Series, measures: Mapping[Hashable, LoopMeasure[Any]]) -> dict[Hashable, Any]:
    """Take several measures of one loop.

    Args:
        run: The loop.
        gradients: The total gradient of every state.
        measures: By names.

    Returns:
        What each gave; the ValueError or RuntimeError of one that cannot be taken, which is no reason to withhold the rest.
    """
    found: dict[Hashable, Any] = {}
    passes: dict[Hashable, Pass[Any]] = {}
    for name, measure in measures.items():
        try:
            found[name] = measure(run, gradients)
        except (ValueError, RuntimeError) as error:
            found[name] = error
        if isinstance(found[name], Generator):
            passes[name] = found[name]
    _send_to_all(None, passes, found)  # to where it waits for steps
    try:
        for steps in replay_all(run, gradients) if passes else ():
            _send_to_all(steps, passes, found)
    except (ValueError, RuntimeError) as error:  # a step cannot be replayed: each may say what that means
        _send_to_all(error, passes, found)
    else:
        _send_to_all(None, passes, found)
    return found


def measure_alone(measure: Callable[[Run, Series], Pass[Found]]) -> Callable[[Run, Series], Found]:
    """A measure that is made of every step, taken by itself; errors are those of the measure."""

    def of_loop(run: Run, gradients: Series) -> Found:
        found = measure_loop(run, gradients, {None: measure})[None]
        if isinstance(found, Exception):
            raise found
        return cast(Found, found)

    return of_loop


def _send_to_all(
    sent: ReplayedSteps | Exception | None, passes: dict[Hashable, Pass[Any]], found: dict[Hashable, Any]
) -> None:
    """Send steps, their end or an error to every measure that is under way, and note what those give that end with it."""
    for name, measure in list(passes.items()):
        try:
            if isinstance(sent, Exception):
                measure.throw(sent)
            else:
                measure.send(sent)
        except StopIteration as end:
            found[name] = end.value
        except (ValueError, RuntimeError) as error:
            found[name] = error
        else:
            continue
        del passes[name]
