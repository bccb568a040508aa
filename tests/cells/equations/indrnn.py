"""Li et al. (2018), equation (2) with ReLU, and |u| bounded, unit by unit."""

OPTIONS = {"IndRNN": [{"bound": 0.3}]}


def dot(weights, values):
    return sum(weight * value for weight, value in zip(weights, values, strict=True))


def IndRNN(w, x, state, bound=None):
    (h,) = state
    new = []
    for unit, old in enumerate(h):
        u = w["u"][unit]
        if bound is not None:
            u = min(max(u, -bound), bound)
        new.append(max(0.0, dot(w["from_x.weight"][unit], x) + u * old + w["from_x.bias"][unit]))
    return new, [new]
