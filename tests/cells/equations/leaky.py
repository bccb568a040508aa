"""A leaky integrator, unit by unit: of the old value 1 − a is kept, of the new one a is taken."""

import math

OPTIONS = {"LeakyRNN": [{"leak": 0.8}]}


def dot(weights, values):
    return sum(weight * value for weight, value in zip(weights, values, strict=True))


def LeakyRNN(w, x, state, leak=0.3):
    (h,) = state
    new = []
    for unit, old in enumerate(h):
        drive = w["from_x.bias"][unit] + dot(w["from_x.weight"][unit], x) + dot(w["from_h.weight"][unit], h)
        new.append((1 - leak) * old + leak * math.tanh(drive))
    return new, [new]
