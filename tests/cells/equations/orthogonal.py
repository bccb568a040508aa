"""expRNN by its power series, scoRNN by elimination, oRNN one reflection after the other, unit by unit."""

import math

OPTIONS = {"ScoRNN": [{"negative": 3}], "HouseholderRNN": [{"reflections": 2}]}


def dot(weights, values):
    return sum(weight * value for weight, value in zip(weights, values, strict=True))


def modrelu(z, b):
    return math.copysign(max(0.0, abs(z) + b), z)


def times_skew(h, a):
    """A row times the matrix that has `a` above its diagonal and −aᵀ below."""
    n = len(h)
    return [sum(h[i] * (a[i][j] if i < j else -a[j][i]) for i in range(n) if i != j) for j in range(n)]


def ExpRNN(w, x, state):
    (h,) = state
    total, term = list(h), list(h)
    for power in range(1, 80):
        term = [value / power for value in times_skew(term, w["a"])]
        total = [one + other for one, other in zip(total, term, strict=True)]
    new = [modrelu(dot(w["from_x.weight"][i], x) + total[i], w["bias"][i]) for i in range(len(h))]
    return new, [new]


def ScoRNN(w, x, state, negative=0):
    (h,) = state
    n = len(h)
    # v (I + S) = h, as equations for the numbers of v, which are eliminated one by one.
    unit_rows = [[float(i == j) for j in range(n)] for i in range(n)]
    turned = [times_skew(row, w["a"]) for row in unit_rows]
    table = [[unit_rows[i][j] + turned[i][j] for i in range(n)] + [h[j]] for j in range(n)]
    for column in range(n):
        pivot = max(range(column, n), key=lambda line: abs(table[line][column]))
        table[column], table[pivot] = table[pivot], table[column]
        for line in range(n):
            if line != column:
                factor = table[line][column] / table[column][column]
                table[line] = [a - factor * b for a, b in zip(table[line], table[column], strict=True)]
    v = [table[i][n] / table[i][i] for i in range(n)]
    q = [one - other for one, other in zip(v, times_skew(v, w["a"]), strict=True)]
    q = [-value if n - i <= negative else value for i, value in enumerate(q)]
    new = [modrelu(dot(w["from_x.weight"][i], x) + q[i], w["bias"][i]) for i in range(n)]
    return new, [new]


def HouseholderRNN(w, x, state, reflections=None):
    (h,) = state
    n = len(h)
    q = [*h[:-1], h[-1] * w["d"][-1]]
    for k in reversed(range(len(w["u"][0]))):
        u = [w["u"][i][k] if i >= k else 0.0 for i in range(n)]
        along = 2 * dot(u, q) / dot(u, u)
        q = [q[i] - along * u[i] for i in range(n)]
    sums = [dot(w["from_x.weight"][i], x) + w["from_x.bias"][i] + q[i] for i in range(n)]
    new = [each if each >= 0 else 0.1 * each for each in sums]
    return new, [new]


def HouseholderRNN_start(w, noughts):
    return [w["h0"]]
