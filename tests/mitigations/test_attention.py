"""Attention over past states: against a double loop, against torch's own, and what it must not see."""

import math

import pytest
import torch
from torch import nn
from torch.nn.functional import scaled_dot_product_attention

from rnnvanish import probes
from rnnvanish.mitigations.attention_over_past import Attention, AttentionOverPast

TIME, BATCH, SIZE = 6, 3, 4
LENGTHS = torch.tensor([4, 6, 1])
SCORES = ("additive", "dot")


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def states():
    return torch.randn(TIME, BATCH, SIZE, dtype=torch.float64)


@pytest.mark.parametrize("score", SCORES)
def test_one_query_at_a_time(score):
    attention, h = Attention(SIZE, score).double(), states()
    context, weights = attention(h, LENGTHS)
    w, u = attention.query.weight, attention.key.weight
    for b in range(BATCH):
        for t in range(LENGTHS[b]):
            scores = []
            for s in range(t + 1):
                q, k = w @ h[t, b], u @ h[s, b]
                if score == "dot":
                    scores.append(sum(q[j] * k[j] for j in range(SIZE)).item() / math.sqrt(SIZE))
                else:
                    scores.append(
                        sum(attention.match.weight[0, j] * torch.tanh(q[j] + k[j]) for j in range(SIZE)).item()
                    )
            total = sum(math.exp(number) for number in scores)
            read = torch.zeros(SIZE, dtype=torch.float64)
            for s, number in enumerate(scores):
                assert weights[b, t, s].item() == pytest.approx(math.exp(number) / total, abs=1e-12)
                read += math.exp(number) / total * h[s, b]
            torch.testing.assert_close(context[t, b], read, rtol=1e-10, atol=1e-12)


def test_dot_is_the_attention_of_torch():
    attention, h = Attention(SIZE, "dot").double(), states()
    batch_first = h.transpose(0, 1)
    expected = scaled_dot_product_attention(
        attention.query(batch_first), attention.key(batch_first), batch_first, is_causal=True
    )
    torch.testing.assert_close(attention(h)[0], expected.transpose(0, 1), rtol=1e-12, atol=1e-12)
    past = torch.ones(TIME, TIME, dtype=torch.bool).tril()
    valid = torch.arange(TIME) < LENGTHS[:, None]
    expected = scaled_dot_product_attention(
        attention.query(batch_first),
        attention.key(batch_first),
        batch_first,
        attn_mask=past & valid[:, None, :],
    ).masked_fill(~valid[:, :, None], 0.0)
    torch.testing.assert_close(attention(h, LENGTHS)[0], expected.transpose(0, 1), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("score", SCORES)
def test_weights_sum_to_one_over_the_past_also_after_training(score):
    layer = AttentionOverPast(score)(nn.GRU(2, SIZE)).double()
    rule = torch.optim.Adam(layer.parameters(), lr=0.02)
    x, target = torch.randn(TIME, BATCH, 2).double(), torch.randn(BATCH, SIZE).double()
    for _ in range(20):
        rule.zero_grad()
        (layer(x)[0][-1] - target).square().mean().backward()
        rule.step()
    _, weights = layer.attention(states(), LENGTHS)
    valid = torch.arange(TIME) < LENGTHS[:, None]
    torch.testing.assert_close(weights.sum(-1), valid.double(), rtol=1e-12, atol=0)
    assert (weights >= 0).all()
    assert not weights.triu(1).any()


@pytest.mark.parametrize("score", SCORES)
def test_nothing_comes_from_the_future_or_the_padding(score):
    """Whatever is put there, also nan: not one bit of what was read before changes."""
    attention, h = Attention(SIZE, score).double(), states()
    before = attention(h, LENGTHS)[0]
    for t in range(1, TIME):
        later = h.clone()
        later[t:] += 100.0
        torch.testing.assert_close(attention(later, LENGTHS)[0][:t], before[:t], rtol=0, atol=0)
    filled = h.clone()
    filled[4:, 0], filled[1:, 2] = math.nan, 1e300
    torch.testing.assert_close(attention(filled, LENGTHS)[0], before, rtol=0, atol=0)
    h.requires_grad_()
    (gradient,) = torch.autograd.grad(attention(h, LENGTHS)[0][2].sum(), h)
    assert not gradient[3:].any()
    assert gradient[:3, :2].all()


@pytest.mark.parametrize("score", SCORES)
def test_the_build_adds_the_context_to_the_output(score):
    theirs = nn.LSTM(2, SIZE, num_layers=2, batch_first=True).double()
    ours = AttentionOverPast(score)(theirs)
    x = torch.randn(BATCH, TIME, 2, dtype=torch.float64)
    plain, final = theirs(x)
    context, _ = ours.attention(plain.transpose(0, 1))
    output, state = ours(x)
    torch.testing.assert_close(output, plain + context.transpose(0, 1), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(state, final, rtol=1e-12, atol=1e-12)


def test_equal_scores_give_every_step_an_equal_share_of_the_gradient():
    """With keys of zero each step reads the mean of the past: a state T steps back has 1/T of it, whatever T."""
    for time in (10, 100):
        layer = AttentionOverPast("dot")(nn.RNN(2, SIZE)).double()
        layer.attention.key.weight.data.zero_()
        layer.layer.cells[0].from_h.weight.data.zero_()
        x = torch.randn(time, BATCH, 2, dtype=torch.float64)
        (curve,) = probes.retention(layer, x, lambda returned: returned[0][-1].sum()).values()
        share = torch.full((time - 1,), (1 / time) / (1 + 1 / time), dtype=torch.float64)
        torch.testing.assert_close(curve.gain[1:], share, rtol=1e-9, atol=0)


def test_another_score_is_refused():
    with pytest.raises(ValueError, match="additive, dot"):
        Attention(SIZE, "product")
