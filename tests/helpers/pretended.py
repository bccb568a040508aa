"""What a trial would leave, without training: for tests of what is done with it; and the command that does train."""

from rnnvanish.studies.store import SCHEMA, code_of


def pretend(trial):
    """What a trial would leave, without training."""
    return {
        "schema": SCHEMA,
        "trial": trial.configuration,
        "provenance": {"code": code_of(trial), "date": "2026-01-01", "commit": "0"},
        "result": {
            "solved": 10 * trial.lag, "diverged": None, "steps": 20, "loss": 0.5, "score": 0.9, "floor": 0.7, "parameters": 9,
            "before": {"half_life": float("inf"), "decades_lost": 1.0}, "after": None,
            "curve": {name: [1.0] for name in ("step", "train_loss", "loss", "score")},
        },
        "cost": {"seconds": 0.1, "peak_bytes": None},
    }  # fmt: skip


def more(study):
    """The command that trains what the stored results of a study lack, and stores them again."""
    return f".venv/bin/rnnvanish sweep {study} --begin_with {study} --export src/rnnvanish/records/studies/{study}.json"
