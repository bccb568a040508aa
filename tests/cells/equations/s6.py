"""Gu & Dao (2023), algorithm 2, with the authors' B̄ = Δ B, number by number."""

import math


def product(matrix, vector):
    return [sum(weight * value for weight, value in zip(row, vector, strict=True)) for row in matrix]


def S6(w, x, state, order):
    (s,) = state
    u = product(w["from_x.weight"], x)
    selection = product(w["to_selection.weight"], u)
    b, c = selection[-2 * order : -order], selection[-order:]
    widths = product(w["w"], selection[: -2 * order])
    y, new = [], []
    for unit, value in enumerate(u):
        delta = math.log(1 + math.exp(widths[unit] + w["b"][unit]))
        numbers = [
            math.exp(-delta * math.exp(w["log_a"][unit][n])) * s[unit][n] + delta * b[n] * value for n in range(order)
        ]
        y.append(sum(c[n] * numbers[n] for n in range(order)) + w["d"][unit] * value)
        new.append(numbers)
    return y, [new]
