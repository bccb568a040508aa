"""trajectory against an explicit loop, whose every state is a tensor that autograd differentiates by."""

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence

from rnnvanish import Recurrent, cells
from rnnvanish.probes import trajectory

TIME, BATCH, WIDTH = 7, 3, 4


def cell_of(layer, index, suffix):
    """torch's step with the weights of one loop of torch's layer."""
    kinds = {nn.LSTM: nn.LSTMCell, nn.GRU: nn.GRUCell, nn.RNN: nn.RNNCell}
    ih, hh, *biases = (
        getattr(layer, f"{kind}_l{index}{suffix}") for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    )
    step = kinds[type(layer)](ih.shape[1], layer.hidden_size).double()
    for name, value in zip(("weight_ih", "weight_hh", "bias_ih", "bias_hh"), (ih, hh, *biases), strict=True):
        setattr(step, name, nn.Parameter(value.detach().double()))
    return step


def explicit_loop(step, x):
    """The states of a loop, each a copy that the next step and whoever reads it go back to."""
    parts = 2 if isinstance(step, nn.LSTMCell) else 1
    state, found = tuple(torch.zeros(x.shape[1], WIDTH).double() for _ in range(parts)), []
    for now in x:
        new = step(now, state if parts == 2 else state[0])
        state = tuple(part.clone() for part in (new if parts == 2 else (new,)))
        found.append(state)
    return found


def gradients(step, states, x, loss):
    """Total by autograd; direct is what is left when that which the next step passes back is taken away."""
    total = torch.autograd.grad(
        loss, [part for state in states for part in state], retain_graph=True, materialize_grads=True
    )
    count = len(states[0])
    totals = [torch.stack(total[place::count]) for place in range(count)]
    directs = [part.clone() for part in totals]
    for t in range(len(states) - 1):
        leaves = [part.detach().requires_grad_() for part in states[t]]
        after = step(x[t + 1].detach(), tuple(leaves) if count == 2 else leaves[0])
        sent = [part[t + 1] for part in totals]
        passed = torch.autograd.grad(after if count == 2 else [after], leaves, sent)
        for part, back in zip(directs, passed, strict=True):
            part[t] -= back
    return totals, directs


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU, nn.RNN])
def test_it_is_the_explicit_loop(kind):
    """Two layers, a loss that reads every step: of the lower layer what comes in comes from the upper one."""
    torch.manual_seed(0)
    layer, x = kind(2, WIDTH, 2), torch.randn(TIME, BATCH, 2)
    weight = torch.randn(TIME, BATCH, WIDTH)
    found = trajectory(layer, x, lambda output: (output[0].tanh() * weight).sum())
    below, above = cell_of(layer, 0, ""), cell_of(layer, 1, "")
    lower = explicit_loop(below, x.double())
    read = torch.stack([state[0] for state in lower])
    upper = explicit_loop(above, read)
    loss = (torch.stack([state[0] for state in upper]).tanh() * weight).sum()
    for index, (step, states, given) in enumerate([(below, lower, x.double()), (above, upper, read)]):
        ours = found[f"{kind.__name__}/layer{index}/forward"]
        totals, directs = gradients(step, states, given, loss)
        for place, name in enumerate(ours.names):
            torch.testing.assert_close(ours.states[name], torch.stack([state[place] for state in states]))
            torch.testing.assert_close(ours.total[name], totals[place])
            torch.testing.assert_close(ours.direct[name], directs[place])
            assert ours.initial[name].tolist() == torch.zeros(BATCH, WIDTH).tolist()
    assert ours.lengths.tolist() == [TIME] * BATCH


def test_gates_are_those_of_the_equations():
    torch.manual_seed(0)
    layer, x = nn.GRU(2, WIDTH), torch.randn(TIME, BATCH, 2)
    ours = trajectory(layer, x)["GRU/layer0/forward"]
    before = torch.cat([ours.initial["h"][None], ours.states["h"][:-1]])
    w_ih, w_hh, b_ih, b_hh = (part.double() for part in layer.all_weights[0])
    (i_r, i_z, i_n), (h_r, h_z, h_n) = (x.double() @ w_ih.T + b_ih).chunk(3, -1), (before @ w_hh.T + b_hh).chunk(3, -1)
    r, z = torch.sigmoid(i_r + h_r), torch.sigmoid(i_z + h_z)
    for name, value in {"r": r, "z": z, "n": torch.tanh(i_n + r * h_n)}.items():
        torch.testing.assert_close(ours.gates[name], value)


def test_sequences_stand_as_they_were_given_and_end_where_they_end():
    torch.manual_seed(0)
    layer, x, lengths = nn.LSTM(2, WIDTH, bidirectional=True), torch.randn(TIME, BATCH, 2), [4, 7, 5]
    found = trajectory(layer, pack_padded_sequence(x, torch.tensor(lengths), enforce_sorted=False))
    for name, ours in found.items():
        assert ours.lengths.tolist() == lengths
        for row, length in enumerate(lengths):
            alone = trajectory(layer, x[:length, row : row + 1])[name]
            torch.testing.assert_close(ours.total["c"][:length, row], alone.total["c"][:, 0])
            torch.testing.assert_close(ours.gates["f"][:length, row], alone.gates["f"][:, 0])
            assert not ours.total["h"][length:, row].any()
            assert ours.gates["f"][length:, row].isnan().all()
            assert (ours.states["h"][length:, row] == ours.states["h"][length - 1, row]).all()


def test_a_cell_of_ours_and_a_step_of_a_loop():
    torch.manual_seed(0)
    layer = Recurrent(cells.LSTM, 2, WIDTH)
    x = torch.randn(TIME, BATCH, 2)
    ours, theirs = trajectory(layer, x), trajectory(layer.to_torch(), x)
    for one, other in zip(ours.values(), theirs.values(), strict=True):
        torch.testing.assert_close(one.total["h"], other.total["h"], rtol=1e-5, atol=1e-12)

    class Loop(nn.Module):
        def __init__(self):
            super().__init__()
            self.cell = nn.GRUCell(2, WIDTH)

        def forward(self, x):
            h = torch.zeros(x.shape[1], WIDTH)
            for now in x:
                h = self.cell(now, h)
            return h

    found = trajectory(Loop(), x)["cell"]
    assert found.total["h"].shape == (TIME, BATCH, WIDTH)
    assert not found.direct["h"][:-1].any()
    assert (found.direct["h"][-1] == 1).all()
