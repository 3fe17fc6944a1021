import pytest
from hypothesis import given
from hypothesis import strategies as st

from seedbed.core.nouns import DocumentBatch
from seedbed.curate.dedup.sentence_spans import SentenceSpans
from seedbed.text.rules.punkt import line_sentences, sentences_of_lines
from tests.conftest import examples

SENTENCES = ["One is here.", "Two is.", 'Three "said so."', "Is it four?", "Dr. Five left!", "It is 六!"]
FOLDED = "One went. Two stayed. Three slept. ONE went. Two stayed! Three, slept."
TEXTS = st.lists(
    st.lists(st.tuples(st.sampled_from(SENTENCES), st.sampled_from([" ", "\n"])), max_size=14), min_size=1, max_size=3
)


def written(sentences):
    return "".join(sentence + gap for sentence, gap in sentences)


def spans_cut(sentences, n, keep_first=True):
    """Which sentences stay, by the plain rule on one document."""
    said = [sentence for sentence, _ in sentences]
    spans = [tuple(said[i : i + n]) for i in range(len(said) - n + 1)]
    repeats = [spans.count(span) > 1 and (not keep_first or span in spans[:i]) for i, span in enumerate(spans)]
    gone = set()
    for i, repeat in enumerate(repeats):
        if repeat:
            behind_first = spans.index(spans[i]) + n if keep_first else 0
            gone.update(range(max(i, behind_first), i + n))
    return [sentence for i, sentence in enumerate(said) if i not in gone]


def found_sentences(text):
    batch = DocumentBatch.of([text])
    found = batch.derive(sentences_of_lines)
    data = text.encode()
    return [data[a:b].decode() for a, b in zip(found.start.tolist(), found.end.tolist(), strict=True)]


def test_sentences_are_told_where_they_stand():
    text = '  Dr. A. Smith "left." Then he\u00a0came...  It was (so.) And!\n\nthe end'
    assert found_sentences(text) == ['Dr. A. Smith "left."', "Then he\u00a0came...", "It was (so.)", "And!", "the end"]


@examples(100)
@given(st.lists(st.lists(st.sampled_from([*SENTENCES, " ", "\n", ".", '"', ")", "--"])).map("".join), min_size=1))
def test_there_are_as_many_as_counted(texts):
    batch = DocumentBatch.of(texts)
    found = batch.derive(sentences_of_lines)
    assert found.per_document.tolist() == batch.derive(line_sentences("3.4")).tolist()
    assert all(a < b for a, b in zip(found.start.tolist(), found.end.tolist(), strict=True))


@examples(100)
@given(TEXTS, st.integers(1, 4), st.booleans())
def test_cut_is_the_plain_rule(texts, n, keep_first):
    method = SentenceSpans(n_sentences=n, keep_first=keep_first)
    edited = method.edit(DocumentBatch.of([written(text) for text in texts])).texts.to_pylist()
    assert [found_sentences(text) for text in edited] == [spans_cut(text, n, keep_first) for text in texts]


@examples(50)
@given(TEXTS)
def test_keys_repeat_where_spans_do(texts):
    found = SentenceSpans().passages(DocumentBatch.of([written(text) for text in texts]))
    said = [[sentence for sentence, _ in text] for text in texts]
    spans = [tuple(row[i : i + 3]) for row in said for i in range(len(row) - 2)]
    assert len(found.key) == len(spans)
    assert len(set(found.key.tolist())) == len(set(spans))


@pytest.mark.parametrize(("folded", "left"), [(False, FOLDED), (True, "One went. Two stayed. Three slept.")])
def test_folded_sentences_are_equal(folded, left):
    assert SentenceSpans(folded=folded).edit(DocumentBatch.of([FOLDED])).texts.to_pylist() == [left]


def test_two_sentences_are_no_span():
    text = "One is here. Two is. One is here. Two is."
    assert SentenceSpans().edit(DocumentBatch.of([text])).texts.to_pylist() == [text]
