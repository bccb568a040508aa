"""Zhang et al. (2018), unit by unit."""

import math


def sigmoid(a):
    return 1 / (1 + math.exp(-a))


def row(w, layer, unit, values):
    """One number of a layer's output."""
    bias = w[f"{layer}.bias"][unit] if f"{layer}.bias" in w else 0.0
    return bias + sum(weight * value for weight, value in zip(w[f"{layer}.weight"][unit], values, strict=True))


def ATR(w, x, state):
    (h,) = state
    new = []
    for unit in range(len(h)):
        p, q = row(w, "from_x", unit, x), row(w, "from_h", unit, h)
        new.append(sigmoid(p + q) * p + sigmoid(p - q) * h[unit])
    return new, [new]
