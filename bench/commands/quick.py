"""Every benchmark once, in this one process: asv starts one for every table, and most of its time would be imports.

    .venv/bin/python -m bench.commands.quick

Short sequences, few rounds, nothing kept. Exit code 1 where a number fails, or is none that asv can compare.
"""

import argparse
import itertools
import math
import os
import pickle
import sys
from collections.abc import Iterator
from typing import Any

from asv_runner._aux import update_sys_path
from asv_runner.discovery import disc_benchmarks

from .. import ROOT
from ..pages.labels import IN_VERDICTS

Outcome = tuple[str, float | Exception | None]  # which number; its value, why it failed, or None where it is skipped


def take(benchmark: Any, tables: dict[str, Any]) -> Iterator[Outcome]:
    """Every number of a benchmark; a table that suites share is made once."""
    key, cells = benchmark.setup_cache_key, list(itertools.product(*benchmark.params)) if benchmark.params else [()]
    try:
        if key and key not in tables:
            tables[key] = pickle.loads(pickle.dumps(benchmark.do_setup_cache()))  # as asv hands it on
    except Exception as error:  # noqa: BLE001  # one that fails does not take the others with it
        yield "its table", error
        return
    if key:
        benchmark.set_cache(tables[key])
    for index, cell in enumerate(cells):
        if cell:
            benchmark.set_param_idx(index)
        yield ", ".join(map(str, cell)), number(benchmark)


def number(benchmark: Any) -> float | Exception | None:
    """One number. asv knows only "smaller is better", by ratio: so all of them are positive, but those never judged."""
    try:
        value = float(benchmark.do_run())
    except NotImplementedError:  # asv's word for a skip
        return None
    except Exception as error:  # noqa: BLE001
        return error
    least = -math.inf if benchmark.name == IN_VERDICTS else 0.0
    return value if least < value < math.inf else ValueError(f"a number above {least} was needed, got {value}")


def main() -> int:
    """The command line."""
    argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0]).parse_args()
    os.environ["RNNVANISH_BENCH_QUICK"] = "1"
    update_sys_path(str(ROOT / "bench"))
    tables: dict[str, Any] = {}
    failed = 0
    for benchmark in disc_benchmarks(str(ROOT / "bench")):
        found = list(take(benchmark, tables))
        values = [value for _, value in found if isinstance(value, float)]
        span = f"{min(values):.3g} to {max(values):.3g} {benchmark.unit}" if values else "skipped"
        print(f"{benchmark.name:45} {len(values):3} of {len(found):3} numbers: {span}", flush=True)
        for cell, error in found:
            if isinstance(error, Exception):
                failed += 1
                print(f"FAILED {benchmark.name}({cell}): {type(error).__name__}: {error}")
    print(f"{failed} numbers failed.")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
