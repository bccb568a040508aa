"""Yang et al. (2024), section 2.2, number by number, scaled and normalised as in their code."""

import math

OPTIONS = {"DeltaNet": [{"heads": 2}]}


def dot(a, b):
    return sum(one * other for one, other in zip(a, b, strict=True))


def sigmoid(a):
    return 1 / (1 + math.exp(-a))


def normalised(vector):
    return [value / math.sqrt(dot(vector, vector) + 1e-6) for value in vector]


def DeltaNet(w, x, state, heads):
    (S,) = state
    width = len(S[0])
    y, new = [], []
    for head in range(heads):
        rows = [[(block * heads + head) * width + unit for unit in range(width)] for block in range(3)]
        linear = [[dot(w["from_x.weight"][unit], x) for unit in block] for block in rows]
        q, k, v = ([value * sigmoid(value) for value in block] for block in linear)
        q, k = normalised(q), normalised(k)
        rate = sigmoid(dot(w["from_x_rate.weight"][head], x))
        error = [v[a] - dot(S[head][a], k) for a in range(width)]
        matrix = [[S[head][a][b] + rate * error[a] * k[b] for b in range(width)] for a in range(width)]
        y += [dot(matrix[a], q) / math.sqrt(width) for a in range(width)]
        new.append(matrix)
    return y, [new]
