"""Beck et al. (2024), sLSTM of equations (8)-(17) and mLSTM of (19)-(27), number by number, with the logarithms of (15)-(17)."""

import math

OPTIONS = {"SLSTM": [{"heads": 2}], "MLSTM": [{"heads": 2}]}


def sigmoid(a):
    return 1 / (1 + math.exp(-a))


def dot(a, b):
    return sum(one * other for one, other in zip(a, b, strict=True))


def row(w, layer, unit, x):
    return w[f"{layer}.bias"][unit] + dot(w[f"{layer}.weight"][unit], x)


def stabilised(i, f, m):
    """The gates i and f, and the new stabiliser."""
    new = max(math.log(sigmoid(f)) + m, i)
    return math.exp(i - new), math.exp(math.log(sigmoid(f)) + m - new), new


def SLSTM(w, x, state, heads):
    h, c, n, m = state
    size = len(h)
    width = size // heads
    new = [], [], [], []
    for unit in range(size):
        head, place = divmod(unit, width)
        own = h[head * width : (head + 1) * width]
        i, f, z, o = (row(w, "from_x", k * size + unit, x) + dot(w["from_h"][k][head][place], own) for k in range(4))
        i, f, new_m = stabilised(i, f, m[unit])
        new_c, new_n = f * c[unit] + i * math.tanh(z), f * n[unit] + i
        for part, value in zip(new, (sigmoid(o) * new_c / new_n, new_c, new_n, new_m), strict=True):
            part.append(value)
    return new[0], list(new)


def MLSTM(w, x, state, heads):
    C, n, m = state
    width = len(n[0])
    size = heads * width
    y, new_C, new_n, new_m = [], [], [], []
    for head in range(heads):
        units = range(head * width, (head + 1) * width)
        q, k, v, o = ([row(w, "from_x", block * size + unit, x) for unit in units] for block in range(4))
        k = [value / math.sqrt(width) for value in k]
        i, f, top = stabilised(row(w, "from_x_i", head, x), row(w, "from_x_f", head, x), m[head])
        matrix = [[f * C[head][a][b] + i * v[a] * k[b] for b in range(width)] for a in range(width)]
        norm = [f * n[head][b] + i * k[b] for b in range(width)]
        divisor = max(abs(dot(norm, q)), math.exp(-top))
        y += [sigmoid(o[a]) * dot(matrix[a], q) / divisor for a in range(width)]
        new_C.append(matrix)
        new_n.append(norm)
        new_m.append(top)
    return y, [new_C, new_n, new_m]
