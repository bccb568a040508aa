"""Neil, Pfeiffer & Liu (2016), equations (6)-(10), with the signs of their code, unit by unit; no leak, as it is tested."""

import math

OPTIONS = {"PhasedLSTM": [{"ratio": 0.4}]}


def sigmoid(a):
    return 1 / (1 + math.exp(-a))


def product(row, values):
    return sum(a * b for a, b in zip(row, values, strict=True))


def openness(phase, ratio):
    if phase > ratio:
        return 0.0
    return phase / (ratio / 2) if phase <= ratio / 2 else (ratio - phase) / (ratio / 2)


def PhasedLSTM(w, x, state, ratio, times=None):
    h, c, (t,) = state
    n = len(h)
    now = t if times is None else t + times[0]
    new_h, new_c = [], []
    for unit in range(n):
        period = abs(w["period"][unit])
        k = openness(math.fmod(math.fmod(now + w["shift"][unit], period) + period, period) / period, ratio)
        a = [
            product(w["from_x.weight"][block * n + unit], x)
            + product(w["from_h.weight"][block * n + unit], h)
            + w["from_x.bias"][block * n + unit]
            for block in range(4)
        ]
        i, f = sigmoid(a[0] + w["peepholes"][0][unit] * c[unit]), sigmoid(a[1] + w["peepholes"][1][unit] * c[unit])
        inner = f * c[unit] + i * math.tanh(a[2])
        o = sigmoid(a[3] + w["peepholes"][2][unit] * inner)
        new_c.append(k * inner + (1 - k) * c[unit])
        new_h.append(k * o * math.tanh(inner) + (1 - k) * h[unit])
    return new_h, [new_h, new_c, [t + 1 if times is None else now]]
