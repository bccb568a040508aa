"""Erichson et al. (2021) as their code has it, rows times matrices, plain and gated, unit by unit."""

import math

OPTIONS = {"LipschitzRNN": [{"epsilon": 0.6, "beta": 0.3, "gamma": 0.5}, {"gated": True, "epsilon": 0.7}]}


def dot(weights, values):
    return sum(weight * value for weight, value in zip(weights, values, strict=True))


def mixed(m, h, unit, beta, gamma):
    """One number of a row times β (M − Mᵀ) + (1 − β) (M + Mᵀ) − γ I."""
    total = -gamma * h[unit]
    for other, value in enumerate(h):
        there, back = m[other][unit], m[unit][other]
        total += value * (beta * (there - back) + (1 - beta) * (there + back))
    return total


def LipschitzRNN(w, x, state, epsilon=0.01, beta=0.8, gamma=0.01, gated=False):
    (h,) = state
    n, new = len(h), []
    for unit, old in enumerate(h):
        push = mixed(w["n"], h, unit, beta, gamma)
        drive = push + dot(w["from_x.weight"][unit], x) + w["from_x.bias"][unit]
        change = mixed(w["m"], h, unit, beta, gamma) + math.tanh(drive)
        if gated:
            change /= 1 + math.exp(-push - dot(w["from_x.weight"][n + unit], x) - w["from_x.bias"][n + unit])
        new.append(old + epsilon * change)
    return new, [new]
