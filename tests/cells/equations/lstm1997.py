"""Hochreiter & Schmidhuber (1997), appendix A.1, unit by unit."""

import math


def sigmoid(a):
    return 1 / (1 + math.exp(-a))


def row(w, layer, unit, values):
    """One number of a layer's output."""
    bias = w[f"{layer}.bias"][unit] if f"{layer}.bias" in w else 0.0
    return bias + sum(weight * value for weight, value in zip(w[f"{layer}.weight"][unit], values, strict=True))


def LSTM1997(w, x, state):
    h, c = state
    n = len(c)
    new_h, new_c = [], []
    for unit in range(n):
        i, g, o = (row(w, "from_x", k * n + unit, x) + row(w, "from_h", k * n + unit, h) for k in range(3))
        squashed = 4 / (1 + math.exp(-g)) - 2
        new_c.append(c[unit] + sigmoid(i) * squashed)
        new_h.append(sigmoid(o) * (2 / (1 + math.exp(-new_c[unit])) - 1))
    return new_h, [new_h, new_c]
