import pytest

from seedbed.core.nouns import DocumentBatch
from seedbed.curate.dedup.url import Url, canonical

SAME = [
    "http://example.org/a/b",
    "https://www.Example.ORG/a/b/",
    "HTTP://example.org:80/a/./b#part",
    "https://user@example.org:443/a/c/../b?utm_source=x&fbclid=1",
    "http://example.org./a/b/index.html",
    "http://example.org/%61/b",
]
OTHER = [
    "http://example.org/a/B",
    "http://example.org:8080/a/b",
    "http://docs.example.org/a/b",
    "http://example.org/a/b?page=2",
    "http://example.org/a%2Fb",
    "",
    "",
    "not a url",
    "http://[broken/a/b",
]


def groups(urls, **parameters):
    method = Url(**parameters)
    found = method.signatures(DocumentBatch.of(["x"] * len(urls), url=urls))
    return method.groups(found).tolist()


def test_spellings_of_one_address_are_one_group():
    assert groups(SAME + OTHER) == [0] * len(SAME) + list(range(len(SAME), len(SAME) + len(OTHER)))


@pytest.mark.parametrize(
    ("url", "same"),
    [
        ("http://example.org", "example.org"),
        ("http://example.org/?b=2&a=1&a=0", "example.org?a=0&a=1&b=2"),
        ("http://example.org/caf%c3%a9/%7euser", "example.org/caf%C3%A9/~user"),
        ("http://example.org/../../x", "example.org/x"),
        ("mailto:me@example.org", "mailto:me@example.org"),
    ],
)
def test_canonical(url, same):
    assert canonical(url) == same
    assert canonical(same) == same


def test_parameters_decide():
    urls = ["http://example.org/a?sid=1", "https://example.org/a?sid=2", "http://example.org/a"]
    assert groups(urls) == [0, 1, 2]
    assert groups(urls, drop_parameters=("sid",)) == [0, 0, 0]
    assert groups(urls, drop_parameters=("s*",), keep_scheme=True) == [0, 1, 0]
