import pytest
from hypothesis import given
from hypothesis import strategies as st

from seedbed.core.errors import RecipeError
from seedbed.core.nouns import DocumentBatch
from seedbed.curate.filters.c4_quality import C4Quality
from tests.conftest import examples

PIECES = [
    "lorem ipsum",
    "LOREM ",
    "Ipsum",
    "lorem",
    " ",
    "\n",
    "{",
    "{{",
    "l",
    "İpsum",
    "ſ",
    "@",
    "\x00",
    "語",
    "J",
    "Java",
]
PIECES += ["javascript", "SCRIPT", "x" * 50]


@examples(100)
@given(st.lists(st.lists(st.sampled_from(PIECES), max_size=30).map("".join), min_size=1, max_size=4))
def test_phrases_match_brute_force(texts):
    rows = C4Quality().measure(DocumentBatch.of(texts)).to_pylist()
    for row, text in zip(rows, texts, strict=True):
        assert row["lorem_ipsum"] == text.lower().count("lorem ipsum")
        assert row["javascript"] == text.lower().count("javascript")
        assert row["curly_braces"] == text.count("{")


def fails(text, **parameters):
    method = C4Quality(**parameters)
    return [rule for rule, rows in method.failures(method.measure(DocumentBatch.of([text]))).items() if rows[0]]


def test_rules():
    page = "One here. Two here.\nThree here."
    assert fails(page) == []
    assert fails(page.replace("Three here.", "")) == ["min_sentences"]
    assert fails(page + " LOREM IPSUM") == ["max_lorem_ipsum"]
    assert fails(page + " {") == ["max_curly_braces"]
    assert fails(page + " JavaScript", max_javascript=0) == ["max_javascript"]
    assert fails("") == ["min_sentences"]


@pytest.mark.parametrize(
    ("dialect", "n_sentences"),
    [("paper", 4), ("dclm", 3), ("datatrove", 3), ("dolma", 4)],
)
def test_dialects_count_other_sentences(dialect, n_sentences):
    page = 'We met e.g. him.\nIt was "good"\nSo it was.'  # Punkt knows no "e.g."; a page's lines may share a sentence
    assert fails(page, dialect=dialect, min_sentences=n_sentences) == []
    assert fails(page, dialect=dialect, min_sentences=n_sentences + 1) == ["min_sentences"]


@pytest.mark.parametrize(("nltk", "n_sentences"), [(None, 2), ("3.4", 2), ("3.8", 3), ("3.10", 4)])
def test_sentences_are_those_of_a_version_of_nltk(nltk, n_sentences):
    page = "Is it ?! Yes, \u201cit is.\u201d So."
    assert fails(page, nltk=nltk, min_sentences=n_sentences) == []
    assert fails(page, nltk=nltk, min_sentences=n_sentences + 1) == ["min_sentences"]


def test_datatrove_asks_no_nltk():
    with pytest.raises(RecipeError, match="spaCy"):
        C4Quality(dialect="datatrove", nltk="3.8")
