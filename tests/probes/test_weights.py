"""Recurrent weights: matrices whose numbers are known."""

import math

import pytest
import torch
from torch import nn

from rnnvanish import Recurrent, cells, mitigations
from rnnvanish.probes.weights import weights


def of(matrix):
    module = nn.RNN(1, len(matrix)).double()
    with torch.no_grad():
        module.weight_hh_l0.copy_(torch.tensor(matrix))
    return weights(module)["RNN/layer0/forward"]["h"]


@pytest.mark.parametrize(
    ("matrix", "radius", "norm", "non_normality", "from_orthogonal"),
    [
        ([[0.5, 0.0], [0.0, -2.0]], 2, 2, 0, math.sqrt((0.25 + 1) / 2)),
        ([[0.0, 1.0], [0.0, 0.0]], 0, 1, 1, math.sqrt(0.5)),
        ([[0.5, 3.0], [0.0, 0.5]], 0.5, (3 + math.sqrt(10)) / 2, 3 / math.sqrt(9.5), None),
        ([[0.0, -1.0], [1.0, 0.0]], 1, 1, 0, 0),
        ([[0.0, 0.0], [0.0, 0.0]], 0, 0, 0, 1),
    ],
    ids=["diagonal", "nilpotent", "Jordan", "rotation", "zero"],
)
def test_by_hand(matrix, radius, norm, non_normality, from_orthogonal):
    found = of(matrix)
    assert (found.radius, found.norm, found.non_normality) == pytest.approx((radius, norm, non_normality), abs=1e-8)
    if from_orthogonal is not None:
        assert found.from_orthogonal == pytest.approx(from_orthogonal, abs=1e-12)


def test_each_gate_layer_and_direction_has_its_own():
    torch.manual_seed(0)
    module = nn.LSTM(2, 4, num_layers=2, bidirectional=True).double()
    with torch.no_grad():
        for number in range(4):
            nn.init.orthogonal_(module.weight_hh_l1_reverse[4 * number : 4 * number + 4], gain=number + 1)
    found = weights(module)
    assert list(found) == [f"LSTM/layer{layer}/{way}" for layer in (0, 1) for way in ("forward", "reverse")]
    assert [found["LSTM/layer1/reverse"][name].norm for name in "ifgo"] == pytest.approx([1, 2, 3, 4])
    gru = Recurrent.from_torch(mitigations.OrthogonalStart(0.7)(nn.GRU(2, 4)))
    assert {name: round(m.from_orthogonal, 5) for name, m in weights(gru)["Recurrent/layer0/forward"].items()} == (
        {"r": 0.3, "z": 0.3, "n": 0.3}
    )


def test_wrapped_constrained_and_projected_ones():
    layer = mitigations.Zoneout()(mitigations.OrthogonalConstraint()(nn.RNN(2, 4).double()))
    assert weights(layer)["Recurrent/layer0/forward"]["h"].from_orthogonal < 1e-12
    torch.manual_seed(0)
    module = nn.LSTM(2, 6, proj_size=3).double()
    by_hand = torch.linalg.matrix_norm(module.weight_hh_l0[6:12] @ module.weight_hr_l0, 2).item()
    assert weights(module)["LSTM/layer0/forward"]["f"].norm == pytest.approx(by_hand)
    assert weights(nn.Sequential(nn.LSTMCell(2, 3)))["0"].keys() == set("ifgo")
    assert weights(Recurrent(cells.Elman, 2, 4)).keys() == {"Recurrent/layer0/forward"}


def test_layers_that_make_the_same_unit_are_told_apart():
    layer = Recurrent(cells.CoRNN, 2, 3)
    nn.init.eye_(layer.cells[0].from_y.weight)
    nn.init.zeros_(layer.cells[0].from_z.weight)
    (found,) = weights(layer).values()
    assert {name: matrix.radius for name, matrix in found.items()} == {"n (from_y)": 1.0, "n (from_z)": 0.0}


def test_what_leads_from_one_part_of_the_state_to_another_is_no_recurrent_matrix():
    assert weights(Recurrent(cells.ProjectedLSTM, 2, 4, proj_size=2)) == {"Recurrent/layer0/forward": {}}
