"""What two cures do together: of pairs that are known, and one that is measured."""

import pytest

from rnnvanish.experiments import cure_pairs
from rnnvanish.experiments.cure_pairs import measure, names, verdict, verdicts
from rnnvanish.experiments.cures import kept
from rnnvanish.mitigations import Chrono, TruncatedBackpropagation


@pytest.mark.parametrize(
    ("first", "second", "both", "said"),
    [
        (100.0, 0.5, 1.0, "as the better one"),  # too much is as far off as too little
        (100.0, 0.1, 1.0, "better than either"),
        (100.0, 0.1, 0.03, "worse than the better one"),
        (0.1, 100.0, 1e4, "worse than either"),
        (0.0, 0.0, 0.0, "as the better one"),
        (0.0, 0.0, 0.5, "better than either"),
        (1.0, 0.0, 0.0, "worse than the better one"),
    ],
)
def test_what_counts_is_how_near_to_all_of_it(first, second, both, said):
    assert verdict(first, second, both) == said


def test_a_pair_is_measured_as_training_would_have_it():
    found = measure("LSTM", ["Chrono", "TruncatedBackpropagation"])
    assert found["alone"] == {
        "Chrono": kept("LSTM", Chrono(span=100)).arrives,
        "TruncatedBackpropagation": kept("LSTM", TruncatedBackpropagation()).arrives,
    }
    assert found["alone"]["Chrono"] > 0
    assert found["pairs"] == [["Chrono", "TruncatedBackpropagation", 0.0]]  # the cut cuts, whatever was drawn


def test_two_that_do_not_go_together_are_none():
    assert measure("tanh", ["Critical", "Chrono"][:1])["pairs"] == []
    assert cure_pairs._both("tanh", "Critical", "Chrono") is None


def test_all_pairs_are_stored():
    for network in cure_pairs.record()["networks"]:
        strongest = names(network)
        assert len(strongest) == cure_pairs.STRONGEST
        assert len(verdicts(network)) == len(strongest) * (len(strongest) - 1) / 2
