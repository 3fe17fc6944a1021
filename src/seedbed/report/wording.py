"""Numbers and foreign texts in the words of the page."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from seedbed.core import units
from seedbed.stats.intervals import Interval

_UNPRINTABLE = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\u200e\u200f\u2028-\u202e\u2066-\u2069\ufffe\uffff]"
)
"""Control characters, lone surrogates, and marks that would turn the direction of what follows them."""


def clean(text: str) -> str:
    """The text with every character that is no text (or turns the page's direction) shown as U+FFFD."""
    return _UNPRINTABLE.sub("\ufffd", text.replace("\r\n", "\n").replace("\r", "\n"))


def shorten(text: str, n_chars: int) -> str:
    """At most `n_chars` characters, with an ellipsis where something was cut."""
    return text if len(text) <= n_chars else text[: max(n_chars - 1, 1)].rstrip() + "…"


def whole(number: float) -> str:
    """1234567 -> '1,234,567'."""
    return f"{round(number):,}"


def percent(part: float, of: float) -> str:
    """'12.3 %'; small shares keep a digit that counts, and something is never shown as nothing or all."""
    if of <= 0:
        return "–"
    share = 100 * part / of
    if part == 0 or part == of:
        return f"{share:.0f} %"
    if share > 100:
        return f"{share:,.0f} %"
    if share < 0.1:
        return "< 0.1 %"
    return "> 99.9 %" if share > 99.9 else f"{share:.1f} %"


def plain(number: float) -> str:
    """A measured value or threshold: whole numbers whole, others to three digits that count."""
    if not math.isfinite(number):
        return "–"
    if abs(number) >= 1e12:
        return f"{number:.3g}"
    if float(number).is_integer():
        return f"{number:,.0f}"
    return f"{number:,.0f}" if abs(number) >= 1000 else f"{number:.3g}"


def decimals(number: float, places: int = 4) -> str:
    """'1.2340' with a real minus sign."""
    return f"{number:.{places}f}".replace("-", "−")


def signed(number: float, places: int = 4) -> str:
    """'+0.0120' or '−0.0120'."""
    return f"{number:+.{places}f}".replace("-", "−")


def between(interval: Interval, *, sign: bool = False, places: int = 4) -> str:
    """'1.2100 to 1.2500', or why there is no interval."""
    if interval.low is None or interval.high is None:
        return "no interval from one seed" if interval.n == 1 else "no interval"
    write = signed if sign else decimals
    return f"{write(interval.low, places)} to {write(interval.high, places)}"


def flop(number: float | None) -> str:
    """'1.2 PFLOP', '0' for nothing."""
    return "–" if number is None else "0" if number == 0 else units.human(number, "FLOP")


def p_value(value: float) -> str:
    """'0.012'; very small ones as what they are below."""
    return f"{value:.3f}" if value >= 0.001 else "< 0.001"


def listed(names: Sequence[str]) -> str:
    """'a, b and c'."""
    return " and ".join(part for part in (", ".join(names[:-1]), *names[-1:]) if part)


def coarse(number: float) -> str:
    """'1.2 M': a count in few characters."""
    return units.human(number).strip()


def seconds(number: float | None) -> str:
    """'3 min 5 s', or a dash where it was not logged."""
    return "–" if number is None else units.duration(number)


def thresholds_elsewhere(side: str, elsewhere: Sequence[tuple[str, float | None]]) -> str:
    """'en: min 2; th and lo: off': the thresholds that differ by language, languages with the same one together."""
    same: dict[float | None, list[str]] = {}
    for language, threshold in elsewhere:
        same.setdefault(threshold, []).append(language)
    return "; ".join(
        f"{listed(names)}: {'off' if threshold is None else f'{side} {plain(threshold)}'}"
        for threshold, names in same.items()
    )


def rule_name(rule: str) -> str:
    """`max_repeated_5gram_chars` as words."""
    return rule.replace("_", " ")


def apart(value: float, limit: float) -> tuple[str, str]:
    """Both numbers with as many digits as it takes to see that they differ."""
    for digits in range(3, 17):
        pair = (f"{value:.{digits}g}", f"{limit:.{digits}g}")
        if pair[0] != pair[1] or value == limit:
            break
    else:
        return repr(value), repr(limit)
    return (plain(value), plain(limit)) if plain(value) != plain(limit) else pair


def excerpt(text: str, n_chars: int) -> str:
    """How a text begins, without blank lines."""
    lines = (line.strip() for line in text[: 8 * n_chars].splitlines())
    return shorten("\n".join(line for line in lines if line), n_chars)
