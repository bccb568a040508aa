"""Rusch & Mishra (2021), UnICORNN, a symplectic step of Euler, unit by unit."""

import math

OPTIONS = {"UnICORNN": [{"dt": 0.9, "alpha": 1.5}]}


def dot(weights, values):
    return sum(weight * value for weight, value in zip(weights, values, strict=True))


def UnICORNN(w, x, state, dt=0.19, alpha=30.65):
    y, z = state
    position, velocity = [], []
    for unit in range(len(y)):
        pace = dt / (1 + math.exp(-w["c"][unit]))
        drive = w["w"][unit] * y[unit] + dot(w["from_x.weight"][unit], x) + w["from_x.bias"][unit]
        velocity.append(z[unit] - pace * (math.tanh(drive) + alpha * y[unit]))
        position.append(y[unit] + pace * velocity[unit])
    return position, [position, velocity]
