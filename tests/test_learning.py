"""The training loop of the experiments: an oracle learns at once, a guesser never, seeds decide, nothing leaks."""

import math

import torch
from torch import nn

from rnnvanish.experiments.learning import Reader, teach
from rnnvanish.tasks import Recall


class Oracle(nn.Module):
    """Reads the first input, which is the answer."""

    def __init__(self, knows=True):
        super().__init__()
        self.knows = knows
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, x):
        answer = self.scale * x[0 if self.knows else -1, :, 0]
        return torch.stack([-answer, answer], dim=-1)


def test_who_knows_has_learnt_at_the_first_chance_and_a_guesser_never():
    assert teach(Oracle, Recall(length=5), seed=0, limit=50).steps == 10
    guesser = teach(lambda: Oracle(knows=False), Recall(length=5), seed=0, limit=50)
    assert guesser.steps == math.inf
    assert not guesser.learnt
    assert len(guesser.losses) == 50
    assert 0.3 < sum(guesser.scores) / 50 < 0.7


def test_a_network_learns_and_the_seed_decides_how():
    def lesson(seed, **options):
        return teach(lambda: Reader(nn.RNN(1, 8), Recall(length=3)), Recall(length=3), seed, **options)

    first, again, other = lesson(0), lesson(0), lesson(1)
    assert first.learnt
    assert first.losses == again.losses != other.losses
    assert len(first.losses) == first.steps
    assert len(lesson(0, limit=200, stop=False).losses) == 200
    assert lesson(0, limit=200, stop=False).steps == first.steps


def test_the_random_numbers_of_the_caller_are_left_alone():
    state = torch.get_rng_state()
    teach(Oracle, Recall(length=5), seed=0, limit=3)
    assert torch.equal(torch.get_rng_state(), state)
