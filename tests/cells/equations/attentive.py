"""Kerg et al. (2020), section 3, number by number, with the half of their code and a window."""

import math
from math import tanh


def dot(a, b):
    return sum(one * other for one, other in zip(a, b, strict=True))


def product(matrix, vector):
    return [dot(row, vector) for row in matrix]


def AttentiveRNN(w, x, state, span):
    s, past, (t,) = state
    read, kept = product(w["from_x.weight"], x), product(w["from_s.weight"], s)
    h = [math.tanh(a + b + bias) for a, b, bias in zip(read, kept, w["from_x.bias"], strict=True)]
    past = [h, *past[:-1]]
    query, exponentials = product(w["query.weight"], s), []
    for one in past[: round(t) + 1]:
        fit = [tanh(a + b) for a, b in zip(query, product(w["key.weight"], one), strict=True)]
        exponentials.append(math.exp(dot(w["score"][0], fit)))
    new = []
    for unit, value in enumerate(h):
        mixed = sum(e * one[unit] for e, one in zip(exponentials, past, strict=False)) / sum(exponentials)
        new.append((value + mixed) / 2)
    return h, [new, past, [t + 1]]
