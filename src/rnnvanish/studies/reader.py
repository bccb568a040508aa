"""The one reader of results: what a study has found, what is missing, and how to make it."""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from rnnvanish.console import to_json
from rnnvanish.records.files import write_whole
from rnnvanish.studies.second_pass import SecondPass
from rnnvanish.studies.store import SCHEMA, STUDY, VERIFIED, Record, Store, checked, code_of, from_json
from rnnvanish.studies.study import Study, parsed
from rnnvanish.studies.trial import Trial, named, refusals, thin
from rnnvanish.studies.verification import Verification
from rnnvanish.tasks import is_found

#: Studies that come with the package: NAME.yaml, and NAME.json with its results.
COMMITTED = Path(__file__).parent.parent / "records/studies"
#: Points that a file of results keeps of a curve at most, and of all its curves together: fewer of each where there are many.
POINTS, ALL_POINTS = 8, 8000


@dataclass(frozen=True)
class Results:
    """What a study has found.

    Attributes:
        study: The study.
        rows: A row for each trial that has a result, in the order of the study: its configuration, with the most steps that
            it had as "budget"; as "final" whether it is one of a second pass; what came of it as "solved", "diverged",
            "steps", "loss", "score", "floor", "parameters", "half_life_before", "decades_lost_before", "half_life_after", "decades_lost_after", "curve"; "seconds",
            "peak_bytes"; "date" and "commit" of the code that made it.
        missing: The trials without a result, those that failed among them; of a second pass those that are known.
        failed: The errors of those that failed.
        refused: The trials that cannot be, and why; not among the missing ones.
        damaged: Of the missing ones those whose files hold no result of theirs.
        others: Names of files that hold nothing of this study.
        command: What makes the missing ones.
        records: What is stored of each trial that has a result.
        to_come: How many more there are in a second pass, which follow from what is missing.
        verification: What came of running some of them again; None where that was never done.
    """

    study: Study
    rows: list[dict[str, Any]]
    missing: list[Trial]
    failed: dict[Trial, str]
    refused: dict[Trial, str]
    damaged: list[Trial]
    others: list[str]
    command: str
    records: dict[Trial, dict[str, Any]] = field(repr=False)
    to_come: int = 0
    verification: Verification | None = None

    @cached_property
    def outdated(self) -> list[Trial]:
        """The trials whose results were made by other code than today's; it takes seconds to read all of that."""
        return [trial for trial, content in self.records.items() if content["provenance"]["code"] != code_of(trial)]

    @cached_property
    def since(self) -> str:
        """How many results other code made, and what came of running some again; nothing where today's made all."""
        if not self.outdated:
            return ""
        return " ".join(
            filter(None, [f"{len(self.outdated)} results were made by other code than today's.", self.again])
        )

    @cached_property
    def again(self) -> str:
        """What came of running some of them again, in words; nothing where that was not done."""
        if self.verification is None:
            return ""
        changed = "" if self.verification.is_of_today(self.records) else " The code has changed since then."
        return f"{self.verification}{changed}"

    @cached_property
    def origin(self) -> dict[str, str]:
        """When, where and with what the results were made, as `provenance` says it; several of a kind with commas between."""
        places = [record["provenance"] for record in self.records.values()]
        names = dict.fromkeys(name for place in places for name in place if name != "code")
        return {name: ", ".join(sorted({place[name] for place in places if name in place})) for name in names}

    def where(self, **fields: Any) -> list[dict[str, Any]]:
        """Return the rows that have these values."""
        for name in fields:
            if self.rows and name not in self.rows[0]:
                raise ValueError(f"A row has no {name!r}. There are: {', '.join(self.rows[0])}.")
        return [row for row in self.rows if all(row[name] == value for name, value in fields.items())]

    def success(self, task: str) -> dict[str, dict[int, float]]:
        """Of each network that the study compares, by lag: the share of seeds that solved a task, at the rate that solved most.

        A network is named by the fields in which those of the study differ. Where there is a second pass its seeds count alone.
        """
        rows = [row for row in self.rows if row["task"] == task and row["lag"] is not None]
        if self.study.every("final_seeds"):
            rows = [row for row in rows if row["final"]]
        differing = [name for name in COMPARED if len({row[name] for row in self.rows}) > 1] or ["cell"]
        shares: dict[str, dict[int, dict[float, list[bool]]]] = {}
        for row in rows:
            values = [str(row[name]) or "as drawn" for name in differing]
            lags = shares.setdefault(", ".join(values), {})
            lags.setdefault(row["lag"], {}).setdefault(row["lr"], []).append(row["solved"] is not None)
        return {
            line: {lag: max(sum(seeds) / len(seeds) for seeds in rates.values()) for lag, rates in sorted(lags.items())}
            for line, lags in shares.items()
        }

    def __str__(self) -> str:
        count = len(self.rows) + len(self.missing)
        more = f", and {self.to_come} more follow from these" if self.to_come else ""
        said = [f"{self.study.name}: {len(self.rows)} of {count} trials have a result{more}."]
        if self.failed:
            said.append(f"{len(self.failed)} failed: run them again with --retry.")
        if self.damaged:
            said.append(f"{len(self.damaged)} files are damaged, and their trials count as missing.")
        if self.since:
            said.append(self.since)
        if self.others:
            said.append(f"{len(self.others)} files hold nothing of this study, and are left out.")
        if self.missing:
            said.append(f"What is missing is made by: {self.command}")
        return " ".join(said)


#: What a study may compare.
COMPARED = ("cell", "mitigations", "hidden_size", "num_layers", "optimizer")


def results(where: str | Path) -> Results:
    """Read the results of a study.

    Args:
        where: The name of a study that comes with the package, or one in `studies/`; its folder; or a file that
            `rnnvanish sweep --export` wrote.

    Raises:
        ValueError: Where there are none: says how to make them.
    """
    path = Path(where)
    if str(where) == path.name and not path.suffix:
        committed = COMMITTED / f"{where}.json"
        path = committed if committed.exists() else Path("studies") / path
    if path.suffix == ".json":
        return _from_file(path)
    if not (path / STUDY).exists():
        raise ValueError(f"There are no results in {path}. Make them: rnnvanish sweep STUDY.yaml --out {path}")
    try:
        study = _parsed(from_json((path / STUDY).read_text(encoding="utf-8")))
    except (ValueError, OSError) as error:
        raise ValueError(f"{path / STUDY} is damaged: run the sweep of its study again. {error}") from error
    return collect(study, Store(path), f"rnnvanish sweep {path / STUDY} --out {path}")


def memories() -> dict[tuple[str, str, int], list[dict[str, Any]]]:
    """Read the study of claims: how far back networks of one size learn that differ in their cell and start alone.

    Returns:
        Of each cell, its mitigations and final seed that were trained at every distance, a row a distance, the nearest first.
    """
    rows = results("claims").where(task="recall", hidden_size=64, optimizer="adam", clip=None, final=True)
    trained: dict[tuple[str, str, int], dict[int, dict[str, Any]]] = {}
    for row in rows:
        trained.setdefault((row["cell"], row["mitigations"], row["seed"]), {})[row["lag"]] = row
    lags = sorted({row["lag"] for row in rows})
    return {pair: [found[lag] for lag in lags] for pair, found in trained.items() if len(found) == len(lags)}


def _parsed(content: Any) -> Study:
    """Make a study of what was stored. Results may come from anywhere: no code that they name is run."""
    named_there = [task for part in (content, *content.get("grids", ())) for task in part.get("tasks", ())]
    if others := [task for task in named_there if not is_found(named("task", task).name)]:
        raise ValueError(
            f"It is of a task by its place, {others[0]}, and reading results runs no code. "
            f"Is it yours? Then call rnnvanish.tasks.find({named('task', others[0]).name!r}) first."
        )
    return parsed(content)


def collect(study: Study, store: Store, command: str) -> Results:
    """Read the results of a study from its folder."""
    return _collected(study, store.read, store.others, command, _verification(store))


def _verification(store: Store) -> Verification | None:
    try:
        return Verification(**from_json((store.folder / VERIFIED).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):  # there is none, or it is no such note
        return None


def keep_verification(note: Verification, store: Store) -> None:
    """Keep what came of running trials again in the folder of their study."""
    write_whole(store.folder / VERIFIED, to_json(vars(note)) + "\n")


def _from_file(path: Path) -> Results:
    name = path.with_suffix(".yaml") if path.parent == COMMITTED else "STUDY.yaml"
    command = f"rnnvanish sweep {name} --export {path}"
    try:
        content = from_json(path.read_text(encoding="utf-8"))
        if content["schema"] != SCHEMA:
            raise ValueError(f"it has schema {content['schema']}, and this rnnvanish reads {SCHEMA}")
        study = _parsed(content["study"])
        rows, places, names = content["rows"], content["provenance"], content["columns"]
        note = Verification(**content["verified"]) if "verified" in content else None
    except FileNotFoundError as error:
        raise ValueError(f"There is no {path}. Make it: {command}") from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} holds no results of a study ({error!r}). Make it anew: {command}") from error

    def read(trial: Trial) -> Record:
        return _unpacked(trial, rows.get(trial.key), places, names)

    def others(trials: Iterable[Trial]) -> list[str]:
        return sorted(rows.keys() - {trial.key for trial in trials})

    return _collected(study, read, others, command, note)


def _unpacked(trial: Trial, row: list[Any] | None, places: list[dict[str, str]], names: list[str]) -> Record:
    """What a line of a file of results is to a trial."""
    if row is None:
        return Record("missing", {})
    if len(row) != len(names):
        return Record("damaged", {})
    values = dict(zip(names, row, strict=True))
    content: dict[str, Any] = {"schema": SCHEMA, "trial": trial.configuration, "provenance": places[values.pop("made")]}
    content["cost"] = {name: values.pop(name) for name in ("seconds", "peak_bytes")}
    return checked(trial, content | {"result": values})


def _collected(
    study: Study,
    read: Callable[[Trial], Record],
    others: Callable[[Iterable[Trial]], list[str]],
    command: str,
    note: Verification | None,
) -> Results:
    """Read each trial, and those that follow from the results; these stand at the end."""
    known, second = {trial: read(trial) for trial in study.trials()}, SecondPass(study)
    first = {trial: record.content["result"] for trial, record in known.items() if record.state == "done"}
    known |= {trial: read(trial) for each, result in first.items() for trial in second.add(each, result)}
    done = {trial: record for trial, record in known.items() if record.state == "done"}
    left = [trial for trial in known if trial not in done]
    refused = refusals(left) if left else {}
    second.leave_out(refused)
    missing = [trial for trial in left if trial not in refused]
    return Results(
        study,
        [_row(trial, record) | {"final": trial not in first} for trial, record in done.items()],
        missing,
        {trial: known[trial].content["failed"]["error"] for trial in missing if known[trial].state == "failed"},
        refused,
        [trial for trial in missing if known[trial].state == "damaged"],
        others(known),
        command,
        {trial: record.content for trial, record in done.items()},
        len(second.to_come),
        note,
    )


def _row(trial: Trial, record: Record) -> dict[str, Any]:
    """A trial and what came of it, side by side."""
    configuration = asdict(trial)
    result, cost, made = (dict(record.content[name]) for name in ("result", "cost", "provenance"))
    configuration["budget"] = configuration.pop("steps")
    measured = {
        f"{name}_{when}": (result[when] or {}).get(name)
        for when in ("before", "after")
        for name in ("half_life", "decades_lost")
    }
    plain = {name: value for name, value in result.items() if name not in ("before", "after")}
    origin = {"date": made.get("date"), "commit": made.get("commit")}
    return configuration | plain | measured | cost | origin


def write_results(found: Results, path: Path) -> None:
    """Write all results of a study into one file, small enough for git: what they share is said once.

    Curves keep eight points, fewer where there are more than a thousand, their ends always; trials that only choose a rate
    for a second pass keep none. `results(path)` reads it.
    """
    points = max(2, min(POINTS, ALL_POINTS // max(1, len(found.records))))
    places: list[dict[str, str]] = []
    names = ["made", "seconds", "peak_bytes"]
    rows = {}
    twice = bool(found.study.every("final_seeds"))
    for (trial, content), row in zip(found.records.items(), found.rows, strict=False):
        if content["provenance"] not in places:
            places.append(content["provenance"])
        result = content["result"]
        curve = {name: thin(values, points) for name, values in result["curve"].items() if row["final"] or not twice}
        result = result | {"curve": curve}
        names = [*names[:3], *result]
        cost = content["cost"]
        made = places.index(content["provenance"])
        rows[trial.key] = [made, cost["seconds"], cost["peak_bytes"], *result.values()]
    head = {"schema": SCHEMA, "study": vars(found.study), "provenance": places, "columns": names}
    if found.verification is not None:
        head["verified"] = vars(found.verification)
    lines = [f'"{key}": {_compact(row)}' for key, row in rows.items()]
    write_whole(path, to_json(head)[:-1] + ', "rows": {\n' + ",\n".join(lines) + "\n}}\n")


def put_back(found: Results, store: Store) -> None:
    """Write results into a folder, where it has none of these trials: so a sweep goes on from a file of results."""
    for trial, content in found.records.items():
        if store.read(trial).state == "missing":
            store.write(trial, content)
    if found.verification is not None:
        keep_verification(found.verification, store)


def _compact(row: Sequence[Any]) -> str:
    return json.dumps(json.loads(to_json(row)), separators=(",", ":"))
