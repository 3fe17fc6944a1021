import itertools
import re
import unicodedata
from collections import Counter

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from seedbed.core.nouns import DocumentBatch
from seedbed.text import groups, lines, ngrams, normalize, sentences, unicode, words

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
quick = settings(deadline=None, database=None, max_examples=100)


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


def plain(text):
    """The fold, character by character, with Python's own tables."""
    out = []
    for character in text:
        for part in unicodedata.normalize("NFD", character.lower()):
            kind = unicodedata.category(part)
            if kind == "Mn":
                continue
            out.append(" " if kind[0] in "PS" or part.isspace() else "0" if kind == "Nd" else part)
    spaced = " ".join("".join(out).replace("ς", "σ").split())
    return re.sub("0+", "0", spaced)


def folded(texts):
    data, bounds = normalize.fold(*DocumentBatch.of(texts).text_buffers())
    return [bytes(data[a:b]).decode() for a, b in itertools.pairwise(bounds)]


def test_fold_of_every_code_point():
    characters = [chr(code) for code in code_points()]
    texts = ["x".join(characters[at : at + 4096]) for at in range(0, len(characters), 4096)]
    assert folded(texts) == [plain(text) for text in texts]


@quick
@given(TEXTS)
def test_fold_lower_and_squeeze_match_python(texts):
    assert folded(texts) == [plain(text) for text in texts]
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


def count(text):
    return int(DocumentBatch.of([text]).derive(sentences.sentences)[0])


def test_sentences_by_hand():
    assert count("") == count(" \n ") == 0
    assert count("no end") == count("One.") == 1
    assert count("One. Two! Three? “Four.” Five") == 5
    assert count("Dr. Smith met J. R. Jones of the U.S. Army, e.g. in 3.5 hours.") == 1
    assert count("He paid approx. Five. and left... slowly... Then went on.") == 2
    assert count("one line\nanother line\n\na third") == 3
    assert count("一つ。二つ！三つ？") == 3
    assert count("Is it?! Yes (it is.) So.") == 3
    assert count("wwwwwwww.wwwww. And") == 2
    assert count("." * 100_000) == 1


@quick
@given(
    st.lists(
        st.lists(st.sampled_from(["A", "a", "b.", ". ", "! ", "Dr. ", "e.g. ", "”", " ", "\n", "。", "…", "é. "])).map(
            "".join
        )
    )
)
def test_sentences_match_a_regular_expression(texts):
    terminal, closer = r"[.!?。…]", r"[”)\"'\]]"
    run = re.compile(rf"({terminal}(?:{terminal}|{closer})*)(?=(\s*)(\S?))")
    initial = re.compile(r"(?:^|[^a-zA-Z.0-9é])(?:[a-z](?:\.[a-z]){0,3}|dr)$")

    def brute(line):
        n = 1 if line else 0
        for match in run.finditer(line):
            marks, space, following = match.groups()
            if not following or (following.islower() if space else "。" not in marks):
                continue
            if space and marks.rstrip("”") == "." and initial.search(line[: match.start()].lower()):
                continue
            n += 1
        return n

    found = DocumentBatch.of(texts).derive(sentences.sentences).tolist() if texts else []
    assert found == [sum(brute(line.strip()) for line in text.split("\n")) for text in texts]


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
