"""Numbers with units, read from people and written for people."""

from __future__ import annotations

import re

from seedbed.core.errors import RecipeError

_FACTORS = {"": 1, "k": 10**3, "m": 10**6, "b": 10**9, "g": 10**9, "t": 10**12}


def count(value: int | float | str, where: str) -> int:
    """A count such as 20000000, "20M", "1.5B" or 2e7. Raises RecipeError naming `where`."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    match = re.fullmatch(r"\s*([0-9.]+(?:[eE][+-]?[0-9]+)?)\s*([kKmMbBgGtT]?)\s*", str(value).replace("_", ""))
    if not match:
        raise RecipeError(where, f"{value!r} is not a count", "Write it as 20000000, 2e7 or 20M.")
    return round(float(match.group(1)) * _FACTORS[match.group(2).lower()])


def human(number: float, unit: str = "") -> str:
    """1234567 -> '1.23 M'; with a unit behind it. Below 1,000 whole numbers stay whole; from 1e18 on it is 1e18."""
    if abs(number) >= 1e18:
        return f"{number:.3g} {unit}".replace("e+", "e").rstrip()
    for factor, letter in ((1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(number) >= factor:
            return f"{number / factor:.3g} {letter}{unit}"
    text = f"{number:.0f}" if float(number).is_integer() else f"{number:.3g}"
    return f"{text} {unit}".rstrip()


def duration(seconds: float) -> str:
    """Seconds as '42 s', '3 min 5 s' or '2 h 10 min'."""
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
