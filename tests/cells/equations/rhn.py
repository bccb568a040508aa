"""Zilly et al. (2017): a step of highway layers, the carry gate one minus the transform gate, unit by unit."""

import math

OPTIONS = {"RHN": [{"depth": 1}, {"depth": 3}]}


def sigmoid(a):
    return 1 / (1 + math.exp(-a))


def dot(weights, values):
    return sum(weight * value for weight, value in zip(weights, values, strict=True))


def RHN(w, x, state, depth=4, bias=-2.0):
    (s,) = state
    n = len(s)
    for level in range(1, depth + 1):
        layer, new = f"from_s{level}", []
        for unit in range(n):
            candidate = dot(w[f"{layer}.weight"][unit], s) + w[f"{layer}.bias"][unit]
            gate = dot(w[f"{layer}.weight"][n + unit], s) + w[f"{layer}.bias"][n + unit]
            if level == 1:
                candidate += dot(w["from_x.weight"][unit], x)
                gate += dot(w["from_x.weight"][n + unit], x)
            transform = sigmoid(gate)
            new.append(math.tanh(candidate) * transform + s[unit] * (1 - transform))
        s = new
    return s, [s]
