"""Numbers in words."""

import math
from collections.abc import Sequence


def say_number(value: float, digits: int = 3) -> str:
    """Returns a number with three significant digits, a whole one in full, an undefined one in words.

    Example:
        >>> assert [say_number(x) for x in (4120.0, 0.98765, float("nan"))] == ["4120", "0.988", "undefined"]
    """
    if math.isnan(value):
        return "undefined"
    if math.isinf(value):
        return "infinite" if value > 0 else "minus infinity"
    if value == int(value) and abs(value) < 1e9:
        return str(int(value))
    return f"{value:.{digits}g}"


def say_count(number: int, noun: str) -> str:
    """Returns ``1 run`` or ``3 runs``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def say_list(words: Sequence[str]) -> str:
    """Returns ``a``, ``a and b`` or ``a, b and c``."""
    return " and ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else "".join(words)


def say_ranges(numbers: Sequence[int]) -> str:
    """Returns sorted whole numbers, at most the first 8 of them: ``0, 5, 10 and 9 more``."""
    shown = [str(number) for number in sorted(set(numbers))]
    more = len(shown) - 8
    return say_list(shown) if more <= 1 else f"{', '.join(shown[:8])} and {more} more"
