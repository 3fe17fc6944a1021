from hypothesis import given, settings
from hypothesis import strategies as st

from seedbed.core.nouns import DocumentBatch
from seedbed.curate.filters.c4_quality import C4Quality

PIECES = ["lorem ipsum", "LOREM ", "Ipsum", "lorem", " ", "\n", "{", "{{", "l", "İpsum", "ſ", "@", "\x00", "語"]


@settings(deadline=None, database=None, max_examples=100)
@given(st.lists(st.lists(st.sampled_from(PIECES), max_size=30).map("".join), min_size=1, max_size=4))
def test_phrases_match_brute_force(texts):
    rows = C4Quality().measure(DocumentBatch.of(texts)).to_pylist()
    for row, text in zip(rows, texts, strict=True):
        assert row["lorem_ipsum"] == text.lower().count("lorem ipsum")
        assert row["curly_braces"] == text.count("{")


def fails(text):
    method = C4Quality()
    return [rule for rule, rows in method.failures(method.measure(DocumentBatch.of([text]))).items() if rows[0]]


def test_rules():
    page = "One here. Two here. Three here.\nFour here. Five here."
    assert fails(page) == []
    assert fails(page.replace("Five here.", "")) == ["min_sentences"]
    assert fails(page + " LOREM IPSUM") == ["max_lorem_ipsum"]
    assert fails(page + " {") == ["max_curly_braces"]
    assert fails("") == ["min_sentences"]
