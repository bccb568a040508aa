"""Rusch et al. (2022), equation (3), unit by unit."""

import math

OPTIONS = {"LEM": [{"dt": 0.4}]}


def sigmoid(a):
    return 1 / (1 + math.exp(-a))


def row(w, layer, unit, values):
    """One number of a layer's output."""
    return w[f"{layer}.bias"][unit] + sum(a * b for a, b in zip(w[f"{layer}.weight"][unit], values, strict=True))


def LEM(w, x, state, dt=1.0):
    y, z = state
    n = len(y)
    new_z, new_y = [], []
    for unit in range(n):
        step = dt * sigmoid(row(w, "from_x", n + unit, x) + row(w, "from_y", n + unit, y))
        candidate = math.tanh(row(w, "from_x", 3 * n + unit, x) + row(w, "from_y", 2 * n + unit, y))
        new_z.append((1 - step) * z[unit] + step * candidate)
    for unit in range(n):
        step = dt * sigmoid(row(w, "from_x", unit, x) + row(w, "from_y", unit, y))
        candidate = math.tanh(row(w, "from_x", 2 * n + unit, x) + row(w, "from_z", unit, new_z))
        new_y.append((1 - step) * y[unit] + step * candidate)
    return new_y, [new_y, new_z]
