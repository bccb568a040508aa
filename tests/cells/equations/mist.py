"""DiPietro et al. (2017), section 4, unit by unit."""

import math

OPTIONS = {"MIST": [{"delays": (1,)}, {"delays": (3, 1)}, {"delays": (2,)}]}


def sigmoid(a):
    return 1 / (1 + math.exp(-a))


def product(row, values):
    return sum(a * b for a, b in zip(row, values, strict=True))


def MIST(w, x, state, delays):
    h, *rest = state
    n = len(h)
    history = [h, *(rest[0] if rest else [])]
    shares = [
        math.exp(product(w["share_from_x.weight"][place], x) + product(w["share_from_h.weight"][place], h) + bias)
        for place, bias in enumerate(w["share_from_x.bias"])
    ]
    reset = []
    for unit in range(n):
        r = sigmoid(
            product(w["from_x.weight"][unit], x) + w["from_x.bias"][unit] + product(w["from_h.weight"][unit], h)
        )
        mixed = sum(share / sum(shares) * history[delay - 1][unit] for share, delay in zip(shares, delays, strict=True))
        reset.append(r * mixed)
    new = [
        math.tanh(
            product(w["from_x.weight"][n + unit], x)
            + w["from_x.bias"][n + unit]
            + product(w["from_past.weight"][unit], reset)
        )
        for unit in range(n)
    ]
    return new, [new, history[:-1]] if rest else [new]
