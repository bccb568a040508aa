"""A study: lists of cells, cures, tasks, lags, rates and seeds; each combination of them is a trial."""

import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any, Literal

import yaml
from jsonargparse import ArgumentError, ArgumentParser

from rnnvanish.cells import ALL as CELLS
from rnnvanish.mitigations import ALL as MITIGATIONS
from rnnvanish.names import ALIASES, check_options, did_you_mean, listed, lookup, written
from rnnvanish.studies.trial import Trial, named
from rnnvanish.tasks import find

#: Of `rnnvanish.training.learner`, which takes seconds to import; a test holds them equal.
OPTIMIZERS = ("adam", "adamw", "rmsprop", "sgd")
SCHEDULES = ("constant", "linear", "cosine", "step")


@dataclass(frozen=True)
class Study:
    """A grid of trials.

    Attributes:
        name: Of its folder, and of its results.
        cells: Cells, with options where they have some: "Elman(nonlinearity='relu')".
        tasks: Tasks, likewise; one of your own by its place, "my_task.py:MyTask".
        lags: Steps from what has to be remembered to where it is needed, at most. Each task turns them into its own options;
            one that has no such distance, or is given that option itself, is one trial whatever the lags.
        mitigations: Each as `rnnvanish train` takes them, "" for a network as it is drawn; {lag} stands for the lag.
        hidden_sizes: Widths of the state.
        num_layers: Numbers of layers.
        optimizers: Their names.
        momentum: That of "sgd".
        lrs: Learning rates; or those of each optimiser, by its name.
        seeds: Of weights and sequences.
        final_seeds: Seeds of a second pass: with them each network is trained once more, at that rate alone which was best for
            it with `seeds`. Empty: there is no second pass.
        steps: Optimiser steps of a trial at most; a multiple of `check_every`.
        batch_size: Sequences in a step.
        clip: Largest norm of the gradient. 0: any. None: 1, or any where a mitigation clips it.
        check_every: Steps from one validation to the next.
        share: Of the answers to a classification that must be right, in two validations in a row, for it to be solved; of
            a regression the loss must be a tenth of the task's floor at most.
        accelerator: Where trials run.
        schedule: What becomes of a learning rate over `steps`: "constant", "linear" or "cosine" to nothing, or "step", a
            tenth after half of them and a hundredth after three quarters.
        weight_decay: Of the optimisers; None for torch's own.
        grids: Several grids: each says in what it differs from what is said above.

    Raises:
        ValueError: For a name that there is not: lists those there are; for an empty list, a size out of range.

    Examples:
        >>> study = Study("two", cells=["GRU"], tasks=["recall"], lags=[5], lrs=[0.01, 0.03])
        >>> [str(trial) for trial in study.trials()]
        ['GRU on recall at lag 5, adam 0.01, seed 0', 'GRU on recall at lag 5, adam 0.03, seed 0']
    """

    name: str
    cells: list[str] = field(default_factory=list)
    tasks: list[str] = field(default_factory=list)
    lags: list[int] = field(default_factory=list)
    mitigations: list[str] = field(default_factory=lambda: [""])
    hidden_sizes: list[int] = field(default_factory=lambda: [32])
    num_layers: list[int] = field(default_factory=lambda: [1])
    optimizers: list[str] = field(default_factory=lambda: ["adam"])
    momentum: float = 0.0
    lrs: list[float] | dict[str, list[float]] = field(default_factory=lambda: [5e-3])
    seeds: list[int] = field(default_factory=lambda: [0])
    final_seeds: list[int] = field(default_factory=list)
    steps: int = 1000
    batch_size: int = 32
    clip: float | None = None
    check_every: int = 25
    share: float = 0.95
    accelerator: Literal["cpu", "gpu"] = "cpu"
    schedule: str | None = None
    weight_decay: float | None = None
    grids: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        if not re.fullmatch(r"\w[\w.-]*", self.name):
            raise ValueError(f"A study needs a name of letters, digits, - and _ alone, got {self.name!r}.")
        for grid in self.grids:
            if "grids" in grid or "name" in grid:
                raise ValueError("A grid of a study has no name and no grids of its own.")
            parsed(self._with(grid))  # says what is wrong in it
        if not self.grids:
            self._check_names()
            self._check_lists()

    def _check_names(self) -> None:
        known: dict[str, tuple[Callable[[str], Any], list[str]]]
        known = {"cell": (lambda name: lookup("cell", name, CELLS), self.cells), "task": (find, self.tasks)}
        for kind, (found, names) in known.items():
            for each in names:
                one = named(kind, each)
                build = found(one.name)
                check_options(f"{kind} {one.name}", build, one.options, ours=("input_size", "hidden_size"))
        for cures in self.mitigations:
            for cure in written(cures.replace("{lag}", "1")):
                check_options(f"mitigation {cure.name}", lookup("mitigation", cure.name, MITIGATIONS), cure.options)
        for optimizer in self.optimizers:
            lookup("optimizer", optimizer, dict.fromkeys(OPTIMIZERS))
            if isinstance(self.lrs, dict) and not self.lrs.get(optimizer):
                raise ValueError(f"{self.name} needs lrs of {optimizer}, got those of {listed(self.lrs)}.")

        if self.schedule is not None:
            lookup("schedule", self.schedule, dict.fromkeys(SCHEDULES))

    def _check_lists(self) -> None:
        for name in ("cells", "tasks", "mitigations", "hidden_sizes", "num_layers", "optimizers", "lrs", "seeds"):
            if not getattr(self, name):
                raise ValueError(f"{self.name} needs {name}: the list is empty.")
        if any(not self._lags(task) for task in self.tasks):
            raise ValueError(f"{self.name} needs lags: the list is empty.")
        if wrong := [lag for lag in self.lags if lag < 1]:
            raise ValueError(f"{self.name} needs lags >= 1, got {wrong[0]}.")

    def trials(self) -> list[Trial]:
        """Every combination once, in a fixed order: one seed of everything comes first.

        Where there is a second pass, which follows from results, one grid comes after the other: so the first is decided first.
        """
        if self.grids:
            grids = self.each_grid()
            found = [trial for grid in grids for trial in grid.trials()]
            if any(grid.final_seeds for grid in grids):
                return list(dict.fromkeys(found))
            seeds = list(dict.fromkeys(trial.seed for trial in found))
            return sorted(dict.fromkeys(found), key=lambda trial: seeds.index(trial.seed))
        one = Trial(
            "",
            "",
            steps=self.steps,
            batch_size=self.batch_size,
            clip=None if self.clip is None else float(self.clip),
            check_every=self.check_every,
            share=self.share,
            accelerator=self.accelerator,
            schedule=None if self.schedule == "constant" else self.schedule,
            weight_decay=None if self.weight_decay is None else float(self.weight_decay),
        )
        lists = (
            self.seeds,
            self.cells,
            self.mitigations,
            self.hidden_sizes,
            self.num_layers,
            self.optimizers,
            self.tasks,
        )
        every = [
            replace(
                one,
                cell=re.sub(r"^\w+", lambda name: ALIASES.get(name[0], name[0]), cell),
                task=task,
                lag=lag,
                mitigations=cures,
                hidden_size=width,
                num_layers=layers,
                optimizer=optimizer,
                momentum=float(self.momentum) if optimizer == "sgd" else 0.0,
                lr=float(lr),
                seed=seed,
            )
            for seed, cell, cures, width, layers, optimizer, task in product(*lists)
            for lr in (self.lrs if isinstance(self.lrs, list) else self.lrs[optimizer])
            for lag in self._lags(task)
        ]
        return list(dict.fromkeys(every))

    def each_grid(self) -> "list[Study]":
        """Its grids, each as a study of its own; itself where it has none."""
        return [parsed(self._with(grid)) for grid in self.grids] or [self]

    def every(self, name: str) -> list[Any]:
        """The values of one of its lists, such as "tasks", in all grids."""
        grids = self.grids or [{}]
        return list(dict.fromkeys(value for grid in grids for value in grid.get(name, getattr(self, name))))

    def _lags(self, task: str) -> list[int] | list[None]:
        """The lags of a task; [None] where it has none, or its distance is given."""
        one = named("task", task)
        options = find(one.name).options_at(1)
        return [None] if options is None or options.keys() & one.options.keys() else self.lags

    def _with(self, grid: Mapping[str, Any]) -> dict[str, Any]:
        return asdict(self) | {"grids": []} | dict(grid)


def parsed(content: Mapping[str, Any]) -> Study:
    """Make a study of names and values, as YAML holds them.

    Raises:
        ValueError: For a field that there is not: lists those there are; for a value of another type.
    """
    known = [each.name for each in fields(Study)]
    for name in content:
        if name not in known:
            raise ValueError(f"A study has no {name!r}.{did_you_mean(str(name), known)} There are: {listed(known)}.")
    try:
        return Study(**_parser().parse_object(dict(content)).as_dict())
    except ArgumentError as error:
        raise ValueError(" ".join(str(error).split())) from error


@cache
def _parser() -> ArgumentParser:
    """It takes longer to build than to use, and a study is parsed grid by grid."""
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(Study)
    return parser


def read(path: str | Path) -> Study:
    """Read a study from a YAML file.

    Raises:
        ValueError: For a file that is no study: says why.
        OSError: For one that cannot be read.
    """
    try:
        content = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is no YAML: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path} is no study: needs names and values, got {type(content).__name__}.")
    try:
        return parsed(content)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
