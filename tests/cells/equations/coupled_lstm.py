"""TensorFlow's CoupledInputForgetGateLSTMCell, after Greff et al. (2017), unit by unit."""

import math


def sigmoid(a):
    return 1 / (1 + math.exp(-a))


def row(w, layer, unit, values):
    """One number of a layer's output."""
    bias = w[f"{layer}.bias"][unit] if f"{layer}.bias" in w else 0.0
    return bias + sum(weight * value for weight, value in zip(w[f"{layer}.weight"][unit], values, strict=True))


def CoupledLSTM(w, x, state):
    h, c = state
    n = len(c)
    new_h, new_c = [], []
    for unit in range(n):
        f, g, o = (row(w, "from_x", k * n + unit, x) + row(w, "from_h", k * n + unit, h) for k in range(3))
        new_c.append(sigmoid(f) * c[unit] + (1 - sigmoid(f)) * math.tanh(g))
        new_h.append(sigmoid(o) * math.tanh(new_c[unit]))
    return new_h, [new_h, new_c]
