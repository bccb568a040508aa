"""Sak, Senior & Beaufays (2014), equations (7)-(12) without peepholes, unit by unit."""

import math

OPTIONS = {"ProjectedLSTM": [{"bias": False}]}


def sigmoid(a):
    return 1 / (1 + math.exp(-a))


def row(w, layer, unit, values):
    """One number of a layer's output."""
    bias = w[f"{layer}.bias"][unit] if f"{layer}.bias" in w else 0.0
    return bias + sum(weight * value for weight, value in zip(w[f"{layer}.weight"][unit], values, strict=True))


def ProjectedLSTM(w, x, state, proj_size=1, bias=True):
    h, c = state
    assert len(h) == proj_size
    n = len(c)
    m, new_c = [], []
    for unit in range(n):
        i, f, g, o = (row(w, "from_x", k * n + unit, x) + row(w, "from_h", k * n + unit, h) for k in range(4))
        new_c.append(sigmoid(f) * c[unit] + sigmoid(i) * math.tanh(g))
        m.append(sigmoid(o) * math.tanh(new_c[unit]))
    new_h = [row(w, "project", unit, m) for unit in range(proj_size)]
    return new_h, [new_h, new_c]
