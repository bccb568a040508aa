"""Gu, Gupta, Goel & Ré (2022), the diagonal state space held still between steps, number by number."""

import cmath
import math


def S4D(w, x, state, order):
    (s,) = state
    y, new = [], []
    for unit, row in enumerate(w["from_x.weight"]):
        u = w["from_x.bias"][unit] + sum(weight * value for weight, value in zip(row, x, strict=True))
        step = math.exp(w["log_dt"][unit][0])
        numbers = []
        for n in range(order):
            a = complex(-math.exp(w["log_a"][unit][n]), w["omega"][unit][n])
            decay = cmath.exp(step * a)
            numbers.append(decay * s[unit][n] + (decay - 1) / a * u)
        read = sum(complex(w["c_re"][unit][n], w["c_im"][unit][n]) * numbers[n] for n in range(order))
        y.append(2 * read.real + w["d"][unit] * u)
        new.append(numbers)
    return y, [new]
