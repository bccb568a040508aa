"""Rules: each against its formula, written again number by number; a small gradient is never changed."""

import math

import pytest
import torch
from torch import nn

from rnnvanish.mitigations import AdaptiveClip, ClipNorm, ClipValue


def by_norm(parameters, threshold):
    total = math.sqrt(sum(g * g for _, gradient in parameters for g in gradient.flatten().tolist()))
    return [gradient * min(1.0, threshold / total) for _, gradient in parameters]


def by_value(parameters, threshold):
    return [
        torch.tensor([max(-threshold, min(threshold, g)) for g in gradient.flatten().tolist()]).view_as(gradient)
        for _, gradient in parameters
    ]


def by_unit(parameters, ratio, least=1e-3):
    clipped = []
    for weight, gradient in parameters:
        units = zip(weight, gradient, strict=True) if weight.dim() > 1 else [(weight, gradient)]
        rows = []
        for w, g in units:
            size = max(math.sqrt(sum(v * v for v in w.tolist())), least)
            steep = math.sqrt(sum(v * v for v in g.tolist()))
            rows.append(g * (ratio * size / steep) if steep / size > ratio else g)
        clipped.append(torch.stack(rows).view_as(weight))
    return clipped


#: A rule with the formula that it must give.
RULES = {
    ClipNorm(0.7): lambda parameters: by_norm(parameters, 0.7),
    ClipValue(0.02): lambda parameters: by_value(parameters, 0.02),
    AdaptiveClip(0.05): lambda parameters: by_unit(parameters, 0.05),
}


def net():
    torch.manual_seed(0)
    layer = nn.GRU(2, 8)
    with torch.no_grad():
        layer.bias_hh_l0.zero_()  # its norm counts as `least`
    return layer


@pytest.mark.parametrize("size", [1e-8, 1.0, 1e8])
@pytest.mark.parametrize("rule", RULES, ids=repr)
def test_the_formula(rule, size):
    layer = net()
    torch.manual_seed(1)
    for weight in layer.parameters():
        weight.grad = size * torch.randn_like(weight)
    before = [(weight.detach().clone(), weight.grad.clone()) for weight in layer.parameters()]
    rule.apply(layer.parameters())
    for weight, expected, (value, gradient) in zip(layer.parameters(), RULES[rule](before), before, strict=True):
        torch.testing.assert_close(weight.grad, expected, rtol=3e-6, atol=0)
        assert torch.equal(weight, value)
        if size == 1e-8:
            assert torch.equal(weight.grad, gradient)
        if size == 1e8:
            assert not torch.equal(weight.grad, gradient)


@pytest.mark.parametrize("rule", RULES, ids=repr)
def test_the_invariant_while_it_trains(rule):
    """Random targets far away: the gradient is too large at first."""
    layer, tightened = net(), 0
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.1)
    x, target = torch.randn(12, 4, 2), 3 * torch.randn(4, 8)
    for _ in range(10):
        optimizer.zero_grad()
        (layer(x)[0][-1] - target).square().mean(1).sum().backward()
        before = [weight.grad.clone() for weight in layer.parameters()]
        rule.apply(layer.parameters())
        after = [weight.grad for weight in layer.parameters()]
        tightened += any(not torch.equal(a, b) for a, b in zip(after, before, strict=True))
        assert all((a.abs() <= b.abs()).all() for a, b in zip(after, before, strict=True))
        norm, clipped = (torch.cat([g.flatten() for g in gradients]).norm().item() for gradients in (before, after))
        if isinstance(rule, ClipNorm):
            assert clipped == pytest.approx(min(norm, rule.threshold), rel=1e-5)
        elif isinstance(rule, ClipValue):
            assert max(gradient.abs().max() for gradient in after) <= rule.threshold
        else:
            for weight in layer.parameters():
                units = [(weight, weight.grad)] if weight.dim() == 1 else zip(weight, weight.grad, strict=True)
                assert all(g.norm() <= rule.ratio * max(w.norm().item(), rule.least) * (1 + 1e-5) for w, g in units)
        optimizer.step()
    assert tightened > 0


@pytest.mark.parametrize("rule", RULES, ids=repr)
def test_a_parameter_without_gradient_is_passed_over(rule):
    layer = net()
    rule.apply(layer.parameters())
    assert all(weight.grad is None for weight in layer.parameters())


def weight_of(values, gradient, dtype=torch.float32):
    weight = nn.Parameter(torch.tensor(values, dtype=dtype))
    weight.grad = torch.tensor(gradient, dtype=dtype)
    return weight


@pytest.mark.parametrize("rule", RULES, ids=repr)
@pytest.mark.parametrize("given", [lambda w: w, lambda w: [w], lambda w: iter([w]), lambda w: [w, w]])
def test_one_tensor_is_taken_as_a_list_of_it(rule, given):
    """A list that holds a weight twice (two names of one) shortens it once."""
    weight = weight_of([[1.0, 2.0], [0.0, 0.0]], [[3.0, -4.0], [0.0, 5.0]])
    (expected,) = RULES[rule]([(weight.detach(), weight.grad.clone())])
    rule.apply(given(weight))
    torch.testing.assert_close(weight.grad, expected, rtol=3e-6, atol=0)
    rule.apply([])
    rule.apply(nn.Parameter(torch.empty(0, 3)))


#: Format, a gradient of length 5 times its third number, and that number.
SIZES = [
    (torch.float16, (300.0, 400.0), 100.0),
    (torch.float16, (3e4, 4e4), 1e4),  # its square and its norm are beyond the format
    (torch.float16, (3e-7, 4e-7), 1e-7),
    (torch.bfloat16, (300.0, 400.0), 100.0),
    (torch.bfloat16, (3e38, 2.25e38), 0.75e38),
    (torch.float32, (3e30, 4e30), 1e30),
    (torch.float32, (3e38, 2.25e38), 0.75e38),  # the norm itself is beyond the format
    (torch.float32, (3e-30, 4e-30), 1e-30),
    (torch.float64, (3e250, 4e250), 1e250),
    (torch.float64, (3e-250, 4e-250), 1e-250),
]


@pytest.mark.parametrize(("dtype", "gradient", "unit"), SIZES)
def test_norms_neither_overflow_nor_underflow(dtype, gradient, unit):
    """The closed form: a gradient of norm 5 u at the limit L is itself times L / 5 u."""
    digits = 4 * torch.finfo(dtype).eps
    for rule, limit in ((ClipNorm(0.5), 0.5), (ClipNorm(1e-4), 1e-4), (AdaptiveClip(0.01), 1e-5)):
        weight = weight_of([0.0, 0.0], gradient, dtype)
        before = weight.grad.clone()
        rule.apply(weight)
        if 5 * unit < limit:
            assert torch.equal(weight.grad, before)
            continue
        expected = torch.tensor([g / (5 * unit) * limit for g in gradient], dtype=dtype)
        torch.testing.assert_close(
            weight.grad, expected, rtol=digits, atol=torch.finfo(dtype).tiny * torch.finfo(dtype).eps
        )
        assert weight.grad.any()


def test_a_large_weight_allows_a_large_gradient():
    """In float16 the norm of (3e4, 4e4) is no number; 1 % of it is 500."""
    weight = weight_of([[3e4, 4e4], [3e-4, 4e-4]], [[600.0, 800.0], [600.0, 800.0]], torch.float16)
    AdaptiveClip(0.01).apply(weight)
    torch.testing.assert_close(weight.grad, torch.tensor([[300.0, 400.0], [6e-6, 8e-6]]).half(), rtol=1e-3, atol=6e-8)


@pytest.mark.parametrize("rule", RULES, ids=repr)
def test_rows_of_a_sparse_gradient_are_those_of_the_dense_one(rule):
    """A word that occurs twice has two entries in the sparse gradient, which add up."""
    torch.manual_seed(0)
    dense, sparse = nn.Embedding(6, 3), nn.Embedding(6, 3, sparse=True)
    sparse.load_state_dict(dense.state_dict())
    target = torch.randn(4, 3)
    for table in (dense, sparse):
        (10 * (table(torch.tensor([2, 5, 2, 0])) - target).square()).sum().backward()
        rule.apply(table.parameters())
    assert sparse.weight.grad.is_sparse
    torch.testing.assert_close(sparse.weight.grad.to_dense(), dense.weight.grad)
    torch.optim.SparseAdam(sparse.parameters()).step()


def test_a_sparse_gradient_of_single_numbers_is_refused():
    weight = weight_of([[1.0, 2.0]], [[3.0, 4.0]])
    weight.grad = weight.grad.to_sparse()
    with pytest.raises(ValueError, match="sparse ones of whole rows"):
        AdaptiveClip().apply(weight)


def test_complex_gradients():
    """|3 + 4i| = 5; by value each of the two parts is cut off."""
    for rule, expected in ((ClipNorm(1.0), 0.6 + 0.8j), (AdaptiveClip(0.1), 0.06 + 0.08j), (ClipValue(3.5), 3 + 3.5j)):
        weight = weight_of([1 + 0j], [3 + 4j], torch.complex64)
        rule.apply(weight)
        torch.testing.assert_close(weight.grad, torch.tensor([expected], dtype=torch.complex64))


def test_numbers_that_are_none_are_not_hidden():
    """As `torch.nn.utils` has it: what is infinite does not come out as an ordinary number, and nan stays nan."""
    for bad in (math.inf, -math.inf, math.nan):
        for rule in (ClipNorm(), AdaptiveClip()):
            ours, theirs = weight_of([1.0, 1.0], [bad, 1.0]), weight_of([1.0, 1.0], [bad, 1.0])
            rule.apply(ours)
            nn.utils.clip_grad_norm_(theirs, 1.0)
            torch.testing.assert_close(ours.grad, theirs.grad, equal_nan=True)
        weight = weight_of([[1.0, 1.0], [1.0, 1.0]], [[bad, 1.0], [1.0, 1.0]])
        AdaptiveClip(0.01).apply(weight)
        assert not weight.grad[0].isfinite().all()
        torch.testing.assert_close(weight.grad[1], torch.full((2,), 0.01))


def test_one_norm_over_formats_and_shapes():
    """1² + 2² + 2² + 4² = 25: all are shortened to a fifth."""
    weights = [
        weight_of(1.0, 1.0, torch.float64),
        weight_of([[1.0]], [[2.0]], torch.float16),
        weight_of([1.0], [2.0], torch.bfloat16),
        nn.Parameter(torch.ones(3)),
        weight_of([1.0], [4.0], torch.float32),
    ]
    ClipNorm(1.0).apply(weights)
    for weight, expected in zip(weights, (0.2, 0.4, 0.4, None, 0.8), strict=True):
        assert (weight.grad is None) if expected is None else weight.grad.item() == pytest.approx(expected, rel=4e-3)


@pytest.mark.parametrize(
    ("build", "needed"),
    [
        (lambda: ClipNorm(0.0), "ClipNorm needs threshold > 0, got 0.0"),
        (lambda: ClipValue(-1.0), "ClipValue needs threshold > 0, got -1.0"),
        (lambda: AdaptiveClip(math.nan), "AdaptiveClip needs ratio > 0, got nan"),
        (lambda: AdaptiveClip(0.1, least=0.0), "AdaptiveClip needs least > 0, got 0.0"),
    ],
)
def test_senseless_numbers(build, needed):
    with pytest.raises(ValueError, match=needed):
        build()
