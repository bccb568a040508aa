"""Arjovsky et al. (2016) as their code has it, with sums for the Fourier transforms, unit by unit."""

import cmath
import math


def reflected(v, re, im):
    r = [complex(a, b) for a, b in zip(re, im, strict=True)]
    along = sum(a * b for a, b in zip(v, r, strict=True)) / sum(abs(each) ** 2 for each in r)
    return [a - 2 * along * b.conjugate() for a, b in zip(v, r, strict=True)]


def transformed(v, sign):
    n = len(v)
    return [sum(v[j] * cmath.exp(sign * 2j * math.pi * j * k / n) for j in range(n)) / math.sqrt(n) for k in range(n)]


def turned(v, phases):
    return [value * cmath.exp(-1j * phase) for value, phase in zip(v, phases, strict=True)]


def URNN(w, x, state):
    (h,) = state
    n = len(h)
    h = reflected(transformed(turned(h, w["phases"][0]), -1), *w["reflections"][0])
    h = turned([h[place] for place in w["order"]], w["phases"][1])
    h = turned(reflected(transformed(h, +1), *w["reflections"][1]), w["phases"][2])
    new = []
    for unit in range(n):
        re = sum(a * b for a, b in zip(w["from_x.weight"][unit], x, strict=True))
        im = sum(a * b for a, b in zip(w["from_x.weight"][n + unit], x, strict=True))
        z = h[unit] + complex(re, im)
        new.append(z * max(0.0, abs(z) + w["bias"][unit]) / (abs(z) + 1e-5))
    return [each.real for each in new] + [each.imag for each in new], [new]


def URNN_start(w, noughts):
    return [[complex(re, im) for re, im in zip(*w["h0"], strict=True)]]
