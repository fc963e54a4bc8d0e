"""The values that TensorFlow Serving's JSON parser gives to number texts, which are not always the nearest doubles."""

from __future__ import annotations

_LARGEST_POWER = 308
_EXACT_SIGNIFICAND = (1 << 53) - 1
_SIGNIFICANT_DIGITS = 17


def integer_within_64_bits(digits: bytes, *, minus: bool) -> int | None:
    """The integer, or None where it fits neither int64 (with a minus sign) nor uint64 (without)."""
    if len(digits) > 20:
        return None
    value = int(digits)
    return value if value <= _limit(minus=minus) else None


def double(whole: bytes, fraction: bytes, exponent: int, *, minus: bool) -> float:
    """The absolute value, infinity where it is too big.

    The parser gathers digits exactly up to 53 bits, goes on in floating point up to 17 digits, and scales by one power
    of ten: exact for what people write, off by a last place now and then for 17 digits.
    """
    integer = integer_within_64_bits(whole, minus=minus)
    if integer is None:
        return _scaled(_long_integer(whole, minus=minus), exponent)
    digits = len(whole) - 1
    power = exponent
    place = 0
    while place < len(fraction) and integer <= _EXACT_SIGNIFICAND:
        integer = integer * 10 + fraction[place] - 48
        place += 1
        digits += 1 if integer else 0
    value = float(integer)
    taken = place
    for digit in fraction[place:]:
        if digits >= _SIGNIFICANT_DIGITS:
            break
        value = value * 10.0 + (digit - 48)
        taken += 1
        digits += 1
    return _scaled(value, power - taken)


def _limit(*, minus: bool) -> int:
    return 1 << 63 if minus else (1 << 64) - 1


def _long_integer(digits: bytes, *, minus: bool) -> float:
    """Digits beyond 64 bits: as many as fit exactly, then one rounded step for each of the rest."""
    exact = 18 if int(digits[:19]) > _limit(minus=minus) else 19 if int(digits[:20]) > _limit(minus=minus) else 20
    value = float(int(digits[:exact]))
    for digit in digits[exact:]:
        value = value * 10.0 + (digit - 48)
        if value == float("inf"):
            break
    return value


def _scaled(value: float, power: int) -> float:
    if value == 0.0:
        return 0.0
    if power < -_LARGEST_POWER:
        return _by_power(_by_power(value, -_LARGEST_POWER), power + _LARGEST_POWER)
    return _by_power(value, power)


def _by_power(value: float, power: int) -> float:
    if power < -_LARGEST_POWER:
        return 0.0
    if power > _LARGEST_POWER:
        return float("inf")
    return value * float(f"1e{power}") if power >= 0 else value / float(f"1e{-power}")
