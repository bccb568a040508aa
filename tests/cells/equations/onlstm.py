"""Shen et al. (2019), section 4, unit by unit."""

import math

OPTIONS = {"ONLSTM": [{"chunk_size": 3}, {"chunk_size": 1}]}


def sigmoid(a):
    return 1 / (1 + math.exp(-a))


def row(w, prefix, unit, x, h):
    """One number of what a layer makes of the input and one of the state."""
    return sum(
        w[f"{prefix}from_{end}.bias"][unit]
        + sum(a * b for a, b in zip(w[f"{prefix}from_{end}.weight"][unit], values, strict=True))
        for end, values in (("x", x), ("h", h))
    )


def cumax(values):
    whole = sum(math.exp(value) for value in values)
    return [sum(math.exp(value) for value in values[: place + 1]) / whole for place in range(len(values))]


def ONLSTM(w, x, state, chunk_size):
    h, c = state
    n, chunks = len(h), math.ceil(len(h) / chunk_size)
    wide_i = [1 - value for value in cumax([row(w, "master_", place, x, h) for place in range(chunks)])]
    wide_f = cumax([row(w, "master_", chunks + place, x, h) for place in range(chunks)])
    new_h, new_c = [], []
    for unit in range(n):
        o, g, i, f = (row(w, "", block * n + unit, x, h) for block in range(4))
        master_i, master_f = wide_i[unit // chunk_size], wide_f[unit // chunk_size]
        both = master_i * master_f
        keep = sigmoid(f) * both + (master_f - both)
        write = sigmoid(i) * both + (master_i - both)
        new_c.append(keep * c[unit] + write * math.tanh(g))
        new_h.append(sigmoid(o) * math.tanh(new_c[unit]))
    return new_h, [new_h, new_c]
