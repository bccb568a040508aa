"""Cho et al. (2014), equations (5)-(8), with the reset gate after the product, unit by unit."""

import math

OPTIONS = {"GRU": [{"bias": False}]}


def sigmoid(a):
    return 1 / (1 + math.exp(-a))


def row(w, layer, unit, values):
    """One number of a layer's output."""
    bias = w[f"{layer}.bias"][unit] if f"{layer}.bias" in w else 0.0
    return bias + sum(weight * value for weight, value in zip(w[f"{layer}.weight"][unit], values, strict=True))


def GRU(w, x, state, bias=True):
    (h,) = state
    n = len(h)
    new = []
    for unit in range(n):
        r = sigmoid(row(w, "from_x", unit, x) + row(w, "from_h", unit, h))
        z = sigmoid(row(w, "from_x", n + unit, x) + row(w, "from_h", n + unit, h))
        candidate = math.tanh(row(w, "from_x", 2 * n + unit, x) + r * row(w, "from_h", 2 * n + unit, h))
        new.append(z * h[unit] + (1 - z) * candidate)
    return new, [new]
