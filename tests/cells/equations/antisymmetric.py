"""Chang et al. (2019), with diffusion, plain and gated, unit by unit."""

import math

OPTIONS = {
    "AntisymmetricRNN": [{"epsilon": 0.7, "gamma": 0.4}],
    "GatedAntisymmetricRNN": [{"epsilon": 0.7, "gamma": 0.4}],
}


def sigmoid(a):
    return 1 / (1 + math.exp(-a))


def dot(weights, values):
    return sum(weight * value for weight, value in zip(weights, values, strict=True))


def turned(m, h, unit, gamma):
    """One number of (M − Mᵀ − γ I) h."""
    return sum((m[unit][other] - m[other][unit]) * h[other] for other in range(len(h))) - gamma * h[unit]


def AntisymmetricRNN(w, x, state, epsilon=0.01, gamma=0.01):
    (h,) = state
    new = []
    for unit, old in enumerate(h):
        drive = dot(w["from_x.weight"][unit], x) + w["from_x.bias"][unit]
        new.append(old + epsilon * math.tanh(turned(w["m"], h, unit, gamma) + drive))
    return new, [new]


def GatedAntisymmetricRNN(w, x, state, epsilon=0.01, gamma=0.01):
    (h,) = state
    n, new = len(h), []
    for unit, old in enumerate(h):
        push = turned(w["m"], h, unit, gamma)
        gate = push + dot(w["from_x.weight"][unit], x) + w["from_x.bias"][unit]
        drive = push + dot(w["from_x.weight"][n + unit], x) + w["from_x.bias"][n + unit]
        new.append(old + epsilon * sigmoid(gate) * math.tanh(drive))
    return new, [new]
