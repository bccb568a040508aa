"""Sparse attentive backtracking, against a loop that keeps a list of all that it remembers."""

import pytest
import torch
from builds import BATCH, HIDDEN, INPUT, TORCH, sequences, train_a_little
from torch import nn

from rnnvanish import Recurrent, cells, probes
from rnnvanish.layers import state_parts
from rnnvanish.mitigations.sparse_attentive_backtracking import SparseAttentiveBacktracking, sparse_weights

STEPS = {"RNN": nn.RNNCell, "LSTM": nn.LSTMCell, "GRU": nn.GRUCell}


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def reminder(h, memories, match, top):
    """What one sequence is reminded of: a list of its memories, looked through one by one."""
    scores = [match @ torch.tanh(torch.cat([h, memory])) for memory in memories]
    if len(scores) > top:
        least = sorted(scores, key=lambda score: score.item(), reverse=True)[top]
        above = [score - least if score > least else 0 * score for score in scores]
        scores = [each / (sum(above) + 1e-7) for each in above]
    return sum((score * memory for score, memory in zip(scores, memories, strict=True)), torch.zeros_like(h))


@pytest.mark.parametrize("kind", TORCH)
def test_a_list_of_memories(kind):
    """Outputs, and the gradients of all weights, with every memory kept and with the oldest forgotten."""
    x, plain = sequences(17), TORCH[kind][1]()
    step = STEPS[kind](INPUT, HIDDEN).double()
    step.load_state_dict({name.removesuffix("_l0"): each for name, each in plain.state_dict().items()})
    for remembered in (9, 3):
        layer = SparseAttentiveBacktracking(window=4, top=2, every=2, remembered=remembered)(plain)
        match = layer.cells[0].match.weight
        nn.init.normal_(match)
        state, kept, outputs = (torch.zeros(BATCH, HIDDEN).double(),) * (2 if kind == "LSTM" else 1), [], []
        for t, now in enumerate(x):
            if t and t % 4 == 0:
                state = tuple(part.detach() for part in state)
            h, *rest = state_parts(step(now, state if len(state) > 1 else state[0]))
            memories = kept[-remembered:]
            h = torch.stack([h[b] + reminder(h[b], [each[b] for each in memories], match[0], 2) for b in range(BATCH)])
            state = (h, *rest)
            outputs.append(h)
            if t % 2 == 1:
                kept.append(h)
        found = layer(x)[0]
        torch.testing.assert_close(found, torch.stack(outputs), rtol=1e-9, atol=1e-12)
        cell = layer.cells[0].cell
        ours = [cell.from_x.weight, cell.from_x.bias, cell.from_h.weight, cell.from_h.bias, match]
        theirs = [step.weight_ih, step.bias_ih, step.weight_hh, step.bias_hh, match]
        expected = torch.autograd.grad(torch.stack(outputs).cos().sum(), theirs)
        torch.testing.assert_close(torch.autograd.grad(found.cos().sum(), ours), expected, rtol=1e-7, atol=1e-10)


def test_weights_of_a_step():
    scores = torch.tensor([[3.0, 1.0, 2.0, 5.0], [3.0, 1.0, 9.0, 9.0]])
    there = torch.tensor([[True] * 4, [True, True, False, False]])
    torch.testing.assert_close(
        sparse_weights(scores, there, 2), torch.tensor([[0.25, 0.0, 0.0, 0.75], [3.0, 1.0, 0.0, 0.0]])
    )
    torch.testing.assert_close(sparse_weights(scores, there, 4)[0], scores[0])


def test_the_gradient_goes_beyond_a_cut_by_reminders_alone():
    """The invariant, after some training: of the memories at most two count; what reaches back is theirs."""
    cure = SparseAttentiveBacktracking(window=3, top=2, every=1, remembered=12)
    layer, x = train_a_little(cure(nn.GRU(INPUT, HIDDEN)), steps=5).double(), sequences(13)
    counted = []
    hook = layer.cells[0].match.register_forward_hook(lambda _, read, scores: counted.append(scores.squeeze(-1)))
    layer(x)
    hook.remove()
    for t, scores in enumerate(counted):
        weights = sparse_weights(scores, torch.arange(12) < min(t, 12) * torch.ones(BATCH, 1), 2)
        assert (weights != 0).sum(-1).max() <= 2
    assert len(counted) == 13
    curves = []
    for _ in range(2):
        curves += probes.retention(layer, x, lambda returned: returned[0][-1].sum()).values()
        nn.init.zeros_(layer.cells[0].match.weight)  # now no memory is better than another, and none counts
    reminded, blind = curves
    assert reminded.gain[1:].gt(0).all()  # the last cut is just before the last step
    assert blind.gain[1:].eq(0).all()


def test_what_it_needs():
    with pytest.raises(ValueError, match="begins with a row of real numbers, got LRU"):
        SparseAttentiveBacktracking()(Recurrent(cells.LRU, INPUT, HIDDEN))
    with pytest.raises(ValueError, match="needs the plain loop, got engine='cpu'"):
        SparseAttentiveBacktracking()(Recurrent(cells.GRU, INPUT, HIDDEN, engine="cpu"))
    with pytest.raises(ValueError, match="its state would have 3 part"):
        SparseAttentiveBacktracking()(nn.Sequential(nn.GRUCell(INPUT, HIDDEN)))
    for name in ("window", "top", "every", "remembered"):
        with pytest.raises(ValueError, match=f"needs {name} >= 1, got 0"):
            SparseAttentiveBacktracking(**{name: 0})
