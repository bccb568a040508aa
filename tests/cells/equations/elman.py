"""Elman (1990), unit by unit."""

import math

OPTIONS = {"Elman": [{"nonlinearity": name} for name in ("sigmoid", "relu", "leaky_relu", "prelu")] + [{"bias": False}]}


def sigmoid(a):
    return 1 / (1 + math.exp(-a))


def Elman(w, x, state, nonlinearity="tanh", bias=True):
    (h,) = state
    φ = {
        "tanh": math.tanh,
        "sigmoid": sigmoid,
        "relu": lambda a: a if a > 0 else 0.0,
        "leaky_relu": lambda a: a if a > 0 else 0.01 * a,
        "prelu": lambda a: a if a > 0 else w["nonlinearity.weight"][0] * a,
    }[nonlinearity]
    new = []
    for unit in range(len(h)):
        a = w["from_x.bias"][unit] + w["from_h.bias"][unit] if bias else 0.0
        a += sum(weight * value for weight, value in zip(w["from_x.weight"][unit], x, strict=True))
        a += sum(weight * value for weight, value in zip(w["from_h.weight"][unit], h, strict=True))
        new.append(φ(a))
    return new, [new]
