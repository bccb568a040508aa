"""Everything that is recorded, for the pages."""

from functools import cached_property
from pathlib import Path

from ..pages import titles as words
from .regressions import Regression, regressions
from .results import Commit, Series, history, machines, read, unmeasured
from .suite import ROOT, benchmarks


class Recorded:
    """Everything that is recorded, read once a build.

    Args:
        root: The repository.
    """

    def __init__(self, root: Path = ROOT) -> None:
        self.root, self.folder = root, root / "bench/results"
        self.known = benchmarks(root)
        self.commits = history(root)
        versions = {name: each["version"] for name, each in self.known.items()}
        self.series = read(self.folder, self.commits, versions)
        self.machines = {name: each for name, each in machines(self.folder).items() if self.of(name)}

    def of(self, machine: str, *benchmarks: str) -> list[Series]:
        """Series of a machine, of some benchmarks or of all."""
        found = [each for each in self.series if each.machine == machine and each.measured]
        return [each for each in found if not benchmarks or each.benchmark in benchmarks]

    def unit(self, benchmark: str) -> str:
        return self.known[benchmark]["unit"]

    def place(self, series: Series) -> tuple[str, tuple[str, ...]]:
        """On which device a number was taken, and its other parameters."""
        names = self.known[series.benchmark]["param_names"]
        given = dict(zip(names, series.cell, strict=True))
        return given.pop("device", "cpu"), tuple(given.values())

    def label(self, series: Series) -> str:
        """The parameters in words: "LSTM, lag 100"; empty where there are none."""
        names = self.known[series.benchmark]["param_names"]
        said = (words.parameter(name, value) for name, value in zip(names, series.cell, strict=True))
        return ", ".join(filter(None, said))

    @cached_property
    def regressions(self) -> list[Regression]:
        found = [each for series in self.series for each in regressions(series, self.unit(series.benchmark))]
        return sorted(found, key=lambda each: -each.commit.place)

    @cached_property
    def unmeasured(self) -> dict[Commit, str]:
        return unmeasured(self.folder, self.commits)

    @cached_property
    def measured(self) -> list[Commit]:
        """Commits with a result, the oldest first."""
        return sorted({point.commit for each in self.series for point in each.points}, key=lambda each: each.place)
