"""Jozefowicz, Zaremba & Sutskever (2015), unit by unit; P lifts the input to the width of the state."""

import math


def sigmoid(a):
    return 1 / (1 + math.exp(-a))


def row(w, layer, unit, values):
    """One number of a layer's output."""
    bias = w[f"{layer}.bias"][unit] if f"{layer}.bias" in w else 0.0
    return bias + sum(weight * value for weight, value in zip(w[f"{layer}.weight"][unit], values, strict=True))


def lifted(w, unit, x):
    return row(w, "lift", unit, x) if "lift.weight" in w else x[unit]


def reset(r, h):
    return [gate * value for gate, value in zip(r, h, strict=True)]


def mixed(z, candidate, h):
    new = [z[unit] * candidate[unit] + (1 - z[unit]) * h[unit] for unit in range(len(h))]
    return new, [new]


def MUT1(w, x, state):
    (h,) = state
    n = len(h)
    units = range(n)
    z = [sigmoid(row(w, "from_x", unit, x)) for unit in units]
    r = [sigmoid(row(w, "from_x", n + unit, x) + row(w, "from_h", unit, h)) for unit in units]
    candidate = [math.tanh(row(w, "from_reset", unit, reset(r, h)) + math.tanh(lifted(w, unit, x))) for unit in units]
    return mixed(z, candidate, h)


def MUT2(w, x, state):
    (h,) = state
    n = len(h)
    units = range(n)
    z = [sigmoid(row(w, "from_x", unit, x) + row(w, "from_h", unit, h)) for unit in units]
    r = [sigmoid(lifted(w, unit, x) + row(w, "from_h", n + unit, h)) for unit in units]
    candidate = [math.tanh(row(w, "from_reset", unit, reset(r, h)) + row(w, "from_x", n + unit, x)) for unit in units]
    return mixed(z, candidate, h)


def MUT3(w, x, state):
    (h,) = state
    n = len(h)
    units = range(n)
    squashed = [math.tanh(value) for value in h]
    z = [sigmoid(row(w, "from_x", unit, x) + row(w, "from_squashed", unit, squashed)) for unit in units]
    r = [sigmoid(row(w, "from_x", n + unit, x) + row(w, "from_h", unit, h)) for unit in units]
    candidate = [
        math.tanh(row(w, "from_reset", unit, reset(r, h)) + row(w, "from_x", 2 * n + unit, x)) for unit in units
    ]
    return mixed(z, candidate, h)
