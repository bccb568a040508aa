"""Lei et al. (2018), equations (1)-(4), with the scaled highway of their code, unit by unit."""

import math

OPTIONS = {"SRU": [{"highway_bias": -1.5}]}


def sigmoid(a):
    return 1 / (1 + math.exp(-a))


def product(row, values):
    return sum(a * b for a, b in zip(row, values, strict=True))


def SRU(w, x, state, highway_bias=0.0):
    (c,) = state
    n = len(c)
    h, new = [], []
    for unit in range(n):
        f = sigmoid(product(w["from_x.weight"][unit], x) + w["v"][0][unit] * c[unit] + w["from_x.bias"][unit])
        r = sigmoid(product(w["from_x.weight"][n + unit], x) + w["v"][1][unit] * c[unit] + w["from_x.bias"][n + unit])
        new.append(f * c[unit] + (1 - f) * product(w["candidate.weight"][unit], x))
        if len(x) == n:
            past = math.sqrt(1 + 2 * math.exp(highway_bias)) * x[unit]
        else:
            past = product(w["highway.weight"][unit], x)
        h.append(r * new[unit] + (1 - r) * past)
    return h, [new]
