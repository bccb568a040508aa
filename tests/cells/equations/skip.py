"""Campos et al. (2018), section 3, around the gated recurrent unit of their code, unit by unit."""

import math


def sigmoid(a):
    return (1 + math.tanh(a / 2)) / 2


def product(row, values):
    return sum(a * b for a, b in zip(row, values, strict=True))


def probability(a):
    return 1 / (1 + math.exp(-a))


def SkipRNN(w, x, state):
    h, (delta,), (total,) = state
    n = len(h)
    read = [product(row, x) + bias for row, bias in zip(w["from_x.weight"], w["from_x.bias"], strict=True)]
    r = [sigmoid(read[unit] + product(w["from_h.weight"][unit], h)) for unit in range(n)]
    z = [sigmoid(read[n + unit] + product(w["from_h.weight"][n + unit], h)) for unit in range(n)]
    reset = [gate * value for gate, value in zip(r, h, strict=True)]
    candidate = []
    for unit in range(n):
        new = math.tanh(read[2 * n + unit] + product(w["from_reset.weight"][unit], reset))
        candidate.append(z[unit] * h[unit] + (1 - z[unit]) * new)
    v = total + min(delta, 1 - total)
    u = round(v)
    new_delta = probability(product(w["to_delta.weight"][0], candidate) + w["to_delta.bias"][0])
    new_h = [u * new + (1 - u) * old for new, old in zip(candidate, h, strict=True)]
    return new_h, [new_h, [u * new_delta + (1 - u) * delta], [(1 - u) * v]]


def SkipRNN_start(w, parts):
    h, _, total = parts
    return [h, [1.0], total]
