"""Zhou et al. (2016), unit by unit."""

import math


def sigmoid(a):
    return 1 / (1 + math.exp(-a))


def row(w, layer, unit, values):
    """One number of a layer's output."""
    bias = w[f"{layer}.bias"][unit] if f"{layer}.bias" in w else 0.0
    return bias + sum(weight * value for weight, value in zip(w[f"{layer}.weight"][unit], values, strict=True))


def MGU(w, x, state):
    (h,) = state
    n = len(h)
    f = [sigmoid(row(w, "from_x", unit, x) + row(w, "from_h", unit, h)) for unit in range(n)]
    seen = [f[unit] * h[unit] for unit in range(n)]
    new = []
    for unit in range(n):
        candidate = math.tanh(row(w, "from_x", n + unit, x) + row(w, "from_forgotten", unit, seen))
        new.append((1 - f[unit]) * h[unit] + f[unit] * candidate)
    return new, [new]
