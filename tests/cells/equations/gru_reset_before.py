"""Cho et al. (2014), equations (5)-(8), with biases, unit by unit."""

import math


def sigmoid(a):
    return 1 / (1 + math.exp(-a))


def row(w, layer, unit, values):
    """One number of a layer's output."""
    bias = w[f"{layer}.bias"][unit] if f"{layer}.bias" in w else 0.0
    return bias + sum(weight * value for weight, value in zip(w[f"{layer}.weight"][unit], values, strict=True))


def GRUResetBefore(w, x, state):
    (h,) = state
    n = len(h)
    r = [sigmoid(row(w, "from_x", unit, x) + row(w, "from_h", unit, h)) for unit in range(n)]
    seen = [r[unit] * h[unit] for unit in range(n)]
    new = []
    for unit in range(n):
        z = sigmoid(row(w, "from_x", n + unit, x) + row(w, "from_h", n + unit, h))
        candidate = math.tanh(row(w, "from_x", 2 * n + unit, x) + row(w, "from_reset", unit, seen))
        new.append(z * h[unit] + (1 - z) * candidate)
    return new, [new]
