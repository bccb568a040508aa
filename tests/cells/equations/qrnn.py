"""Bradbury et al. (2017), equations (2) and (4), with the gate of their code, unit by unit."""

import math


def sigmoid(a):
    return 1 / (1 + math.exp(-a))


def product(row, values):
    return sum(a * b for a, b in zip(row, values, strict=True))


def QRNN(w, x, state):
    c, before = state
    n = len(c)
    a = [
        product(row, x) + bias + old
        for row, bias, old in zip(w["from_x.weight"], w["from_x.bias"], before, strict=True)
    ]
    h, new = [], []
    for unit in range(n):
        z, f, o = math.tanh(a[unit]), sigmoid(a[n + unit]), sigmoid(a[2 * n + unit])
        new.append(f * z + (1 - f) * c[unit])
        h.append(o * new[unit])
    return h, [new, [product(row, x) for row in w["for_next.weight"]]]
