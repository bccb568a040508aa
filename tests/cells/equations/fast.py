"""Kusupati et al. (2018), equations (2) and (6), with the scalars behind a sigmoid, unit by unit."""

import math


def sigmoid(a):
    return 1 / (1 + math.exp(-a))


def share(a):
    return 1 / (1 + math.exp(-a))


def dot(weights, values):
    return sum(weight * value for weight, value in zip(weights, values, strict=True))


def FastRNN(w, x, state):
    (h,) = state
    α, β = share(w["alpha"]), share(w["beta"])
    new = []
    for unit, old in enumerate(h):
        pre = dot(w["from_x.weight"][unit], x) + dot(w["from_h.weight"][unit], h) + w["from_x.bias"][unit]
        new.append(α * math.tanh(pre) + β * old)
    return new, [new]


def FastGRNN(w, x, state):
    (h,) = state
    ζ, ν = share(w["zeta"]), share(w["nu"])
    new = []
    for unit, old in enumerate(h):
        pre = dot(w["from_x.weight"][unit], x) + dot(w["from_h.weight"][unit], h)
        z = sigmoid(pre + w["bias_z"][unit])
        candidate = math.tanh(pre + w["bias_n"][unit])
        new.append((ζ * (1 - z) + ν) * candidate + z * old)
    return new, [new]
