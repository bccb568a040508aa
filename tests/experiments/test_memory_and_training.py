"""What training does to the half-life on its way, and what tells whether a network learns: against planted answers."""

import pytest

from rnnvanish.claim import Verdict
from rnnvanish.experiments import during_training, what_decides
from rnnvanish.experiments.initialisation import layer
from rnnvanish.experiments.workbench import curve, learn


def test_to_look_changes_nothing_and_sees_what_is_there(monkeypatch):
    monkeypatch.setattr(during_training, "LIMIT", 10)
    watched, _ = during_training.course.__wrapped__(3)
    untouched = learn(layer("default", 32), during_training.LAG, 3, limit=10, lr=0.01, stop=False).model
    network = untouched.get_submodule("layer")
    assert watched == [curve(layer("default", 32), 3).half_life, curve(lambda: network, 3).half_life]


@pytest.mark.parametrize(("lives", "verdict"), [([2.0, 2.5, 1.0], Verdict.HOLDS), ([2.0, 11.0, 1.0], Verdict.FAILS)])
def test_the_longest_on_the_way_counts(monkeypatch, lives, verdict):
    monkeypatch.setattr(during_training, "course", lambda seed, optimizer="adam": (lives, 40.0))
    assert during_training.lasts_as_at_the_start.measure(1).verdict == verdict


def planted(learns):
    """Networks of seven starts, three widths and four rates; a start has its own half-life, whatever the width."""
    return [
        {
            "mitigations": start, "hidden_size": width, "lr": lr, "half_life_before": 2.0**place,
            "solved": 20 if learns(place, width, lr) else None,
        }
        for place, start in enumerate(what_decides.STARTS)
        for width in (16, 64, 256)
        for lr in (0.1, 0.2, 0.3, 0.4)
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("learns", "by_width", "by_life"),
    [(lambda place, width, lr: place > 3, 0.5, 1.0), (lambda place, width, lr: width == 64 and lr > 0.1, 1.0, 0.75)],
)
def test_who_guesses_by_what_decides_is_right(learns, by_width, by_life):
    rows = planted(learns)
    assert what_decides.guessed(rows, rows, what_decides.by_half_life) == pytest.approx(by_life, abs=0.1)
    assert what_decides.guessed(rows, rows, what_decides.by_width_and_rate) == pytest.approx(by_width, abs=0.1)


def test_each_draw_is_guessed_from_the_other(monkeypatch):
    asked = []
    monkeypatch.setattr(
        what_decides, "trained", lambda draw, optimizer: asked.append(draw) or planted(lambda p, w, r: draw)
    )
    assert what_decides.advantage(0, "adam") == 0.0
    assert what_decides.guessed(*map(what_decides.trained, (0, 1), ("adam", "adam")), what_decides.by_half_life) == 0.0
    assert asked[:2] == [0, 1]


def test_all_networks_that_it_reads_are_in_the_study():
    for draw in (0, 1):
        for optimizer in ("adam", "sgd"):
            rows = what_decides.trained(draw, optimizer)
            assert len(rows) == len(what_decides.STARTS) * 3 * 4
            assert {row["seed"] for row in rows} == {draw}
