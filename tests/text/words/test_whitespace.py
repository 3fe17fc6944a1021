import itertools
import unicodedata
from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from seedbed.core.nouns import DocumentBatch
from seedbed.text import unicode
from seedbed.text.repeats import groups
from seedbed.text.rules import lines, ngrams
from seedbed.text.words import normalize
from seedbed.text.words import whitespace as words
from tests.conftest import examples

PIECES = [
    "a",
    "b",
    "ab",
    "É",
    "ﬁ",
    "한",
    "語",
    "😀",
    "9",
    "٣",
    ".",
    "—",
    " ",
    " ",
    "\n",
    "\n\n",
    "\t",
    "\u2003",
    "\x1c",
]
TEXTS = st.lists(
    st.one_of(
        st.lists(st.sampled_from(PIECES), max_size=40).map("".join), st.text(st.characters(exclude_categories=["Cs"]))
    ),
    min_size=1,
    max_size=4,
)
quick = examples(100)


def code_points():
    return [code for code in range(0x110000) if not 0xD800 <= code <= 0xDFFF]


def test_every_code_point_has_the_class_python_gives_it():
    flags = unicode.flags()
    for bit, asks in [(unicode.SPACE, str.isspace), (unicode.ALPHA, str.isalpha), (unicode.UPPER, str.isupper)]:
        wrong = [hex(c) for c in code_points() if bool(flags[c] & bit) != asks(chr(c))]
        if bit == unicode.UPPER:  # str.isupper also holds for circled and Roman numeral capitals, which are no letters
            wrong = [code for code in wrong if unicodedata.category(chr(int(code, 16))).startswith("L")]
        assert not wrong
    digits = [c for c in code_points() if unicodedata.category(chr(c)) == "Nd"]
    assert np.flatnonzero(flags & unicode.DIGIT).tolist() == digits
    marks = [c for c in code_points() if unicodedata.category(chr(c))[0] in "PS"]
    assert np.flatnonzero(flags & unicode.PUNCTUATION).tolist() == marks


def test_sentence_terminals_are_punctuation_of_many_scripts():
    terminals = unicode.sentence_terminals()
    assert {".", "?", "!", "。", "؟", "।", "።"} <= {chr(code) for code in terminals}
    assert "," not in map(chr, terminals)
    assert {unicodedata.category(chr(code))[0] for code in terminals} <= {"P", "S", "C"}  # C: newer than this Python


@quick
@given(TEXTS)
def test_lower_and_squeeze_match_python(texts):
    buffers = DocumentBatch.of(texts).text_buffers()
    data, bounds = normalize.squeeze(*buffers)
    assert [bytes(data[a:b]).decode() for a, b in itertools.pairwise(bounds)] == [" ".join(t.split()) for t in texts]
    data, bounds = normalize.lower(*buffers)
    small = ["".join(c.lower() if len(c.lower()) == 1 else c for c in text) for text in texts]
    assert [bytes(data[a:b]).decode() for a, b in itertools.pairwise(bounds)] == small


@quick
@given(TEXTS)
def test_words_match_python(texts):
    batch = DocumentBatch.of(texts)
    data, _ = batch.text_buffers()
    found = batch.derive(words.words)
    spans = [bytes(data[a:b]).decode() for a, b in zip(found.start, found.end, strict=True)]
    expected = [word for text in texts for word in text.split()]
    assert spans == expected
    assert found.per_document.tolist() == [len(text.split()) for text in texts]
    assert found.chars.tolist() == [len(word) for word in expected]
    assert found.alphabetic.tolist() == [any(map(str.isalpha, word)) for word in expected]
    assert (
        len({*zip(expected, found.hash.tolist(), strict=True)}) == len(set(expected)) == len(set(found.hash.tolist()))
    )


@quick
@given(TEXTS)
def test_lines_and_paragraphs_match_python(texts):
    batch = DocumentBatch.of(texts)
    data, _ = batch.text_buffers()
    for split, separator in [(lines.lines, "\n"), (lines.paragraphs, "\n\n")]:
        found = batch.derive(split)
        expected = [[p.strip() for p in text.split(separator) if p.strip()] for text in texts]
        spans = [bytes(data[a:b]).decode() for a, b in zip(found.start, found.end, strict=True)]
        assert spans == list(itertools.chain(*expected))
        assert found.chars.tolist() == [len(span) for span in spans]
        repeats = lines.repeats(found)
        counts = [Counter(segments) for segments in expected]
        assert repeats.n.tolist() == [c.total() for c in counts]
        assert repeats.chars.tolist() == [sum(len(s) * n for s, n in c.items()) for c in counts]
        assert repeats.repeated.tolist() == [sum(n for n in c.values() if n > 1) for c in counts]
        assert repeats.repeated_chars.tolist() == [sum(len(s) * n for s, n in c.items() if n > 1) for c in counts]
        assert repeats.later.tolist() == [sum(n - 1 for n in c.values()) for c in counts]
        assert repeats.later_chars.tolist() == [sum(len(s) * (n - 1) for s, n in c.items()) for c in counts]


@quick
@given(
    st.lists(st.lists(st.sampled_from(["a", "bb", "ccc", "dddd"]), max_size=60).map(" ".join), min_size=1, max_size=3)
)
def test_ngrams_match_brute_force(texts):
    top, covered = ngrams.repetition(DocumentBatch.of(texts).derive(words.words))
    for d, text in enumerate(texts):
        tokens = text.split()
        total = max(1, sum(map(len, tokens)))
        for n in range(2, 11):
            grams = [tuple(tokens[i : i + n]) for i in range(len(tokens) - n + 1)]
            counts = Counter(grams)
            if n <= 4:
                best = max((k, sum(map(len, gram))) for gram, k in counts.items()) if counts else (1, 0)
                assert top[n - 2, d] == (best[0] * best[1] / total if best[0] > 1 else 0)
            else:
                inside = {i + k for i, gram in enumerate(grams) if counts[gram] > 1 for k in range(n)}
                assert covered[n - 5, d] == sum(len(tokens[i]) for i in inside) / total


@quick
@given(st.lists(st.tuples(*[st.integers(0, 6)] * 3), max_size=30))
def test_groups_match_brute_force(rows):
    columns = [np.array([row[k] for row in rows], np.uint64) for k in range(3)]
    group = list(range(len(rows)))
    for _ in rows:
        for i, one in enumerate(rows):
            for j, other in enumerate(rows):
                if any(a == b != 0 for a, b in zip(one, other, strict=True)):
                    group[i] = group[j] = min(group[i], group[j])
    assert groups.connect(len(rows), columns).tolist() == group
    pairs = [row[:2] for row in rows]
    alike = [i if pair == (0, 0) else pairs.index(pair) for i, pair in enumerate(pairs)]
    assert groups.equal(columns[0], columns[1]).tolist() == alike
