"""The body of `rnnvanish claims`."""

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from typing import Any

from rnnvanish import experiments
from rnnvanish.claim import Claim, Measurement
from rnnvanish.console import complain, print_text
from rnnvanish.experiments import claim_study
from rnnvanish.experiments.claim_grid import GridClaim
from rnnvanish.names import WrongUse, did_you_mean, listed
from rnnvanish.records import ledger
from rnnvanish.studies import command as sweep_command
from rnnvanish.studies.reader import COMMITTED, put_back
from rnnvanish.studies.store import Store
from rnnvanish.studies.table import duration

#: How the command ends: its exit code, and what `--json` prints.
Ending = tuple[int, dict[str, Any]]
#: Seconds from one line about its progress to the next where no terminal shows it.
EVERY = 20.0


def run(
    section: int | None, only: str | None, seeds: int | None, every: bool, update: bool, workers: int, as_json: bool
) -> Ending:
    """Measure claims, or fill what is missing of the expensive ones.

    Args:
        section: The claims of one section; None for all.
        only: One claim, by its id; None for all.
        seeds: How many seeds; None for each claim's own number.
        every: Whether the expensive ones are measured, too.
        update: Whether to measure those that are expensive and not stored, and to store them.
        workers: Processes that train what a study lacks.
        as_json: Whether to leave out what is for people.

    Raises:
        WrongUse: For a claim or a section that there is not; where nothing is stored of what should be shown.
    """
    chosen = _chosen(section, only)
    if seeds is not None and seeds < 1:
        raise WrongUse(f"claims needs seeds >= 1, got {seeds}.")
    if update and (every or seeds is not None):
        raise WrongUse("--update measures and stores at each claim's own seeds: leave out --all and --seeds.")
    if update:
        chosen = [claim for claim in chosen if claim.stored]
        if not chosen:
            raise WrongUse("None of these claims is stored: they are cheap, and measured whenever the site is built.")
        fill(chosen, anew=only is not None, workers=workers)
    elif every:
        complain(f"Measuring the expensive claims, too, takes about {duration(_seconds(chosen))}.")
    return _measure(chosen, seeds, every, as_json)


def _chosen(section: int | None, only: str | None) -> list[Claim]:
    known = {claim.id: claim for claim in experiments.claims()}
    sections = sorted({claim.section for claim in known.values()})
    if only is not None and only not in known:
        raise WrongUse(f"There is no claim {only!r}.{did_you_mean(only, known)} There are: {listed(known)}.")
    if section is not None and section not in sections:
        raise WrongUse(f"There is no section {section}. There are: {', '.join(map(str, sections))}.")
    return [claim for claim in known.values() if only in (None, claim.id) and section in (None, claim.section)]


def fill(claims: Sequence[Claim], anew: bool = False, workers: int = 1) -> None:
    """Train what the study of claims lacks, and measure the claims of which nothing is stored, or what older code made.

    What is there is kept, and an interruption loses no more than what is running. Says what is left.

    Args:
        claims: Those that are stored.
        anew: Whether to measure again what is stored.
        workers: Processes that train.
    """
    plain = [claim for claim in claims if not isinstance(claim, GridClaim)]
    left = [claim for claim in plain if anew or not _is_stored(claim)]
    try:
        if len(plain) < len(claims):
            _train(workers)
        for claim in list(left):
            complain(f"{claim.id} is measured: {len(left)} of {len(plain)} are left.")
            claim.keep(claim.measure())
            left.remove(claim)
    except (KeyboardInterrupt, SystemExit):
        names = f": {listed(claim.id for claim in left)}" if left else ""
        complain(
            f"{len(left)} claims are left to measure{names}. What is done is stored, and the same command goes on."
        )
        raise


def _train(workers: int) -> None:
    """Sweep the study of claims, from what is committed of it on, and write down what there is then."""
    store, known = Store(f"studies/{claim_study.NAME}"), claim_study.found()
    if known is not None:
        put_back(known, store)
    several = workers > 1 and find_spec("ray") is not None
    runner = sweep_command.runner(workers, None, 1.0, 0.0) if several else None
    study = str(COMMITTED / f"{claim_study.NAME}.yaml")
    try:
        code, _ = sweep_command.run(study, str(store.folder), "run", True, runner=runner)
    finally:
        with suppress(WrongUse):  # there is no result yet
            sweep_command.run(
                study, str(store.folder), "status", True, exported=str(COMMITTED / f"{claim_study.NAME}.json")
            )
        claim_study.forget()
    if code >= 128:
        raise SystemExit(code)


def _is_stored(claim: Claim) -> bool:
    """Whether the claim is stored, and measured by the code as it is."""
    try:
        return not claim.recall().outdated
    except ledger.NotStored:
        return False


def _seconds(claims: Sequence[Claim]) -> float:
    """What measuring the expensive ones took when they were stored."""
    seconds = 0.0
    for claim in claims:
        if claim.stored and not isinstance(claim, GridClaim):
            with suppress(ledger.NotStored):
                seconds += claim.recall().seconds
    return seconds


def _measure(claims: Sequence[Claim], seeds: int | None, every: bool, as_json: bool) -> Ending:
    """Measure claims, or recall what is stored of them; say what came out."""
    records = []
    with _shown() as show:
        for number, claim in enumerate(claims, 1):
            recalled = claim.stored and not every
            show(f"{number} of {len(claims)}: {claim.id}")
            try:
                measurement = claim.recall() if recalled else claim.measure(seeds)
            except ledger.NotStored as error:
                raise WrongUse(str(error)) from error
            record = claim.to_json(measurement)
            records.append(record)
            show("")  # makes room for what is printed
            if not as_json and not print_text(_told(claim, measurement, record, recalled)):
                break  # nobody reads on
    broken = [record for record in records if record["verdict"] != record["stated"]]
    incomplete = [record for record in broken if record.get("missing")]
    if not as_json:
        said = f"{len(records) - len(broken)} of {len(records)} claims have the verdict that the text states"
        more = (
            f"; results are missing of {len(incomplete)}, and `rnnvanish claims --update` makes them"
            if incomplete
            else ""
        )
        print_text(f"{said}{more}.\n")
    return int(len(broken) > len(incomplete)), {"claims": records}


@contextmanager
def _shown() -> Iterator[Callable[[str], None]]:
    """Show on standard error what is said last: in a line of a terminal, else a line now and then."""
    if not sys.stderr.isatty():
        yield _now_and_then()
        return
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    with Live(
        console=Console(stderr=True), auto_refresh=False, transient=True, redirect_stdout=False, redirect_stderr=False
    ) as live:
        yield lambda said: live.update(Text(said), refresh=True)


def _now_and_then() -> Callable[[str], None]:
    last = time.monotonic()

    def say(said: str) -> None:
        nonlocal last
        if said and time.monotonic() - last >= EVERY:
            last = time.monotonic()
            complain(said)

    return say


def _told(claim: Claim, measurement: Measurement, record: dict[str, Any], recalled: bool) -> str:
    """A measured claim as people read it."""
    differs = "" if record["verdict"] == record["stated"] else f"   THE TEXT STATES: {record['stated']}"
    agreement = f" ({record['agreement'].lower()})" if record["agreement"] else ""
    when = f", stored on {record['provenance']['date']}" if recalled else ""
    since = ", and the code has changed since" if record["outdated"] else ""
    points = claim.lines(measurement) if isinstance(claim, GridClaim) else ""
    return (
        f"{claim.section:>2}  {claim.id:<40} {record['verdict']}{agreement}{differs}\n"
        f"    “{claim.sentence}”\n"
        f"    of {claim.scope}\n"
        f"    {claim.statistic}: {record['result']}; {record['thresholds']}\n"
        f"{points}"
        f"    {record['seeds']} seeds, {record['seconds']:.1f} s{when}{since}\n\n"
    )
