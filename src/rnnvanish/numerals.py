"""Numbers as people read them."""

import math

LARGE_NUMBERS = {3: "a thousand", 6: "a million", 9: "a billion", 12: "a trillion"}
SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def power_of_ten(exponent: int) -> str:
    """Write a power of ten.

    Examples:
        >>> power_of_ten(-12)
        '10⁻¹²'
    """
    return "10" + str(exponent).translate(SUPERSCRIPT)


def in_words(value: float) -> str:
    """Write a number for people: three digits, powers of ten, infinity as a sign.

    Examples:
        >>> [in_words(value) for value in (0.25, 1234.0, -4.92e-5, 1e-06, float("inf"))]
        ['0.25', '1230', '-4.92·10⁻⁵', '10⁻⁶', '∞']
    """
    digits, _, power = f"{value:.3g}".replace("inf", "∞").partition("e")
    if not power:
        return digits
    if 0 < int(power) < 6:
        return f"{float(digits) * 10 ** int(power):.0f}"
    ten = power_of_ten(int(power))
    return {"1": ten, "-1": f"-{ten}"}.get(digits, f"{digits}·{ten}")


def one_in(part: float) -> str:
    """Put a part of something into words.

    Examples:
        >>> one_in(1), one_in(0.68), one_in(0.0123), one_in(2e-7), one_in(3e-23), one_in(250.0)
        ('all', '68 %', '1 in 81', '1 in 5 million', '1 in 3·10²²', '250 times as much')
    """
    if math.isnan(part):
        return "less than can be measured"
    if math.isinf(part):
        return "more than can be measured"
    if part == 0:
        return "nothing"
    if 0.95 < part < 1.05:
        return "all"
    if part > 1:
        return f"{_count(part)} times as much"
    return f"{100 * part:.0f} %" if part > 0.1 else f"1 in {_count(1 / part)}"


def decay_in_words(half_life: float, arrives: float) -> str:
    """Say how fast something is lost, and never without what arrives of it in the end.

    Args:
        half_life: In steps; infinite where nothing is lost on the way, nan where it is not known.
        arrives: Part of it.

    Examples:
        >>> decay_in_words(18.9, 0.11), decay_in_words(float("inf"), 0.43)
        ('18.9 steps, 11 % arrives', 'nothing further is lost after 43 %')
        >>> decay_in_words(float("inf"), 1.0), decay_in_words(float("inf"), 250.0), decay_in_words(float("nan"), 0.0)
        ('nothing is lost', 'it grows, 250 times as much arrives', 'nothing arrives')
    """
    part = one_in(arrives)
    left = "what arrives is below resolution" if math.isnan(arrives) else f"{part} arrives"
    if math.isnan(half_life):
        return left
    if math.isfinite(half_life):
        return f"{in_words(half_life)} step{'' if half_life == 1 else 's'}, {left}"
    if part == "all":
        return "nothing is lost"
    return f"nothing further is lost after {part}" if arrives <= 1 else f"it grows, {left}"


def _count(number: float) -> str:
    """Say a number of one and more: 81, 5 million, 3·10²²."""
    exponent = math.floor(math.log10(number))
    if exponent < 3:
        return f"{number:.0f}" if number >= 10 else f"{number:.2g}"
    for power in (12, 9, 6):
        if power <= exponent < power + 3:
            many = _round(number / 10**power)
            return LARGE_NUMBERS[power] if many == 1 else f"{many} {LARGE_NUMBERS[power].removeprefix('a ')}"
    if exponent < 6:
        return f"{_round(number):,}"
    first, exponent = (int(part) for part in f"{number:.0e}".split("e"))  # 9.6·10²² is 10²³
    return power_of_ten(exponent) if first == 1 else f"{first}·{power_of_ten(exponent)}"


def _round(number: float) -> int:
    """Two digits are enough."""
    return int(float(f"{number:.2g}"))
