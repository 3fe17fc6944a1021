import pytest

from seedbed.core import arrow
from seedbed.core.nouns import DocumentBatch
from seedbed.select.contract import Given
from seedbed.select.scorers.url_pattern import UrlPattern

DOCUMENTS = DocumentBatch.of(
    ["x"] * 4,
    url=["https://a.org/law/1", "https://b.org/", "", "https://A.org/law"],
    source=["law", "", "lawn", "news"],
)


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        (UrlPattern(), [0, 0, 0, 0]),
        (UrlPattern(patterns=("*a.org/law*",)), [1, 0, 0, 0]),
        (UrlPattern(patterns=("*a.org/law*",), ignore_case=True), [1, 0, 0, 1]),
        (UrlPattern(patterns=("*b.org*", "https://?.org/law")), [0, 1, 0, 1]),
        (UrlPattern(patterns=("law",), field="source"), [1, 0, 0, 0]),
        (UrlPattern(patterns=("law*",), field="source"), [1, 0, 1, 0]),
    ],
)
def test_globs_match_the_whole_field(method, expected):
    assert arrow.numpy(method.fit(Given()).measure(DOCUMENTS), "score").tolist() == expected


def test_many_stars_do_not_blow_up():
    hostile = DocumentBatch.of(["x"], url=["a" * 20_000])
    fitted = UrlPattern(patterns=("*a" * 30 + "b",)).fit(Given())
    assert arrow.numpy(fitted.measure(hostile), "score").tolist() == [0]
