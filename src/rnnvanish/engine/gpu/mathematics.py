"""Functions that Triton lacks or has no exact form of; nan and infinities come out as in torch.

They are a text, the head of every generated module: Triton is imported by nothing but that.
"""

HEADER = """import triton
import triton.language as tl


@triton.jit
def plus(a, b):
    # What sums are made of.
    return a + b


@triton.jit
def compose(a, b, c, d):
    # First h → a h + b, then h → c h + d.
    return a * c, b * c + d


@triton.jit
def sigmoid(x):
    # 1 / (1 + exp(−x)).
    return 1.0 / (1.0 + tl.exp(-x))


@triton.jit
def tanh_float32(x):
    # The ratio of polynomials that Eigen and torch's vector code use; beyond ±7.9 it is ±1.
    x = tl.where(x < -7.90531110763549805, -7.90531110763549805, x)
    x = tl.where(x > 7.90531110763549805, 7.90531110763549805, x)
    y = x * x
    p = y * -2.76076847742355e-16 + 2.00018790482477e-13
    p = p * y + -8.60467152213735e-11
    p = p * y + 5.12229709037114e-08
    p = p * y + 1.48572235717979e-05
    p = p * y + 6.37261928875436e-04
    p = p * y + 4.89352455891786e-03
    q = y * 1.19825839466702e-06 + 1.18534705686654e-04
    q = q * y + 2.26843463243900e-03
    q = q * y + 4.89352518554385e-03
    return x * p / q


@triton.jit
def tanh_float64(x):
    # Cephes tanh: a ratio of polynomials near zero, by exp elsewhere.
    z = x * x
    p = (z * -9.64399179425052238628e-1 + -9.92877231001918586564e1) * z + -1.61468768441708447952e3
    q = ((z + 1.12811678491632931402e2) * z + 2.23548839060100448583e3) * z + 4.84406305325125486048e3
    far = 1.0 - 2.0 / (tl.exp(2.0 * tl.abs(x)) + 1.0)
    return tl.where(tl.abs(x) < 0.625, x + x * z * (p / q), tl.where(x < 0, -far, far))


@triton.jit
def rint(x):
    # The nearest whole number, of two the even one; what is large has no fraction.
    low = tl.floor(x)
    rest = x - low
    odd = tl.floor(low * 0.5) * 2.0 != low
    return tl.where(low == x, x, tl.where((rest > 0.5) | ((rest == 0.5) & odd), low + 1.0, low))


@triton.jit
def remainder(x, y):
    # Of the sign of y; that of % is the sign of x.
    rest = x % y
    return tl.where((rest != 0) & ((rest < 0) != (y < 0)), rest + y, rest)


@triton.jit
def log1p(x):
    # Kahan's: what rounding took from 1 + x is made up for by the quotient.
    u = 1.0 + x
    near = (u == 1.0) | (u == float("inf"))
    v = tl.where(near, 2.0, u)
    return tl.where(near, x, tl.log(v) * (x / (v - 1.0)))


@triton.jit
def expm1(x):
    # Kahan's, likewise.
    u = tl.exp(x)
    plain = (u == 1.0) | (tl.abs(x) > 0.7)
    v = tl.where(plain, 2.0, u)
    return tl.where(u == 1.0, x, tl.where(plain, u - 1.0, (v - 1.0) * (x / tl.log(v))))


@triton.jit
def power(x, y):
    # By exp and log; a negative number has powers of whole numbers alone.
    size = tl.abs(x)
    whole = tl.floor(y) == y
    odd = whole & (tl.floor(y * 0.5) * 2.0 != y)
    of = tl.exp(y * tl.log(tl.where(size == 0, 1.0, size)))
    of = tl.where(size == 0, tl.where(y > 0, 0.0, float("inf")), tl.where(size == 1.0, 1.0, of))
    of = tl.where(((x < 0) | (1.0 / x < 0)) & odd, -of, of)
    of = tl.where(((x < 0) & (whole == 0) & (size != float("inf"))) | (y != y), float("nan"), of)
    return tl.where((y == 0) | (x == 1.0), 1.0, of)
"""
