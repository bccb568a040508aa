"""Rusch & Mishra (2021), coRNN, with explicit damping as in their code, unit by unit."""

import math

OPTIONS = {"CoRNN": [{"dt": 0.5, "gamma": 1.5, "epsilon": 0.7}]}


def dot(weights, values):
    return sum(weight * value for weight, value in zip(weights, values, strict=True))


def CoRNN(w, x, state, dt=0.042, gamma=2.7, epsilon=4.7):
    y, z = state
    velocity = []
    for unit in range(len(y)):
        drive = dot(w["from_x.weight"][unit], x) + w["from_x.bias"][unit]
        drive += dot(w["from_y.weight"][unit], y) + dot(w["from_z.weight"][unit], z)
        velocity.append(z[unit] + dt * (math.tanh(drive) - gamma * y[unit] - epsilon * z[unit]))
    position = [y[unit] + dt * velocity[unit] for unit in range(len(y))]
    return position, [position, velocity]
