"""Voelker, Kajić & Eliasmith (2019), equations (4), (6) and (7), number by number; Ā and B̄ are the cell's own."""

import math


def dot(a, b):
    return sum(one * other for one, other in zip(a, b, strict=True))


def LMU(w, x, state, order, theta):
    h, m = state
    u = dot(w["e_x"], x) + dot(w["e_h"], h) + dot(w["e_m"], m)
    new_m = [dot(w["a"][i], m) + w["b"][i] * u for i in range(order)]
    new_h = []
    for unit in range(len(h)):
        a = dot(w["from_x.weight"][unit], x) + dot(w["from_h.weight"][unit], h) + dot(w["from_m.weight"][unit], new_m)
        new_h.append(math.tanh(a))
    return new_h, [new_h, new_m]
