"""All recorded results of a repository, with what is known of benchmarks, machines and commits."""

from functools import cached_property
from pathlib import Path

from .. import ROOT
from .regressions import Regression, regressions
from .results import Commit, Series, history, machines, read, unmeasured
from .suite import benchmarks


class Archive:
    """All recorded results of a repository, read once.

    Args:
        root: The repository.
    """

    def __init__(self, root: Path = ROOT) -> None:
        self.root, self.folder = root, root / "bench/results"
        self.benchmarks = benchmarks(root)
        self.commits = history(root)
        versions = {name: each["version"] for name, each in self.benchmarks.items()}
        self.series = read(self.folder, self.commits, versions)
        self.machines = {name: each for name, each in machines(self.folder).items() if self.measured_on(name)}

    def measured_on(self, machine: str, *benchmarks: str) -> list[Series]:
        """Series of a machine that have a number, of some benchmarks or of all; with several torches or Numbas the newest."""
        found = [each for each in self.series if each.machine == machine and each.measured]
        last = {(each.benchmark, each.cell): each for each in found if not benchmarks or each.benchmark in benchmarks}
        return list(last.values())

    def unit(self, benchmark: str) -> str:
        return self.benchmarks[benchmark]["unit"]

    def parameters(self, series: Series) -> dict[str, str]:
        """Names and values of the parameters that a series was measured with."""
        return dict(zip(self.benchmarks[series.benchmark]["param_names"], series.cell, strict=True))

    def device(self, series: Series) -> str:
        """Where a number was taken; the processor where its benchmark does not say."""
        return self.parameters(series).get("device", "cpu")

    @cached_property
    def regressions(self) -> list[Regression]:
        """Every regression of every series, the newest first."""
        found = [each for series in self.series for each in regressions(series, self.unit(series.benchmark))]
        return sorted(found, key=lambda each: -each.commit.place)

    @cached_property
    def unmeasured(self) -> dict[Commit, str]:
        """Commits that could not be measured at all, with the reason."""
        return unmeasured(self.folder, self.commits)

    @cached_property
    def measured(self) -> list[Commit]:
        """Commits with a result, the oldest first."""
        return sorted({point.commit for each in self.series for point in each.points}, key=lambda each: each.place)
