"""Chen (2017), unit by unit."""

import math


def sigmoid(a):
    return 1 / (1 + math.exp(-a))


def row(w, layer, unit, values):
    """One number of a layer's output."""
    bias = w[f"{layer}.bias"][unit] if f"{layer}.bias" in w else 0.0
    return bias + sum(weight * value for weight, value in zip(w[f"{layer}.weight"][unit], values, strict=True))


def MinimalRNN(w, x, state):
    (h,) = state
    n = len(h)
    z = [math.tanh(row(w, "from_x", unit, x)) for unit in range(n)]
    new = []
    for unit in range(n):
        a = row(w, "from_h", unit, h) + sum(weight * value for weight, value in zip(w["from_z"][unit], z, strict=True))
        new.append(sigmoid(a) * h[unit] + (1 - sigmoid(a)) * z[unit])
    return new, [new]
