"""What a measure of a loop is, and what a report says of it.

The measures themselves stand in `probes/`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from rnnvanish.backward.measure_loop import Pass
from rnnvanish.names import lookup
from rnnvanish.observe.record import Series
from rnnvanish.observe.watch import Run

Result = TypeVar("Result")
#: What something is, and what came out; several rows in turn may share their first half.
Row = tuple[str, str]
#: The part of a gradient that nearly all of it is, where a row says "99.9 %".
NEARLY_ALL = 0.999


@dataclass(frozen=True, kw_only=True)
class Measure(Generic[Result]):
    """A measure of one loop, as diagnose takes it, and what a report says of its result.

    Attributes:
        name: Under which a report has it.
        about: What it is, in a sentence: the docstring of its file.
        result: The type of its result: a dataclass, or a mapping from names to one; the report's schema is made of it.
        units: The unit of each number of the result, by the name of its field.
        of_loop: Takes a loop and the total gradient of every state. It may raise ValueError or RuntimeError, or give
            None, where nothing can be measured: a report then goes without.
        of_steps: Instead of `of_loop`, where a measure is made of every step: one pass over the replayed steps serves all
            of these, see `each_loop`.
        main_rows: Says what matters in every report.
        rest_rows: Says what a full report says besides.
        only_full: Whether it takes so long that only a full report has it.
        in_double: Whether it is measured in double precision, whatever that of the model is.
        resolved: Whether the precision of the run held what was measured; if not, all is measured again in double.
    """

    name: str
    about: str | None
    result: Any
    units: Mapping[str, str]
    of_loop: Callable[[Run, Series], Result | None] | None = None
    of_steps: Callable[[Run, Series], Pass[Result]] | None = None
    main_rows: Callable[[Result], list[Row]] = lambda result: []
    rest_rows: Callable[[Result], list[Row]] = lambda result: []
    only_full: bool = False
    in_double: bool = False
    resolved: Callable[[Result], bool] = lambda result: True


class Measures(dict[str, Any]):
    """What was measured of one loop, by the names of the measures, as attributes too; None where one could not be taken."""

    def __getattr__(self, name: str) -> Any:
        try:
            return lookup("measure", name, self)
        except ValueError as error:
            raise AttributeError(str(error)) from None
