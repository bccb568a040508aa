"""The authors' code of Turkoglu et al. (2021), unit by unit; β = 1."""

import math


def sigmoid(a):
    return 1 / (1 + math.exp(-a))


def row(w, layer, unit, values):
    """One number of a layer's output."""
    bias = w[f"{layer}.bias"][unit] if f"{layer}.bias" in w else 0.0
    return bias + sum(weight * value for weight, value in zip(w[f"{layer}.weight"][unit], values, strict=True))


def STAR(w, x, state):
    (h,) = state
    n = len(h)
    new = []
    for unit in range(n):
        z = math.tanh(row(w, "from_x", unit, x))
        f = row(w, "from_x", n + unit, x) + row(w, "from_h", unit, h)
        written = 1 - sigmoid(f - 1.0)
        new.append(math.tanh(sigmoid(f) * h[unit] + written * z))
    return new, [new]
