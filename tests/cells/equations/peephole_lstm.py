"""Graves (2013), equations (7)-(11), with the peepholes of Gers et al. (2002), unit by unit."""

import math


def sigmoid(a):
    return 1 / (1 + math.exp(-a))


def row(w, layer, unit, values):
    """One number of a layer's output."""
    bias = w[f"{layer}.bias"][unit] if f"{layer}.bias" in w else 0.0
    return bias + sum(weight * value for weight, value in zip(w[f"{layer}.weight"][unit], values, strict=True))


def PeepholeLSTM(w, x, state):
    h, c = state
    n = len(c)
    new_h, new_c = [], []
    for unit in range(n):
        i, f, g, o = (row(w, "from_x", k * n + unit, x) + row(w, "from_h", k * n + unit, h) for k in range(4))
        i += w["peepholes"][0][unit] * c[unit]
        f += w["peepholes"][1][unit] * c[unit]
        new_c.append(sigmoid(f) * c[unit] + sigmoid(i) * math.tanh(g))
        o += w["peepholes"][2][unit] * new_c[unit]
        new_h.append(sigmoid(o) * math.tanh(new_c[unit]))
    return new_h, [new_h, new_c]
