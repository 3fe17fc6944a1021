import heapq

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seedbed.core.nouns import DocumentBatch
from seedbed.curate.filters.mc4_quality import Mc4Quality
from tests.conftest import examples

PIECES = ["x" * 64, "é" * 70, "語" * 66, "😀", "a", " ", "\t", "\n", "\n", "\r", "\u2028", "\x0b"]
TEXTS = st.lists(st.lists(st.sampled_from(PIECES), max_size=30).map("".join), min_size=1, max_size=4)


@examples(100)
@given(TEXTS, st.sampled_from([1, 64, 65, 200]))
def test_lines_match_brute_force(texts, length):
    found = Mc4Quality(long_line_length=length).measure(DocumentBatch.of(texts)).column("long_lines").to_pylist()
    assert found == [sum(len(line) >= length for line in text.split("\n")) for text in texts]


@examples(100)
@given(TEXTS)
def test_verdict_is_that_of_the_three_longest_lines(texts):
    method = Mc4Quality(long_line_length=64)
    dropped = method.failures(method.measure(DocumentBatch.of(texts)))["min_long_lines"].tolist()
    assert dropped == [min([0, 0, *heapq.nlargest(3, map(len, text.split("\n")))][-3:]) < 64 for text in texts]


@pytest.mark.parametrize(("lengths", "dropped"), [((200, 200, 200), False), ((200, 199, 5000), True), ((600,), True)])
def test_thresholds_are_those_of_mc4(lengths, dropped):
    method = Mc4Quality()
    signals = method.measure(DocumentBatch.of(["\n".join("é" * length for length in lengths)]))
    assert method.failures(signals)["min_long_lines"].tolist() == [dropped]
