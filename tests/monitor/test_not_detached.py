"""A state that is handed from window to window with its history: said, since its gradient goes past what is measured."""

import pytest
import torch
from torch import nn

from rnnvanish import watch


class Words(nn.Module):
    def __init__(self, kind):
        super().__init__()
        self.embed, self.layer, self.head = nn.Embedding(5, 4), kind(4, 4), nn.Linear(4, 5)

    def forward(self, words, state):
        output, state = self.layer(self.embed(words), state)
        return self.head(output), state


def problems(kind, every, hand_on, windows=5):
    torch.manual_seed(0)
    model, state = Words(kind), None
    with watch(model, every=every, on_alert=str) as watching:
        for _ in range(windows):
            scores, state = model(torch.randint(5, (6, 2)), state)
            scores.square().sum().backward(retain_graph=True)
            state = hand_on(state)
    assert len(watching.history.steps) == -(-windows // every)
    return watching.problems


@pytest.mark.parametrize("every", [1, 2, 4])
@pytest.mark.parametrize("kind", [nn.GRU, nn.LSTM])
def test_a_state_that_is_not_detached_is_said_once(kind, every):
    (said,) = problems(kind, every, lambda state: state)
    assert said.startswith("Words is measured in part: it is given a state with its history")
    assert "Is a detach() missing" in said


@pytest.mark.parametrize("every", [1, 2])
def test_a_detached_one_is_not(every):
    assert problems(nn.GRU, every, torch.Tensor.detach) == []


def test_a_state_with_a_history_that_is_no_layers_own_is_not():
    """A first state that is learned, or that something else computes."""
    start = nn.Linear(3, 4)
    assert problems(nn.GRU, 1, lambda state: start(torch.ones(1, 2, 3))) == []


def test_windows_that_one_pass_goes_through_are_not():
    torch.manual_seed(0)
    model, state, total = Words(nn.GRU), None, 0
    with watch(model, every=1, on_alert=str) as watching:
        for _ in range(4):
            scores, state = model(torch.randint(5, (6, 2)), state)
            total = total + scores.square().sum()
        total.backward()
    assert watching.problems == []
    assert len(watching.history.of("layer/layer0/forward")[0].gain) == 24
