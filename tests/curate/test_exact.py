import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from seedbed.core.nouns import DocumentBatch
from seedbed.curate.dedup.exact import Exact
from tests.conftest import examples

PIECES = ["a", "A", " ", "\n", "É", "é", "語"]


def groups(texts, **parameters):
    method = Exact(**parameters)
    return method.groups(method.signatures(DocumentBatch.of(texts))).tolist()


@examples(100)
@given(st.lists(st.lists(st.sampled_from(PIECES), max_size=4).map("".join), max_size=12), st.booleans(), st.booleans())
def test_groups_are_equal_texts(texts, ignore_case, ignore_whitespace):
    alike = [text.lower() if ignore_case else text for text in texts]
    alike = [" ".join(text.split()) if ignore_whitespace else text for text in alike]
    expected = [alike.index(text) if text else row for row, text in enumerate(alike)]
    assert groups(texts, ignore_case=ignore_case, ignore_whitespace=ignore_whitespace) == expected


def test_hash_is_128_bits_of_the_text_alone():
    method = Exact()
    one = method.signatures(DocumentBatch.of(["x", "some text", ""]))
    other = method.signatures(DocumentBatch.of(["some text"]))
    assert one.slice(1, 1).equals(other)
    assert one.slice(2, 1).to_pylist() == [{"text_hash_high": 0, "text_hash_low": 0}]
    import xxhash

    row = other.to_pylist()[0]
    assert (row["text_hash_high"] << 64) + row["text_hash_low"] == xxhash.xxh3_128_intdigest(b"some text")


def test_no_rows():
    assert Exact().groups(Exact().signatures(DocumentBatch.of([]))).dtype == np.int64
