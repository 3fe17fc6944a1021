import pytest
from hypothesis import given
from hypothesis import strategies as st

from seedbed.core.nouns import DocumentBatch
from seedbed.curate.filters.page_length import PageLength
from tests.conftest import examples


@examples(100)
@given(st.lists(st.text(st.sampled_from("aé語😀 \n\t\u00a0\u2003\x1f"), max_size=200), min_size=1, max_size=4))
def test_numbers_match_brute_force(texts):
    rows = PageLength().measure(DocumentBatch.of(texts)).to_pylist()
    assert rows == [{"characters": len(text), "words": len(text.split())} for text in texts]


def fails(text, **parameters):
    method = PageLength(**parameters)
    return [rule for rule, rows in method.failures(method.measure(DocumentBatch.of([text]))).items() if rows[0]]


def test_longer_pages_than_c4_takes_go():
    assert fails("é" * 190_000) == []
    assert fails("é" * 190_001) == ["max_characters"]


@pytest.mark.parametrize(
    ("parameters", "rules"),
    [
        ({"min_characters": 8}, ["min_characters"]),
        ({"min_characters": 7}, []),
        ({"min_words": 3}, ["min_words"]),
        ({"max_words": 1, "max_characters": None}, ["max_words"]),
        ({"max_words": 2}, []),
    ],
)
def test_bounds(parameters, rules):
    assert fails("one two", **parameters) == rules
