"""Words for numbers: nothing is never shown as something, nor the other way round."""

from __future__ import annotations

import pytest

from seedbed.report import wording
from seedbed.stats.intervals import Interval


def test_languages_with_the_same_threshold_are_named_together() -> None:
    told = wording.thresholds_elsewhere("min", (("en", 2.0), ("th", None), ("zh", 1.5), ("lo", None), ("ja", 1.5)))
    assert told == "en: min 2; th and lo: off; zh and ja: min 1.5"
    assert wording.thresholds_elsewhere("min", ()) == ""


@pytest.mark.parametrize(
    ("part", "of", "said"),
    [
        (0, 10, "0 %"),
        (10, 10, "100 %"),
        (1, 10_000, "< 0.1 %"),
        (9_999, 10_000, "> 99.9 %"),
        (1, 8, "12.5 %"),
        (0, 0, "–"),
    ],
)
def test_percent(part: int, of: int, said: str) -> None:
    assert wording.percent(part, of) == said


@pytest.mark.parametrize(
    ("value", "limit", "said"),
    [
        (31, 50, ("31", "50")),
        (0.20001, 0.2, ("0.20001", "0.2")),
        (100_001, 100_000, ("100,001", "100,000")),
        (0.31, 0.2, ("0.31", "0.2")),
        (5.0, 5.0, None),
    ],
)
def test_a_broken_threshold_is_seen_to_be_broken(value: float, limit: float, said: tuple[str, str] | None) -> None:
    found = wording.apart(value, limit)
    assert found == said if said else found[0] == found[1]


def test_adjacent_floats_are_told_apart() -> None:
    assert len(set(wording.apart(0.1 + 0.2, 0.3))) == 2


def test_clean_leaves_text_and_takes_the_rest() -> None:
    assert wording.clean("ä\n\t日\U0001f331") == "ä\n\t日\U0001f331"
    assert wording.clean("a\x00b\u202ec\ud800") == "a\ufffdb\ufffdc\ufffd"


def test_an_excerpt_is_short_and_begins_where_the_text_does() -> None:
    text = "\n\n  Title \n\n\nBody " + "x" * 10_000
    assert wording.excerpt(text, 20) == "Title\nBody xxxxxxxx…"
    assert wording.excerpt("", 20) == ""


def test_minus_signs_are_minus_signs() -> None:
    assert wording.signed(-0.02) == "−0.0200"
    assert wording.between(Interval(0, -0.5, 0.5, 0.95, 3), sign=True, places=1) == "−0.5 to +0.5"
