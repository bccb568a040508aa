"""Collins, Sohl-Dickstein & Sussillo (2017), unit by unit."""

import math


def sigmoid(a):
    return 1 / (1 + math.exp(-a))


def row(w, layer, unit, values):
    """One number of a layer's output."""
    bias = w[f"{layer}.bias"][unit] if f"{layer}.bias" in w else 0.0
    return bias + sum(weight * value for weight, value in zip(w[f"{layer}.weight"][unit], values, strict=True))


def UGRNN(w, x, state):
    (h,) = state
    n = len(h)
    new = []
    for unit in range(n):
        g, candidate = (row(w, "from_x", k * n + unit, x) + row(w, "from_h", k * n + unit, h) for k in range(2))
        new.append(sigmoid(g) * h[unit] + (1 - sigmoid(g)) * math.tanh(candidate))
    return new, [new]
