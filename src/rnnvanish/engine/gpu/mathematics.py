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


@triton.jit
def sinh(x):
    # By expm1, which is exact near zero; in halves, as exp(x) overflows before its half does.
    u = expm1(tl.abs(x))
    far = 0.5 * tl.exp(0.5 * tl.abs(x)) * tl.exp(0.5 * tl.abs(x))
    size = tl.where(tl.abs(x) > 20.0, far, 0.5 * (u + u / (u + 1.0)))
    return tl.where(x < 0, -size, tl.where(x == 0, x, size))


@triton.jit
def atan(x):
    # Cephes atan: of what is large by its reciprocal, of what is near one by (x − 1) / (x + 1).
    size = tl.abs(x)
    large = size > 2.41421356237309504880
    middle = (size > 0.66) & (large == 0)
    y = tl.where(large, -1.0 / tl.where(large, size, 1.0), tl.where(middle, (size - 1.0) / (size + 1.0), size))
    z = y * y
    p = z * -8.750608600031904122785e-1 + -1.615753718733365076637e1
    p = ((p * z + -7.500855792314704667340e1) * z + -1.228866684490136173410e2) * z + -6.485021904942025371773e1
    q = ((z + 2.485846490142306297962e1) * z + 1.650270098316988542046e2) * z + 4.328810604912902668951e2
    q = (q * z + 4.853903996359136964868e2) * z + 1.945506571482613964425e2
    of = y * (z * (p / q)) + y
    of = tl.where(large, 1.5707963267948966192 + of, tl.where(middle, 0.78539816339744830962 + of, of))
    return tl.where(x < 0, -of, tl.where(x == 0, x, of))


@triton.jit
def atan2(y, x):
    # The angle of the point (x, y); a zero has a sign.
    both = (tl.abs(y) == float("inf")) & (tl.abs(x) == float("inf"))
    zero = (y == 0) & (x == 0)
    ratio = tl.where(both, 1.0, tl.abs(y) / tl.where(zero, 1.0, tl.abs(x)))
    of = atan(ratio)
    behind = (x < 0) | ((x == 0) & (1.0 / x < 0))
    of = tl.where(behind, 3.14159265358979323846 - of, of)
    of = tl.where((y < 0) | ((y == 0) & (1.0 / y < 0)), -of, of)
    return tl.where((x != x) | (y != y), float("nan"), of)


@triton.jit
def asin(x):
    return atan2(x, tl.sqrt((1.0 - x) * (1.0 + x)))


@triton.jit
def acos(x):
    return atan2(tl.sqrt((1.0 - x) * (1.0 + x)), x)


@triton.jit
def hypot(x, y):
    # By the ratio of the smaller to the larger, which neither overflows.
    x, y = tl.abs(x), tl.abs(y)
    large, small = tl.where(x > y, x, y), tl.where(x > y, y, x)
    ratio = small / tl.where(large == 0, 1.0, large)
    of = large * tl.sqrt(1.0 + ratio * ratio)
    of = tl.where((x != x) | (y != y), float("nan"), of)
    return tl.where((x == float("inf")) | (y == float("inf")), float("inf"), of)


@triton.jit
def erfc(x):
    # Cephes erfc: exp(−x²) times a ratio of polynomials from one on, 1 − erf below.
    size = tl.abs(x)
    y = tl.where(size < 1.0, 1.0, tl.where(size > 27.0, 27.0, size))
    p = y * 2.46196981473530512524e-10 + 5.64189564831068821977e-1
    p = ((p * y + 7.46321056442269912687) * y + 4.86371970985681366614e1) * y + 1.96520832956077098242e2
    p = ((p * y + 5.26445194995477358631e2) * y + 9.34528527171957607540e2) * y + 1.02755188689515710272e3
    p = p * y + 5.57535335369399327526e2
    q = ((y + 1.32281951154744992508e1) * y + 8.67072140885989742329e1) * y + 3.54937778887819891062e2
    q = ((q * y + 9.75708501743205489753e2) * y + 1.82390916687909736289e3) * y + 2.24633760818710981792e3
    q = (q * y + 1.65666309194161350182e3) * y + 5.57535340817727675546e2
    r = (y * 5.64189583547755073984e-1 + 1.27536670759978104416) * y + 5.01905042251180477414
    r = ((r * y + 6.16021097993053585195) * y + 7.40974269950448939160) * y + 2.97886665372100240670
    s = ((y + 2.26052863220117276590) * y + 9.39603524938001434673) * y + 1.20489539808096656605e1
    s = ((s * y + 1.70814450747565897222e1) * y + 9.60896809063285878198) * y + 3.36907645100081516050
    of = tl.exp(-y * y) * tl.where(y < 8.0, p / q, r / s)
    of = tl.where(size > 27.0, 0.0, tl.where(x < 0, 2.0 - of, of))
    of = tl.where((size > 27.0) & (x < 0), 2.0, of)
    return tl.where(size < 1.0, 1.0 - tl.erf(x), tl.where(x != x, x, of))
"""
