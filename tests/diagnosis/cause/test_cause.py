"""Causes: the parts add up to what retention measures by itself, and each is the one that was planted."""

import math

import pytest
import torch
from torch import nn

from rnnvanish import Recurrent, cells, diagnose, mitigations
from rnnvanish.cell import Cell, Paper
from rnnvanish.diagnosis.cause.cause import causes
from rnnvanish.probes import retention

MODELS = {
    "tanh": lambda: nn.RNN(2, 5),
    "relu": lambda: nn.RNN(2, 5, nonlinearity="relu", num_layers=2),
    "sigmoid": lambda: Recurrent(cells.Elman, 2, 5, nonlinearity="sigmoid"),
    "LSTM": lambda: nn.LSTM(2, 5, num_layers=2, bidirectional=True),
    "projected LSTM": lambda: nn.LSTM(2, 5, proj_size=3),
    "GRU": lambda: nn.GRU(2, 5, bidirectional=True),
    "normalised": lambda: mitigations.LayerNormalisation()(nn.LSTM(2, 5)),
    "skipping": lambda: mitigations.SkipThroughTime(3)(nn.GRU(2, 5)),
    "zoned out": lambda: mitigations.Zoneout()(nn.LSTM(2, 5)).eval(),
    "constrained": lambda: mitigations.OrthogonalConstraint()(nn.RNN(2, 5)),
}


@pytest.mark.parametrize("name", MODELS)
def test_the_parts_of_each_step_add_up_to_what_retention_measures(name):
    """Retention knows nothing of cells: it is the derivative of the loss with respect to each state."""
    torch.manual_seed(1)
    model, x = MODELS[name]().double(), torch.randn(12, 3, 2).double()
    found, curves = causes(model, x), retention(model, x)
    assert found.keys() == curves.keys()
    for loop, cause in found.items():
        also = {"normalisation"} if name == "normalised" else set()
        assert set(cause.parts) == {"weights", "slopes", "gates", "ways", "around", "loss"} | also
        whole = torch.stack(list(cause.parts.values())).sum(0)
        torch.testing.assert_close(whole, cause.gain, rtol=0, atol=1e-13)
        torch.testing.assert_close(cause.gain, curves[loop].gain.log().diff(), rtol=0, atol=1e-11)


class Pooled(nn.Module):
    def __init__(self):
        super().__init__()
        self.gru = Recurrent(cells.GRU, 2, 5)

    def forward(self, x, lengths):
        return self.gru(x, None, lengths)[0].sum(0)


def test_they_add_up_where_the_model_reads_every_step_and_sequences_end_early():
    torch.manual_seed(0)
    layer, inputs, loss = Pooled().double(), (torch.randn(9, 1, 2).double(), torch.tensor([7])), None

    (cause,), (curve,) = causes(layer, inputs, loss).values(), retention(layer, inputs, loss).values()
    torch.testing.assert_close(cause.gain[:6], curve.gain[:7].log().diff(), rtol=0, atol=1e-11)
    assert cause.parts["loss"].abs().min() > 0.01
    assert "More comes in on the way, past the step; with it, " in cause.words


def zero(module):
    with torch.no_grad():
        for weight in module.parameters():
            weight.zero_()
    return module.double()


def test_a_scalar_network_by_hand():
    """h ← tanh(w h + b) at its fixed point: weights ln w, slopes ln(1 − h²)."""
    w, b, h = 0.9, 1.5, 0.0
    for _ in range(300):
        h = math.tanh(w * h + b)
    module = zero(nn.RNN(1, 1))
    with torch.no_grad():
        module.weight_hh_l0.fill_(w)
        module.bias_hh_l0.fill_(b)
    (cause,) = causes(module, (torch.zeros(12, 1, 1).double(), torch.full((1, 1, 1), h).double())).values()
    expected = {"weights": math.log(w), "slopes": math.log(1 - h * h), "gates": 0, "ways": 0, "around": 0, "loss": 0}
    assert cause.means == pytest.approx(expected, abs=1e-9)
    factors = {each.part: each.factor for each in cause.factors}
    assert (factors["weights"], factors["slopes"]) == pytest.approx((w, 1 - h * h), abs=1e-9)
    assert math.prod(factors.values()) == pytest.approx(w * (1 - h * h), abs=1e-9)
    assert cause.main == "slopes"


@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_gates_alone_by_hand(kind):
    """Without recurrent weights all that is left is the gate: ln f, and for GRU ln z."""
    module = zero(getattr(nn, kind)(1, 6))
    with torch.no_grad():
        module.bias_ih_l0[6:12] = 0.7
        module.bias_ih_l0[12:18] = 0.3
    (cause,) = causes(module, torch.zeros(20, 2, 1).double()).values()
    kept = 1 / (1 + math.exp(-0.7))
    assert cause.kept == pytest.approx(kept, rel=1e-12)
    torch.testing.assert_close(cause.parts["gates"][1:], torch.full((18,), math.log(kept)).double())
    for name in ("weights", "slopes", "ways", "around", "loss"):
        torch.testing.assert_close(cause.parts[name][1:], torch.zeros(18).double())
    assert cause.main == "gates"


def test_an_orthogonal_matrix_is_its_gain_in_every_step():
    torch.manual_seed(0)
    module = mitigations.OrthogonalStart(1.2)(nn.RNN(2, 8).double())
    (cause,) = causes(module, torch.randn(30, 3, 2).double()).values()
    torch.testing.assert_close(cause.parts["weights"], torch.full((29,), math.log(1.2)).double())
    assert (cause.parts["slopes"] < 0).all()


def test_an_lstm_whose_memory_comes_back_by_h_alone():
    """The forget gates are shut: what is left came through the recurrent weights, and the account says so."""
    torch.manual_seed(0)
    module = nn.LSTM(1, 8).double()
    with torch.no_grad():
        module.bias_ih_l0[8:16] = -40.0
        module.weight_hh_l0.mul_(0.1)
    (cause,) = causes(module, torch.randn(15, 2, 1).double()).values()
    assert cause.kept < 1e-12
    assert cause.main == "weights"
    assert cause.means["gates"] > cause.means["weights"]


@pytest.mark.parametrize("bias", [-30.0, -50.0, -120.0, -1000.0])
def test_one_unit_that_forgets_does_not_make_the_others_forget(bias):
    torch.manual_seed(0)
    module, x = nn.GRU(4, 32), torch.randn(40, 8, 4)
    (usual,) = causes(module, x).values()
    with torch.no_grad():
        module.bias_hh_l0[32] = bias
    (cause,) = causes(module, x).values()
    assert cause.kept == pytest.approx(usual.kept * 31 / 32, rel=0.02)
    assert f"keep {cause.kept:.2g} of the state" in cause.words
    with torch.no_grad():
        module.bias_hh_l0[32:64] = bias  # all of them
    (cause,) = causes(module, x).values()
    assert cause.kept < 1e-10
    assert "would lose everything at once" in cause.words


class Leak(Cell):
    """One learnt number keeps the state."""

    paper = Paper("nobody", 2000, "Leak", "https://example.org")

    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.rate = nn.Parameter(torch.tensor(0.8))

    def forward(self, x, state):
        return (self.rate * state[0] + x.sum(-1, keepdim=True),)


def test_learnt_factors_are_weights_and_no_matrix():
    (cause,) = causes(Recurrent(Leak, 2, 4).double(), torch.randn(9, 2, 2).double()).values()
    expected = dict.fromkeys(("slopes", "gates", "ways", "around", "loss"), 0.0) | {"weights": math.log(0.8)}
    assert cause.means == pytest.approx(expected, abs=1e-7)  # 0.8 as float32 has it
    assert cause.carried == pytest.approx({"h": 0.8})
    assert cause.words == (
        "A step keeps 0.8 of h. A step back multiplies the gradient by 0.8. Mainly learnt factors are the cause."
    )


def test_what_is_around_a_cell_has_its_part():
    """Zoneout in evaluation keeps p of the old state; the cell inside keeps nothing."""
    layer = mitigations.Zoneout(output=0.25, memory=0.0)(zero(nn.RNN(1, 3))).eval()
    (cause,) = causes(layer, torch.zeros(8, 2, 1).double()).values()
    assert cause.gain.tolist() == pytest.approx([math.log(0.25)] * 7, abs=1e-12)
    assert cause.around == "ZonedOut"


def test_a_step_that_cannot_be_repeated_says_so():
    layer = mitigations.Zoneout()(nn.LSTM(1, 8)).train()
    (cause,) = causes(layer, torch.randn(8, 2, 1)).values()
    assert cause.words.startswith("Recurrent/layer0/forward: taken again from the same state, a step gives another h.")
    assert cause.words.endswith("Measure it with model.eval().")
    assert len(cause.gain) == 0


def test_what_single_precision_cannot_hold_is_followed_in_double():
    torch.manual_seed(0)
    for layer in (nn.RNN(1, 4), Recurrent(cells.Elman, 1, 4)):
        with torch.no_grad():
            layer.get_parameter(next(name for name, w in layer.named_parameters() if w.shape == (4, 4))).mul_(0.05)
        (cause,) = causes(layer, torch.randn(60, 2, 1)).values()
        assert not cause.gain.isnan().any()
        assert cause.rate < -2


def test_a_gate_does_not_forget_what_was_before_a_sequence_began_anew():
    class Resetting(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = Recurrent(cells.GRU, 3, 4)

        def forward(self, x, resets):
            return self.layer(x, resets=resets)[0]

    model, resets = Resetting(), torch.zeros(20, 2)
    resets[12, 0] = resets[7, 1] = resets[15, 1] = 1
    for weight in model.parameters():
        nn.init.zeros_(weight)
    mitigations.OpenGate(bias=2.0)(model)
    (cause,) = causes(model, (torch.randn(20, 2, 3), resets)).values()
    assert cause.kept == pytest.approx(float(torch.tensor(2.0).sigmoid()))
    assert cause.carried == {"h": pytest.approx(cause.kept)}


def test_what_ends_a_gradient_is_its_cause():
    """Rectifiers that stand still for a step let nothing through, whatever the weights do."""
    torch.manual_seed(0)
    layer = mitigations.He()(Recurrent(cells.Elman, 3, 8, nonlinearity="relu"))
    (cause,) = causes(layer, torch.randn(30, 4, 3)).values()
    assert cause.means["slopes"] == -math.inf
    assert cause.main == "slopes"
    assert cause.words.endswith("Mainly the slopes of the activation are the cause.")


@pytest.mark.parametrize(("weight", "verdict"), [(0.5, "vanishing"), (1.5, "exploding")])
def test_no_cause_contradicts_its_verdict(weight, verdict):
    """What shrinks a gradient is the cause of one that vanishes, of no other."""
    layer = nn.RNN(1, 2, nonlinearity="relu").double()
    with torch.no_grad():
        layer.weight_hh_l0.copy_(weight * torch.eye(2))
        layer.bias_ih_l0.fill_(1.0)
    (cause,) = causes(layer, torch.zeros(12, 1, 1).double()).values()
    said = {each: cause.explain(each) for each in ("vanishing", "healthy", "exploding")}
    assert [each for each in said if "the cause" in said[each]] == [verdict]
    assert said[verdict].endswith("Mainly the recurrent weights are the cause.")
    assert said["healthy"].startswith(f"A step back multiplies the gradient by {weight:.2g}")


def test_what_has_no_cause_has_a_note_and_no_error_in_its_place():
    torch.manual_seed(0)
    layer = mitigations.Zoneout()(nn.LSTM(1, 4)).train()
    (curve,) = diagnose(layer, torch.randn(20, 2, 1), quick=True).curves.values()
    assert curve.cause == ""
    assert curve.notes[-1].startswith(
        "Its cause is not known. Recurrent/layer0/forward: taken again from the same state"
    )


def test_of_a_step_under_autocast_the_cause_names_that():
    class Mixed(nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn, self.out = nn.GRU(2, 4), nn.Linear(4, 1)

        def forward(self, x):
            with torch.autocast("cpu", torch.bfloat16):
                return self.out(self.rnn(x)[0][-1])

    (curve,) = diagnose(Mixed(), torch.randn(30, 3, 2)).curves.values()
    assert any("torch.autocast" in note for note in curve.notes)
