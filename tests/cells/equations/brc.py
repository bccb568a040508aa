"""The authors' code of Vecoven, Ernst & Drion (2021), unit by unit."""

import math
from math import tanh


def sigmoid(a):
    return 1 / (1 + math.exp(-a))


def row(w, layer, unit, values):
    """One number of a layer's output."""
    bias = w[f"{layer}.bias"][unit] if f"{layer}.bias" in w else 0.0
    return bias + sum(weight * value for weight, value in zip(w[f"{layer}.weight"][unit], values, strict=True))


def BRC(w, x, state):
    (h,) = state
    n = len(h)
    new = []
    for unit in range(n):
        a = 1 + tanh(row(w, "from_x", unit, x) + w["memory_a"][unit] * h[unit])
        c = sigmoid(row(w, "from_x", n + unit, x) + w["memory_c"][unit] * h[unit])
        candidate = math.tanh(row(w, "from_x_to_n", unit, x) + a * h[unit])
        new.append(c * h[unit] + (1 - c) * candidate)
    return new, [new]


def NBRC(w, x, state):
    (h,) = state
    n = len(h)
    new = []
    for unit in range(n):
        a = 1 + tanh(row(w, "from_x", unit, x) + row(w, "from_h", unit, h))
        c = sigmoid(row(w, "from_x", n + unit, x) + row(w, "from_h", n + unit, h))
        candidate = math.tanh(row(w, "from_x", 2 * n + unit, x) + a * h[unit])
        new.append(c * h[unit] + (1 - c) * candidate)
    return new, [new]
