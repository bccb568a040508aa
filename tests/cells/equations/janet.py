"""The authors' code of van der Westhuizen & Lasenby (2018), unit by unit; β = 1."""

import math


def sigmoid(a):
    return 1 / (1 + math.exp(-a))


def row(w, layer, unit, values):
    """One number of a layer's output."""
    bias = w[f"{layer}.bias"][unit] if f"{layer}.bias" in w else 0.0
    return bias + sum(weight * value for weight, value in zip(w[f"{layer}.weight"][unit], values, strict=True))


def JANET(w, x, state):
    (h,) = state
    n = len(h)
    new = []
    for unit in range(n):
        s, g = (row(w, "from_x", k * n + unit, x) + row(w, "from_h", k * n + unit, h) for k in range(2))
        written = 1 - sigmoid(s - 1.0)
        new.append(sigmoid(s) * h[unit] + written * math.tanh(g))
    return new, [new]
