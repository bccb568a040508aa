"""Lee, Levy & Zettlemoyer (2017), with the tanh, unit by unit."""

import math


def sigmoid(a):
    return 1 / (1 + math.exp(-a))


def row(w, layer, unit, values):
    """One number of a layer's output."""
    bias = w[f"{layer}.bias"][unit] if f"{layer}.bias" in w else 0.0
    return bias + sum(weight * value for weight, value in zip(w[f"{layer}.weight"][unit], values, strict=True))


def RAN(w, x, state):
    h, c = state
    n = len(c)
    new_c = []
    for unit in range(n):
        i = sigmoid(row(w, "from_x", unit, x) + row(w, "from_h", unit, h))
        f = sigmoid(row(w, "from_x", n + unit, x) + row(w, "from_h", n + unit, h))
        new_c.append(i * row(w, "from_x", 2 * n + unit, x) + f * c[unit])
    new_h = [math.tanh(value) for value in new_c]
    return new_h, [new_h, new_c]
