"""What is planted in a scratch repository is found, by cell and commit: by numbers that no clock tells."""

import pytest

from bench.commands import planted_regressions


@pytest.mark.timeout(600)
def test_planted_faults_are_named_by_cell_and_commit_and_a_broken_commit_hides_none(tmp_path):
    scratch = planted_regressions.plant(tmp_path, ("heavy", "broken", "forgetful"))
    said = planted_regressions.judge(scratch, planted_regressions.EXACT)
    assert not planted_regressions.missed(scratch, said), said
    assert scratch.commits["sound"][:8] not in said
    blamed = [line.partition(" at ")[0] for line in said.splitlines() if line.startswith("WORSE")]
    assert {cell for line in blamed for cell in ("Elman", "GRU", "LSTM") if cell in line} == {"GRU", "LSTM"}
