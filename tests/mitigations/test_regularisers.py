"""Penalties on weights, outputs and steps: each against its formula in loops, in closed form, and trained on alone."""

import itertools
import math

import pytest
import torch
from builds import BATCH, HIDDEN, INPUT, TIME, TORCH, sequences
from torch import nn

from rnnvanish import Recurrent, cells, probes
from rnnvanish.layers import state_parts
from rnnvanish.mitigations import jacobian_penalty
from rnnvanish.mitigations.activation_regularisation import ActivationRegularisation
from rnnvanish.mitigations.jacobian_penalty import JacobianPenalty
from rnnvanish.mitigations.norm_stabiliser import NormStabiliser
from rnnvanish.mitigations.soft_orthogonality import SoftOrthogonality
from rnnvanish.mitigations.temporal_activation_regularisation import TemporalActivationRegularisation

#: What each penalty says of the outputs of one sequence, (time, size), number by number, at its default weight.
FORMULAS = {
    ActivationRegularisation(): lambda h: 2 * sum(v * v for row in h for v in row) / (len(h) * len(h[0])),
    TemporalActivationRegularisation(): lambda h: (
        sum((b - a) ** 2 for old, new in itertools.pairwise(h) for a, b in zip(old, new, strict=True))
        / ((len(h) - 1) * len(h[0]))
    ),
    NormStabiliser(): lambda h: (
        50 * sum((math.hypot(*new) - math.hypot(*old)) ** 2 for old, new in itertools.pairwise(h)) / (len(h) - 1)
    ),
}


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def nothing(returned):
    raise AssertionError("the loss has no part in it")


def trained(cure, layer, x, steps=5):
    rule = torch.optim.Adam(layer.parameters(), lr=0.02)
    for _ in range(steps):
        rule.zero_grad()
        cure.penalty(layer, x, nothing).backward()
        rule.step()
    return layer


@pytest.mark.parametrize("kind", TORCH)
@pytest.mark.parametrize("cure", FORMULAS, ids=repr)
def test_outputs_number_by_number(cure, kind):
    """Of the last layer's two directions, or of every layer's, within each sequence's own length."""
    layer, x = TORCH[kind][1](num_layers=2, bidirectional=True), sequences()
    lengths = torch.tensor([2, 7, 1, 5])
    packed = nn.utils.rnn.pack_padded_sequence(x, lengths, enforce_sorted=False)
    below = TORCH[kind][1](bidirectional=True)
    below.load_state_dict({name: each for name, each in layer.state_dict().items() if "_l0" in name})
    expected = 0.0
    for stack in (below, layer) if isinstance(cure, NormStabiliser) else (layer,):
        for i, length in enumerate(lengths):
            forward, reverse = stack(x[:length, i])[0].split(HIDDEN, dim=-1)
            for outputs in (forward, reverse.flip(0)):
                if length > 1 or isinstance(cure, ActivationRegularisation):
                    expected += FORMULAS[cure](outputs.tolist()) / len(lengths)
    assert cure.penalty(layer, packed, nothing).item() == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("cure", FORMULAS, ids=repr)
def test_outputs_in_a_loop_of_the_users_own_and_of_a_cell_with_an_output_of_its_own(cure):
    class Loop(nn.Module):
        def __init__(self):
            super().__init__()
            self.cell = nn.LSTMCell(INPUT, HIDDEN).double()

        def forward(self, x):
            state = None
            for now in x:
                state = self.cell(now, state)
            return state[0]

    loop, x = Loop(), sequences()
    layer = TORCH["LSTM"][1]()
    layer.load_state_dict({f"{name}_l0": each for name, each in loop.cell.state_dict().items()})
    torch.testing.assert_close(cure.penalty(loop, x, nothing), cure.penalty(layer, x, nothing))
    other = Recurrent(cells.LRU, INPUT, HIDDEN).double()
    expected = sum(FORMULAS[cure](other(x[:, i])[0].tolist()) for i in range(BATCH)) / BATCH
    assert cure.penalty(other, x, nothing).item() == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("cure", FORMULAS, ids=repr)
def test_where_a_sequence_begins_anew_nothing_changes(cure):
    layer, x = Recurrent(cells.GRU, INPUT, HIDDEN).double(), torch.randn(2 * TIME, 1, INPUT).double()
    resets = torch.zeros(2 * TIME, 1)
    resets[TIME] = 1

    class Resetting(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = layer

        def forward(self, x, resets):
            return self.layer(x, resets=resets)

    one = cure.penalty(Resetting(), (x, resets), nothing)
    beside = cure.penalty(layer, torch.cat(x.split(TIME), dim=1), nothing)
    torch.testing.assert_close(one, beside, rtol=1e-10, atol=0)


@pytest.mark.parametrize("cure", FORMULAS, ids=repr)
def test_outputs_trained_on_the_penalty_alone(cure):
    layer, x = nn.LSTM(INPUT, HIDDEN), torch.randn(20, 8, INPUT)
    before = cure.penalty(layer, x, nothing)
    assert cure.penalty(trained(cure, layer, x), x, nothing) < 0.9 * before


@pytest.mark.parametrize("cure", FORMULAS, ids=repr)
def test_one_step_costs_nothing_but_its_size(cure):
    cost = cure.penalty(nn.GRU(INPUT, HIDDEN), torch.randn(1, BATCH, INPUT), nothing)
    assert (cost > 0) == (isinstance(cure, ActivationRegularisation))


@pytest.mark.parametrize("kind", TORCH)
def test_soft_orthogonality_is_what_singular_values_miss_of_one(kind):
    """‖Uᵀ U − I‖² is the sum of (σ² − 1)² over each gate's own singular values, also of a wide matrix."""
    layer = TORCH[kind][1](num_layers=2)
    gates = [gate for name in ("weight_hh_l0", "weight_hh_l1") for gate in getattr(layer, name).split(HIDDEN)]
    expected = sum((torch.linalg.svdvals(gate).square() - 1).square().sum() for gate in gates)
    for model, inputs in ((layer, None), (Recurrent.from_torch(layer), None), (nn.Sequential(layer), sequences())):
        torch.testing.assert_close(SoftOrthogonality(0.3).penalty(model, inputs, nothing), 0.3 * expected)
    projected = nn.LSTM(INPUT, HIDDEN, proj_size=2).double()
    wide = sum(
        (torch.linalg.svdvals(gate).square() - 1).square().sum() for gate in projected.weight_hh_l0.split(HIDDEN)
    )
    cost = SoftOrthogonality().penalty(projected, None, nothing)
    assert cost >= wide - 1e-9
    with pytest.raises(ValueError, match="state goes through a linear layer, which Linear has not"):
        SoftOrthogonality().penalty(nn.Linear(2, 2), None, nothing)


@pytest.mark.parametrize("kind", TORCH)
def test_soft_orthogonality_brings_singular_values_to_one(kind):
    layer = TORCH[kind][1]()
    before = torch.cat([torch.linalg.svdvals(gate) for gate in layer.weight_hh_l0.split(HIDDEN)])
    trained(SoftOrthogonality(), layer, None, steps=10)
    after = torch.cat([torch.linalg.svdvals(gate) for gate in layer.weight_hh_l0.split(HIDDEN)])
    assert (after - 1).abs().mean() < 0.8 * (before - 1).abs().mean()


@pytest.mark.parametrize("kind", TORCH)
def test_jacobian_penalty_over_a_whole_basis_is_the_norm(kind, monkeypatch):
    """The mean over n orthogonal directions is exact: half the square of torch's own Jacobian of each step."""
    layer, x = TORCH[kind][1](), sequences()
    cell = {"RNN": nn.RNNCell, "LSTM": nn.LSTMCell, "GRU": nn.GRUCell}[kind](INPUT, HIDDEN).double()
    cell.load_state_dict({name.removesuffix("_l0"): each for name, each in layer.state_dict().items()})
    size = HIDDEN * (2 if kind == "LSTM" else 1)

    def step(row, now):
        parts = row.split(HIDDEN)
        after = cell(now, tuple(parts) if len(parts) > 1 else parts[0])
        return torch.cat(state_parts(after))

    expected = 0.0
    for i in range(BATCH):
        state = torch.zeros(size).double()
        for t, now in enumerate(x[:, i]):
            if t > 0:
                expected += (
                    torch.autograd.functional.jacobian(lambda row, now=now: step(row, now), state).square().sum()
                )
            state = step(state, now)
    found = []
    for direction in torch.eye(size).double():
        monkeypatch.setattr(jacobian_penalty.torch, "randn_like", lambda like, d=direction: 3 * d.expand_as(like))
        found.append(JacobianPenalty(weight=1.0).penalty(layer, x, nothing))
    torch.testing.assert_close(torch.stack(found).mean(), 0.5 * expected / (BATCH * (TIME - 1)))


def test_jacobian_penalty_draws_by_torchs_generator():
    layer, x = nn.GRU(INPUT, HIDDEN), torch.randn(TIME, BATCH, INPUT)
    drawn = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        drawn.append(JacobianPenalty().penalty(layer, x, nothing).item())
    assert drawn[0] == drawn[1] != drawn[2]


def test_jacobian_penalty_makes_a_step_contract():
    layer, x = nn.RNN(INPUT, HIDDEN), torch.randn(20, 8, INPUT)
    before = probes.jacobian(layer, x, 1).norm()
    after = probes.jacobian(trained(JacobianPenalty(1.0), layer, x), x, 1).norm()
    assert after < 0.95 * before
