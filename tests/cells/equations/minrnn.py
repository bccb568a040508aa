"""Feng et al. (2024), with the candidate of their code, unit by unit."""

import math


def sigmoid(a):
    return 1 / (1 + math.exp(-a))


def row(w, layer, unit, values):
    """One number of a layer's output."""
    return w[f"{layer}.bias"][unit] + sum(a * b for a, b in zip(w[f"{layer}.weight"][unit], values, strict=True))


def g(a):
    return a + 0.5 if a >= 0 else sigmoid(a)


def MinGRU(w, x, state):
    (h,) = state
    n, new = len(h), []
    for unit in range(n):
        candidate, z = g(row(w, "from_x", unit, x)), sigmoid(row(w, "from_x", n + unit, x))
        new.append((1 - z) * h[unit] + z * candidate)
    return new, [new]


def MinLSTM(w, x, state):
    (h,) = state
    n, new = len(h), []
    for unit in range(n):
        candidate = g(row(w, "from_x", unit, x))
        f, i = (sigmoid(row(w, "from_x", block * n + unit, x)) for block in (1, 2))
        new.append(f / (f + i) * h[unit] + i / (f + i) * candidate)
    return new, [new]
