"""`rnnvanish diagnose`: find the target, measure, show, compare."""

import json as json_format
import sys
from typing import Any

import torch

from rnnvanish.diagnosis.comparison import compare
from rnnvanish.diagnosis.diagnosis import Diagnosis, diagnose
from rnnvanish.diagnosis.document import read
from rnnvanish.diagnosis.target import load_target
from rnnvanish.diagnosis.text import to_text
from rnnvanish.files import write_whole
from rnnvanish.ledger import NotStored
from rnnvanish.names import WrongUse


def run(
    target: str,
    seed: int,
    against: str | None,
    tolerance: float,
    full: bool,
    out: str | None,
    json: bool,
    **options: Any,
) -> int:
    """Do what the command line says; returns the exit code."""
    try:
        earlier = None if against is None else read(against)  # before the measurement, which may take long
        if not 0 <= tolerance < 1:
            raise WrongUse(f"--tolerance needs a share of the half-life, 0 or more and less than 1, got {tolerance}.")
        torch.manual_seed(seed)
        report = diagnose(*load_target(target), full=full, **options)
        change = None if earlier is None else compare(earlier, report, tolerance)
        if out is not None:
            _save(report, out)
    except (ValueError, RuntimeError, NotStored) as error:
        raise WrongUse(str(error)) from error
    except OSError as error:
        raise WrongUse(f"--out {out} cannot be written: {error}") from error
    if json:
        document: dict[str, Any] = report.to_dict()
        print(json_format.dumps(document if change is None else document | {"comparison": change.to_dict()}))
    else:
        _show(report, full)
        if change is not None:
            print(f"\n{change}")
    return int(not report.healthy if change is None else change.fell)


def _save(report: Diagnosis, out: str) -> None:
    write_whole(f"{out}/report.txt", f"{to_text(report, full=True)}\n")
    report.to_json(f"{out}/report.json")
    report.to_html(f"{out}/report.html")


def _show(report: Diagnosis, full: bool) -> None:
    """On a terminal in colour; into a file or a pipe as plain text, the same everywhere."""
    if not sys.stdout.isatty():
        print(to_text(report, full))
        return
    from rich.console import Console

    from rnnvanish.diagnosis.terminal import to_terminal

    Console().print(to_terminal(report, full))
