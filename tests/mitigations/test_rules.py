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
