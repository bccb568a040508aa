"""Laurent & von Brecht (2017), equation (1) and its gates, unit by unit."""

import math


def sigmoid(a):
    return 1 / (1 + math.exp(-a))


def row(w, layer, unit, values):
    """One number of a layer's output."""
    bias = w[f"{layer}.bias"][unit] if f"{layer}.bias" in w else 0.0
    return bias + sum(weight * value for weight, value in zip(w[f"{layer}.weight"][unit], values, strict=True))


def CFN(w, x, state):
    (h,) = state
    n = len(h)
    new = []
    for unit in range(n):
        θ = sigmoid(row(w, "from_x", unit, x) + row(w, "from_h", unit, h))
        η = sigmoid(row(w, "from_x", n + unit, x) + row(w, "from_h", n + unit, h))
        new.append(θ * math.tanh(h[unit]) + η * math.tanh(row(w, "from_x", 2 * n + unit, x)))
    return new, [new]
