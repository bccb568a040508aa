"""Functions of one number that compile to vector instructions; to a few units in the last place.

The library functions of Numba are called number by number: with them the arithmetic of a gate would take longer than
its matrix product. nan, infinities and what is too large or too small come out as in torch, but for results below the
smallest normal number, which are zero.
"""

# mypy: ignore-errors
# ruff: noqa: FURB136, PLR0124  (min, max and isnan are not what nan needs here)
import inspect
import math
from functools import partial

import numpy as np
from numba import njit

from rnnvanish.engine.cpu.memory import bits_float32, bits_float64, bits_of_float32, bits_of_float64

FAST = {"contract", "nsz"}  # never "nnan" or "ninf": what is not finite must stay visible
f4, f8, i4, i8 = np.float32, np.float64, np.int32, np.int64
#: Added to a small number it leaves the nearest whole number in the last bits.
ROUND = np.float32(1.5 * 2**23)


def _inlined(function, fastmath=FAST):
    """Compile a function into its callers; of one that a type checker has wrapped, what is inside."""
    return njit(forceinline=True, fastmath=fastmath)(inspect.unwrap(function))


@partial(_inlined, fastmath={*FAST, "reassoc"})
def plus(a, b):
    """What sums are made of: in any order, so that they too are vector instructions."""
    return a + b


@_inlined
def _exp_of_rest(y, n):
    """exp(r) of y = n ln 2 + r: the polynomial of Cephes expf."""
    r = y - n * f4(0.693359375)
    r = r + n * f4(2.12194440e-4)
    p = f4(1.9875691500e-4)
    p = p * r + f4(1.3981999507e-3)
    p = p * r + f4(8.3334519073e-3)
    p = p * r + f4(4.1665795894e-2)
    p = p * r + f4(1.6666665459e-1)
    p = p * r + f4(5.0000001201e-1)
    p = p * r * r + r + f4(1)
    return p


@_inlined
def exp_float32(x):
    """exp(x) = 2ⁿ exp(r), of x = n ln 2 + r."""
    y = f4(-87.33) if x < f4(-87.33) else x
    y = f4(88.72) if y > f4(88.72) else y
    n = f4(math.floor(y * f4(1.44269504088896341) + f4(0.5)))
    p = _exp_of_rest(y, n)
    # In two halves: 2ⁿ itself overflows before the product does.
    n = n if n == n else f4(0)
    half = i4(n) >> i4(1)
    p = p * bits_float32(i4((half + i4(127)) << i4(23)))
    p = p * bits_float32(i4((i4(n) - half + i4(127)) << i4(23)))
    p = f4(0) if x < f4(-87.33) else p
    p = f4(np.inf) if x > f4(88.7228) else p
    return x if x != x else p


@_inlined
def exp_float64(x):
    """Cephes exp: x = n ln 2 + r, a ratio of polynomials in r."""
    y = f8(-708.0) if x < f8(-708.0) else x
    y = f8(709.7) if y > f8(709.7) else y
    n = f8(math.floor(y * f8(1.4426950408889634073599) + f8(0.5)))
    r = y - n * f8(6.93145751953125e-1)
    r = r - n * f8(1.42860682030941723212e-6)
    z = r * r
    p = r * ((f8(1.26177193074810590878e-4) * z + f8(3.02994407707441961300e-2)) * z + f8(9.99999999999999999910e-1))
    q = f8(3.00198505138664455042e-6) * z + f8(2.52448340349684104192e-3)
    q = q * z + f8(2.27265548208155028766e-1)
    q = q * z + f8(2.00000000000000000009e0)
    p = f8(1) + f8(2) * (p / (q - p))
    n = n if n == n else f8(0)
    half = i8(n) >> i8(1)
    p = p * bits_float64(i8((half + i8(1023)) << i8(52)))
    p = p * bits_float64(i8((i8(n) - half + i8(1023)) << i8(52)))
    p = f8(0) if x < f8(-708.0) else p
    p = f8(np.inf) if x > f8(709.78) else p
    return x if x != x else p


@_inlined
def sigmoid_float32(x):
    """1 / (1 + exp(−x)); of exp only what a sum with 1 can show, so n is never too large for the bits of 2ⁿ."""
    y = f4(88.0) if x < f4(-88.0) else -x
    y = f4(-87.0) if y < f4(-87.0) else y
    shifted = y * f4(1.44269504088896341) + ROUND
    n = shifted - ROUND
    p = _exp_of_rest(y, n)
    power = i4(i4(bits_of_float32(shifted) + i4(127)) << i4(23))
    return f4(1) / (f4(1) + p * bits_float32(power))


@_inlined
def sigmoid_float64(x):
    """1 / (1 + exp(−x))."""
    return f8(1) / (f8(1) + exp_float64(-x))


@_inlined
def tanh_float32(x):
    """The ratio of polynomials that Eigen and torch's vector code use; beyond ±7.9 it is ±1."""
    x = f4(-7.90531110763549805) if x < f4(-7.90531110763549805) else x
    x = f4(7.90531110763549805) if x > f4(7.90531110763549805) else x
    y = x * x
    p = f4(-2.76076847742355e-16)
    p = p * y + f4(2.00018790482477e-13)
    p = p * y + f4(-8.60467152213735e-11)
    p = p * y + f4(5.12229709037114e-08)
    p = p * y + f4(1.48572235717979e-05)
    p = p * y + f4(6.37261928875436e-04)
    p = p * y + f4(4.89352455891786e-03)
    q = f4(1.19825839466702e-06)
    q = q * y + f4(1.18534705686654e-04)
    q = q * y + f4(2.26843463243900e-03)
    q = q * y + f4(4.89352518554385e-03)
    return x * p / q


@_inlined
def tanh_float64(x):
    """Cephes tanh: a ratio of polynomials near zero, by exp elsewhere."""
    z = x * x
    p = (f8(-9.64399179425052238628e-1) * z + f8(-9.92877231001918586564e1)) * z + f8(-1.61468768441708447952e3)
    q = ((z + f8(1.12811678491632931402e2)) * z + f8(2.23548839060100448583e3)) * z + f8(4.84406305325125486048e3)
    near = x + x * z * (p / q)
    size = -x if x < f8(0) else x
    far = f8(1) - f8(2) / (exp_float64(f8(2) * size) + f8(1))
    far = -far if x < f8(0) else far
    return near if size < f8(0.625) else far


@_inlined
def log_float32(x):
    """ln(m 2ⁿ) = n ln 2 + ln m, m about 1: the polynomial of Cephes logf."""
    bits = bits_of_float32(x)
    m = bits_float32(i4((bits & i4(0x007FFFFF)) | i4(0x3F000000)))
    small = m < f4(0.707106781186547524)
    n = f4((bits >> i4(23)) - i4(126)) - (f4(1) if small else f4(0))
    r = (m + m if small else m) - f4(1)
    p = f4(7.0376836292e-2)
    p = p * r - f4(1.1514610310e-1)
    p = p * r + f4(1.1676998740e-1)
    p = p * r - f4(1.2420140846e-1)
    p = p * r + f4(1.4249322787e-1)
    p = p * r - f4(1.6668057665e-1)
    p = p * r + f4(2.0000714765e-1)
    p = p * r - f4(2.4999993993e-1)
    p = p * r + f4(3.3333331174e-1)
    z = r * r
    y = r * z * p - n * f4(2.12194440e-4) - f4(0.5) * z
    y = r + y + n * f4(0.693359375)
    y = f4(-np.inf) if x < f4(1.17549435e-38) else y
    y = f4(np.nan) if x < f4(0) else y
    return y if x < f4(np.inf) else x


@_inlined
def log_float64(x):
    """ln(m 2ⁿ) = n ln 2 + ln m, m about 1: the ratio of polynomials of Cephes log."""
    bits = bits_of_float64(x)
    m = bits_float64(i8((bits & i8(0x000FFFFFFFFFFFFF)) | i8(0x3FE0000000000000)))
    small = m < f8(0.70710678118654752440)
    n = f8((bits >> i8(52)) - i8(1022)) - (f8(1) if small else f8(0))
    r = (m + m if small else m) - f8(1)
    p = f8(1.01875663804580931796e-4) * r + f8(4.97494994976747001425e-1)
    p = p * r + f8(4.70579119878881725854e0)
    p = p * r + f8(1.44989225341610930846e1)
    p = p * r + f8(1.79368678507819816313e1)
    p = p * r + f8(7.70838733755885391666e0)
    q = r + f8(1.12873587189167450590e1)
    q = q * r + f8(4.52279145837532221105e1)
    q = q * r + f8(8.29875266912776603211e1)
    q = q * r + f8(7.11544750618563894466e1)
    q = q * r + f8(2.31251620126765340583e1)
    z = r * r
    y = r * (z * (p / q)) - n * f8(2.121944400546905827679e-4) - f8(0.5) * z
    y = r + y + n * f8(0.693359375)
    y = f8(-np.inf) if x < f8(2.2250738585072014e-308) else y
    y = f8(np.nan) if x < f8(0) else y
    return y if x < f8(np.inf) else x


@_inlined
def log1p_float32(x):
    """ln u of u = 1 + x, and what was rounded away there, over u."""
    u = f4(1) + x
    lost = (x - (u - f4(1))) / u
    lost = lost if u > f4(0) and u < f4(np.inf) else f4(0)
    return x if x == f4(0) else log_float32(u) + lost


@_inlined
def log1p_float64(x):
    """ln u of u = 1 + x, and what was rounded away there, over u."""
    u = f8(1) + x
    lost = (x - (u - f8(1))) / u
    lost = lost if u > f8(0) and u < f8(np.inf) else f8(0)
    return x if x == f8(0) else log_float64(u) + lost
