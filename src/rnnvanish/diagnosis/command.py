"""`rnnvanish diagnose`: find the target, measure, show, compare."""

import re
import sys
import traceback
from pathlib import Path
from typing import Any

import torch

from rnnvanish.console import print_text
from rnnvanish.diagnosis.comparison import compare
from rnnvanish.diagnosis.diagnose import diagnose
from rnnvanish.diagnosis.progress import shown
from rnnvanish.diagnosis.report.document import read
from rnnvanish.diagnosis.report.text import to_text
from rnnvanish.diagnosis.result import Diagnosis
from rnnvanish.diagnosis.target import load_target
from rnnvanish.names import NotInstalled, WrongUse
from rnnvanish.observe.inputs.failure import OURS, failure
from rnnvanish.records.files import write_whole
from rnnvanish.records.ledger import NotStored


def run_diagnosis(
    target: str,
    seed: int,
    against: str | None,
    tolerance: float,
    full: bool,
    out: str | None,
    json: bool,
    **options: Any,
) -> tuple[int, dict[str, Any]]:
    """Do what the command line says; returns the exit code, and the report as data."""
    try:
        earlier = None if against is None else read(against)  # before the measurement, which may take long
        if not 0 <= tolerance < 1:
            raise WrongUse(f"--tolerance needs a share of the half-life, 0 or more and less than 1, got {tolerance}.")
        torch.manual_seed(seed)
        loaded = load_target(target)
        with shown(wanted=not json):
            report = diagnose(*loaded, full=full, **options)
        change = None if earlier is None else compare(earlier, report, tolerance)
    except (KeyboardInterrupt, NotInstalled, WrongUse):
        raise
    except BaseException as error:
        raise WrongUse(_what_failed(error, target)) from error
    try:
        if out is not None:
            _save(report, out)
    except OSError as error:
        raise WrongUse(f"--out {out} cannot be written: {error}") from error
    if not json:
        _show(report, full)
        if change is not None:
            print_text(f"\n{change}\n")
    document = report.to_dict() | ({} if change is None else {"comparison": change.to_dict()})
    return int(not report.healthy or bool(report.unread) if change is None else change.fell), document


def _what_failed(error: BaseException, target: str) -> str:
    """What this package says, as it says it; of another's error where it came from, too."""
    *_, last = traceback.extract_tb(error.__traceback__)
    if isinstance(error, ValueError | RuntimeError | NotStored) and Path(last.filename).is_relative_to(OURS):
        return _in_options(str(error), target)
    return f"{target} failed while it was measured{failure(error)}"


def _in_options(said: str, target: str) -> str:
    """What is suggested in Python, as it is written on the command line."""
    names = lambda found: "--cells " + re.sub('[" ]', "", found[1])
    said = re.sub(r'cells=\[("[^\]]+")\]', names, said)
    return re.sub(
        r"\bdiagnose\(model, inputs, (--cells \S+)\)", lambda found: f"rnnvanish diagnose {target} {found[1]}", said
    )


def _save(report: Diagnosis, out: str) -> None:
    write_whole(f"{out}/report.txt", f"{to_text(report.contents(full=True))}\n")
    report.to_json(f"{out}/report.json")
    report.to_html(f"{out}/report.html")


def _show(report: Diagnosis, full: bool) -> None:
    """On a terminal in colour; into a file or a pipe as plain text, the same everywhere."""
    if not sys.stdout.isatty():
        print_text(f"{to_text(report.contents(full))}\n")
        return
    from rich.console import Console

    from rnnvanish.diagnosis.report.terminal import to_terminal

    console = Console()
    with console.capture() as captured:
        console.print(to_terminal(report.contents(full)))
    print_text(captured.get())
