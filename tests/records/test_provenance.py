"""Provenance: known inside of the repository, honest outside of it."""

from importlib.metadata import version

from rnnvanish.records import provenance


def test_every_part_is_known(monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "86400")
    found = provenance.provenance()
    assert found["date"] == "1970-01-02"
    assert set(found) == {"date", "rnnvanish", "commit", "processor", "threads", "torch", "python"}
    assert all(found.values())


def test_outside_of_a_repository_the_version_stands_alone(monkeypatch):
    monkeypatch.setattr(provenance, "this_commit", lambda: None)
    found = provenance.provenance()
    assert found["rnnvanish"] == version("rnnvanish")
    assert "commit" not in found
