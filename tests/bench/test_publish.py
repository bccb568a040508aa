"""asv's own dashboard of the recorded results."""

import json

import pytest

from bench import ROOT
from bench.commands import publish
from bench.stored import results


@pytest.mark.skipif(not results.has_history(ROOT), reason="a copy without history has no commits")
def test_it_is_asvs_own_page_and_it_is_said_that_it_needs_the_net(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(publish.sys, "argv", ["publish", str(tmp_path / "html")])
    assert publish.main() == 0
    assert "loads its scripts from the net" in capsys.readouterr().out
    assert 'src="https://' in (tmp_path / "html/index.html").read_text(encoding="utf-8")
    index = json.loads((tmp_path / "html/index.json").read_text(encoding="utf-8"))
    assert set(index["benchmarks"]) >= {"memory.Saved.track_saved", "speed.TrainingStep.track_vs_torch"}


def test_a_copy_without_history_is_refused(tmp_path, monkeypatch):
    assert not results.has_history(tmp_path)
    monkeypatch.setattr(publish, "ROOT", tmp_path)
    monkeypatch.setattr(publish.sys, "argv", ["publish"])
    with pytest.raises(SystemExit, match="not a shallow clone"):
        publish.main()
