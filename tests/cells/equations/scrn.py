"""Mikolov et al. (2014) as their code wires it: the fast units read the slow ones of the step before, unit by unit."""

import math

OPTIONS = {"SCRN": [{"alpha": 0.6}]}


def dot(weights, values):
    return sum(weight * value for weight, value in zip(weights, values, strict=True))


def SCRN(w, x, state, context_size=20, alpha=0.95):
    h, s = state
    slow = [(1 - alpha) * dot(w["b"][unit], x) + alpha * s[unit] for unit in range(context_size)]
    fast = []
    for unit in range(len(h)):
        drive = dot(w["from_x.weight"][unit], x) + dot(w["p"][unit], s) + dot(w["from_h.weight"][unit], h)
        fast.append(1 / (1 + math.exp(-drive)))
    return fast + slow, [fast, slow]


def SCRN_start(w, noughts):
    return [[0.1 for _ in part] for part in noughts]
