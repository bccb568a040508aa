"""Orvieto et al. (2023), appendix A, number by number."""

import cmath
import math


def LRU(w, x, state):
    (s,) = state
    new = []
    for n, old in enumerate(s):
        decay = cmath.exp(complex(-math.exp(w["nu"][n]), math.exp(w["theta"][n])))
        read = sum(complex(re, im) * value for re, im, value in zip(w["b_re"][n], w["b_im"][n], x, strict=True))
        new.append(decay * old + math.exp(w["gamma"][n]) * read)
    y = []
    for unit, skip in enumerate(w["d"]):
        c = [complex(re, im) for re, im in zip(w["c_re"][unit], w["c_im"][unit], strict=True)]
        out = sum(a * b for a, b in zip(c, new, strict=True)).real
        y.append(out + sum(weight * value for weight, value in zip(skip, x, strict=True)))
    return y, [new]
