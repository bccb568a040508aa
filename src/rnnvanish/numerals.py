"""Numbers as people read them."""

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
