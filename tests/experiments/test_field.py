"""Where the field stands: each computation against an independent one, each claim against a broken mechanism."""

import math

import pytest
import torch

from rnnvanish import cells
from rnnvanish.claim import ClaimBroken
from rnnvanish.experiments import gru, linear, newer_cells, transformers, truncation
from rnnvanish.experiments.small import seeded
from rnnvanish.experiments.workbench import curve
from rnnvanish.mitigations import OrthogonalStart, TruncatedBackpropagation
from rnnvanish.recurrent import Recurrent

FEW = 1  # seed


def broken(claim):
    with pytest.raises(ClaimBroken):
        claim.check(FEW)


# Transformers


def test_a_block_is_that_of_torch():
    with seeded(0):
        block, x = transformers.Block().double(), torch.randn(7, 2, transformers.WIDTH).double()
        theirs = torch.nn.TransformerEncoderLayer(
            transformers.WIDTH,
            transformers.HEADS,
            4 * transformers.WIDTH,
            0.0,
            torch.nn.functional.gelu,
            norm_first=True,
        ).double()
    theirs.self_attn.load_state_dict(block.attention.state_dict())
    for ours, other in zip(
        (*block.norms, block.feed[0], block.feed[2]), ("norm1", "norm2", "linear1", "linear2"), strict=True
    ):
        theirs.get_submodule(other).load_state_dict(ours.state_dict())
    later = torch.nn.Transformer.generate_square_subsequent_mask(7, dtype=torch.float64)
    torch.testing.assert_close(block(x), theirs(x, src_mask=later), rtol=0, atol=1e-12)


def test_a_block_without_shortcuts_forgets_what_it_reads():
    with seeded(0):
        block, x = transformers.Block(shortcuts=False), torch.randn(3, 1, transformers.WIDTH)
    block.attention.out_proj.weight.data.zero_()
    block.attention.out_proj.bias.data.zero_()
    assert torch.equal(block(x), block(2 * x + 1))


def test_the_gradient_is_that_of_finite_differences():
    gradient = transformers.gradient(3, recurrent=True)
    with seeded(3):
        torch.nn.Sequential(*(transformers.Block() for _ in range(4)))
        layer = torch.nn.RNN(transformers.WIDTH, transformers.WIDTH, num_layers=4).double()
        x = torch.randn(transformers.STEPS, transformers.BATCH, transformers.WIDTH).double()
        end = torch.nn.functional.normalize(torch.randn(transformers.BATCH, transformers.WIDTH).double(), dim=1)
    for lag in (0, 3):
        slopes = torch.empty(transformers.BATCH, transformers.WIDTH, dtype=torch.float64)
        for unit in range(transformers.WIDTH):
            nudged = x.clone()
            nudged[-1 - lag, :, unit] += 1e-6
            slopes[:, unit] = ((layer(nudged)[0][-1] - layer(x)[0][-1]) * end).sum(1) / 1e-6
        assert float(gradient[lag]) == pytest.approx(float(slopes.norm(dim=1).mean()), rel=1e-4)


def test_work_is_that_of_the_formulas():
    width = transformers.WIDTH  # a multiplication and an addition are two
    assert transformers.work(200) == 2 * (3 * width * width + 2 * 200 * width)
    assert transformers.work(200, recurrent=True) == 2 * 2 * 4 * width * width


def test_shortcuts_that_are_not_taken_away_are_noticed(monkeypatch):
    right = transformers.Block
    monkeypatch.setattr(transformers, "Block", lambda shortcuts=True: right())
    broken(transformers.free_of_vanishing)


def test_steps_that_do_not_look_back_are_noticed(monkeypatch):
    monkeypatch.setattr(transformers.Block, "forward", lambda block, x: x + block.feed(x))
    with pytest.raises((ClaimBroken, ZeroDivisionError)):
        transformers.no_vanishing_over_distance.check(FEW)


# Linear recurrences


@pytest.mark.parametrize("decay", [0.5, 0.9, 0.98])
def test_the_gradient_of_a_linear_unit_is_a_power_of_its_decay(decay):
    kept = curve(linear.layer(cells.LRU, hidden=4, r_min=decay, r_max=decay), 0)
    torch.testing.assert_close(kept.gain, decay ** kept.lag.double(), rtol=1e-4, atol=0)


@pytest.mark.parametrize("decay", [0.5, 0.9, 0.99])
def test_sensitivity_is_that_of_the_closed_form(decay):
    expected = math.sqrt(1 + decay**2) / (1 - decay**2)
    assert linear.sensitivity(0, decay) == pytest.approx(expected, rel=0.15)  # 256 draws
    inner = -decay * math.log(decay)  # by the chain rule, of exp(-exp(ν))
    assert linear.sensitivity(0, decay, safe=True) == pytest.approx(inner * linear.sensitivity(0, decay), rel=1e-9)


def test_rounds_of_two_steps_each():
    kept, read = torch.tensor([[0.5], [2.0], [3.0], [0.25]]), torch.tensor([[1.0], [1.0], [1.0], [1.0]])
    state, rounds = linear.by_rounds(kept, read)  # 1, 3, 10, 3.5
    assert (float(state), rounds) == (3.5, 2)
    torch.testing.assert_close(linear.by_steps(kept, read, linear.straight), state)


def test_a_matrix_between_the_units_is_noticed(monkeypatch):
    monkeypatch.setattr(linear, "diagonal", lambda name, start="": linear.layer(cells.Elman))
    broken(linear.kept_by_design)


# Newer cells


def test_forget_gates_of_an_exponential_cell_are_its_clock():
    for bias in (0.0, 3.0):
        half_life = curve(newer_cells.exponential(bias), 0).half_life
        assert half_life == pytest.approx(gru.time_constant(bias), rel=0.1)


def test_a_unitary_network_that_shrinks_is_noticed(monkeypatch):
    right = cells.URNN.forward
    monkeypatch.setattr(cells.URNN, "forward", lambda cell, x, state: tuple(0.98 * h for h in right(cell, x, state)))
    broken(newer_cells.unitary_keeps)


# Truncated training


def test_the_cut_gradient_is_that_of_detached_stretches():
    with seeded(4):
        layer = Recurrent(cells.Elman, 1, truncation.HIDDEN, engine="reference")
        OrthogonalStart()(layer)
        x, read = torch.randn(truncation.STEPS, 8, 1), torch.randn(truncation.HIDDEN)
    _, state = layer(x[: -truncation.WINDOW])
    (layer(x[-truncation.WINDOW :], state.detach())[0][-1] @ read - x[0, :, 0]).square().mean().backward()
    expected = torch.cat([each.grad.flatten() for each in layer.parameters()])
    cut = truncation.gradient(4, 8, OrthogonalStart(), TruncatedBackpropagation(truncation.WINDOW))
    torch.testing.assert_close(cut, expected, rtol=1e-4, atol=1e-6)
    assert truncation.error(4, 8, TruncatedBackpropagation(truncation.STEPS)) == 0


def test_an_error_that_averages_out_is_noticed(monkeypatch):
    monkeypatch.setattr(truncation, "error", lambda seed, batch, cure, orthogonal=True: 1 / math.sqrt(batch))
    broken(truncation.error_averages_out)
