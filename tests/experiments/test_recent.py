"""Section 11, the two witnesses: the judge, the digits and the shares, each against something computed in another way."""

import math

import pytest
import torch
from broken_claims import broken
from torch import nn

from rnnvanish.experiments import recent


class Believes(nn.Module):
    """Repeats what one input says."""

    def __init__(self, witness):
        super().__init__()
        self.witness = witness

    def forward(self, x):
        says = x[self.witness, :, 0]
        return torch.stack([-says, says], dim=-1)


def test_witnesses_are_as_reliable_as_they_are_said_to_be():
    task = recent.Witnesses()
    batch = task.sample(4000, torch.Generator().manual_seed(0))
    assert task.score(Believes(0)(batch.inputs), batch) == 1
    assert task.score(Believes(-1)(batch.inputs), batch) == pytest.approx(recent.HONEST, abs=0.03)
    assert task.score(Believes(7)(batch.inputs), batch) == pytest.approx(0.5, abs=0.03)


def test_who_believes_one_witness_is_swayed_by_that_one_alone():
    batch = recent.tested(recent.Witnesses())
    assert [recent.swayed(Believes(0), batch, witness) for witness in (0, 5, -1)] == [1, 0, 0]
    influence = recent.influence(Believes(3), batch)
    assert float(influence[3]) == pytest.approx(1)
    assert float(influence.sum()) == pytest.approx(1)


def test_votes_are_counted():
    batch = recent.Votes().sample(100, torch.Generator().manual_seed(0))
    assert batch.targets.tolist() == [int(sum(votes) > 0) for votes in batch.inputs[:, :, 0].T.tolist()]


def test_what_is_missed_is_what_was_used():
    task = recent.Witnesses()
    batch = recent.tested(task)
    assert recent.missed(Believes(0), task, batch, slice(0, 1)) == pytest.approx(0.5, abs=0.1)
    assert recent.missed(Believes(0), task, batch, slice(1, None)) == 0


def test_believing_the_other_witness_is_noticed(monkeypatch):
    monkeypatch.setattr(recent, "taught", lambda task, seed, start="default": Believes(0 if start == "default" else -1))
    broken(recent.every_start_believes_the_last)
    monkeypatch.setattr(recent, "taught", lambda task, seed: Believes(-1))
    broken(recent.recent_always_counts_most)


def test_whom_a_network_believes_is_whose_word_turns_its_answer():
    batch = recent.tested(recent.Witnesses())
    assert [recent.believed(Believes(place), batch) for place in (0, -1, 5)] == ["first", "last", ""]


def test_of_those_that_believe_somebody_the_share_is_taken():
    assert recent.share(["last", "", "first", "last"]) == pytest.approx(2 / 3)
    assert math.isnan(recent.share(["", ""]))


def test_a_network_that_always_or_never_believes_the_last_is_noticed(monkeypatch):
    for soonest, finally_ in (("first", "first"), ("first", "last")):
        trust = (recent.Trust(16, "Adam", 0.01, soonest, finally_),)
        monkeypatch.setattr(recent, "trusted", lambda seed, start: trust)  # noqa: B023
        broken(recent.the_last_word_wins)
        broken(recent.the_last_is_believed_first)


def test_each_width_optimiser_and_rate_is_trained_once_and_looked_at(monkeypatch):
    asked = []

    def teach(build, task, seed, limit, lr, optimizer, stop, watch):
        asked.append((build().layer.hidden_size, optimizer.__name__, lr))
        for step in range(1, limit + 1):
            watch(step, Believes(-1 if step < 100 else 0))

    monkeypatch.setattr(recent, "teach", teach)
    trust = recent.trusted.__wrapped__(0)
    assert len(set(asked)) == len(trust) == 24
    assert {(each.soonest, each.finally_) for each in trust} == {("last", "first")}


def test_a_reader_of_digits_that_uses_both_halves_alike_is_noticed(monkeypatch):
    right = recent.missed
    monkeypatch.setattr(recent, "taught", lambda task, seed, start="default": Centres(task))
    upper, lower = recent.halves(0)
    assert 0.3 < upper / lower < 3  # both halves of a digit tell which it is
    monkeypatch.setattr(recent, "missed", lambda *given: abs(right(*given[:3], slice(None))))
    broken(recent.real_digits_too)


class Centres(nn.Module):
    """The nearest of the mean images: no training, and no order of pixels."""

    def __init__(self, task):
        super().__init__()
        seen = task.sample(1400, torch.Generator().manual_seed(0))
        images = seen.inputs[:, :, 0].T
        self.means = torch.stack([images[seen.targets == digit].mean(0) for digit in range(10)])

    def forward(self, x):
        return -torch.cdist(x[:, :, 0].T, self.means)
