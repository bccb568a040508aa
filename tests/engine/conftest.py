"""The log of the engine, as if it had said nothing before."""

import logging

import pytest

from rnnvanish.engine import run


@pytest.fixture
def log(caplog, monkeypatch):
    monkeypatch.setattr(run, "_logged", set())
    caplog.set_level(logging.WARNING, logger="rnnvanish.engine")
    return caplog
