import pickle
from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from seedbed.core.nouns import DocumentBatch
from seedbed.curate.extractors.all_text import AllText
from seedbed.curate.filters.gopher_repetition import GopherRepetition
from seedbed.curate.plan import CuratePlan
from tests.conftest import examples

PIECES = [
    "a ",
    "bb ",
    "語 ",
    "Größe ",
    "a bb ccc dd e ",
    "\n",
    "\n\n",
    "one line\n",
    "one paragraph.\n\n",
    "😀",
    " \t",
    "\u2003",
]
TEXTS = st.lists(st.lists(st.sampled_from(PIECES), max_size=80).map("".join), min_size=1, max_size=4)


def duplicates(segments):
    counts = Counter(segments)
    again = [segment for segment in segments if counts[segment] > 1]
    return len(again) / max(1, len(segments)), sum(map(len, again)) / max(1, sum(map(len, segments)))


def brute(text):
    row = {}
    for name, separator in [("line", "\n"), ("paragraph", "\n\n")]:
        segments = [s.strip() for s in text.split(separator) if s.strip()]
        row[f"duplicate_{name}s"], row[f"duplicate_{name}_chars"] = duplicates(segments)
    words = text.split()
    total = max(1, sum(map(len, words)))
    for n in range(2, 11):
        grams = [tuple(words[i : i + n]) for i in range(len(words) - n + 1)]
        counts = Counter(grams)
        if n <= 4:
            best = max(((k, sum(map(len, gram))) for gram, k in counts.items()), default=(0, 0))
            row[f"top_{n}gram_chars"] = best[0] * best[1] / total if best[0] > 1 else 0
        else:
            inside = {i + k for i, gram in enumerate(grams) if counts[gram] > 1 for k in range(n)}
            row[f"repeated_{n}gram_chars"] = sum(len(words[i]) for i in inside) / total
    return row


def measure(*texts):
    return GopherRepetition().measure(DocumentBatch.of(list(texts))).to_pylist()


@examples(100)
@given(TEXTS)
def test_every_number_matches_brute_force(texts):
    for row, text in zip(measure(*texts), texts, strict=True):
        expected = brute(text)
        assert row.keys() == expected.keys()
        np.testing.assert_allclose([row[k] for k in expected], list(expected.values()), rtol=1e-9)


def test_long_random_text_matches_brute_force():
    rng = np.random.default_rng(3)
    words = [f"w{k}" for k in range(400)]
    texts = [" ".join(rng.choice(words, 5000, p=rng.dirichlet(np.full(400, 0.3)))) for _ in range(2)]
    texts.append(" ".join(texts[0].split()[1000:1500] * 3 + texts[1].split()[:2000]))
    for row, text in zip(measure(*texts), texts, strict=True):
        expected = brute(text)
        np.testing.assert_allclose([row[k] for k in expected], list(expected.values()), rtol=1e-9)


def fails(text):
    method = GopherRepetition()
    return [rule for rule, rows in method.failures(method.measure(DocumentBatch.of([text]))).items() if rows[0]]


def test_thresholds_are_table_a1():
    limits = [getattr(GopherRepetition(), rule.name) for rule in GopherRepetition.rules]
    assert limits == [0.30, 0.30, 0.20, 0.20, 0.20, 0.18, 0.16, 0.15, 0.14, 0.13, 0.12, 0.11, 0.10]
    distinct = " ".join(f"word{k}" for k in range(60))
    assert fails(distinct) == []
    assert fails(distinct.replace(" ", "\n")) == []
    lines = [f"line number {k} x{k} y{k}" for k in range(7)]
    assert "max_duplicate_lines" in fails("\n".join([*lines[:6], "a b", "a b", "a b"]))  # 3 of 9
    assert "max_duplicate_lines" not in fails("\n".join([*lines, "a b", "a b", "a b"]))  # 3 of 10 is not above .30


def test_golden_cases_of_the_paper_dialect():
    assert set(measure("")[0].values()) == set(measure(" \n ")[0].values()) == {0.0}
    spaced = "\n\n".join(f"This is paragraph {k} of many." for k in range(9))
    assert measure(spaced)[0]["duplicate_lines"] == 0  # blank lines are no duplicates
    sentence = " ".join(f"word{k}" for k in range(60))
    assert measure(sentence)[0]["top_2gram_chars"] == 0  # nothing repeats: exactly 0
    tie = "aa bb x aa bb y cccc dddd z cccc dddd"
    assert measure(tie)[0]["top_2gram_chars"] == 2 * 8 / 27  # equal counts: the longest
    loop = "a b c d e a b c d e a b c d e"
    assert measure(loop)[0]["repeated_5gram_chars"] == 1  # each word once, however many n-grams cover it
    assert measure("a a a a")[0]["top_2gram_chars"] == 1.5  # overlaps count


def test_order_of_words_matters():
    assert measure("aa bb cc bb aa dd")[0]["top_2gram_chars"] == 0


def without_gaps(words, n):
    """datatrove's repeats: left to right, a known n-gram is stepped over, words written without anything between."""
    seen, at, characters = set(), 0, 0
    while at + n <= len(words):
        gram = "".join(words[at : at + n])
        characters += len(gram) * (gram in seen)
        at += n if gram in seen else 1
        seen.add(gram)
    return characters


PHRASES = ["a", "b", "ab", "größe", "a b ab ba 語 aab", "ab ba a b b a", "a a a a a a a", "aa b aab ba ab a b 語"]
WORDS = st.lists(st.sampled_from(PHRASES), max_size=16).map(lambda phrases: " ".join(phrases).split())


@examples(100)
@given(st.lists(WORDS, min_size=1, max_size=3))
def test_ngrams_of_datatrove_and_dolma_match_brute_force(lists):
    documents = DocumentBatch.of([" ".join(words) for words in lists])
    datatrove = GopherRepetition(dialect="datatrove").measure(documents).to_pylist()
    dolma = GopherRepetition(dialect="dolma_v1").measure(documents).to_pylist()
    for row, other, words in zip(datatrove, dolma, lists, strict=True):
        total, chars = max(1, len(" ".join(words))), max(1, len("".join(words)))
        for n in range(2, 11):
            counts = Counter(tuple(words[i : i + n]) for i in range(len(words) - n + 1))
            gram, count = counts.most_common(1)[0] if counts else ((), 0)
            if n < 5:
                np.testing.assert_allclose(row[f"top_{n}gram_chars"], len(" ".join(gram)) * count / total)
                np.testing.assert_allclose(other[f"top_{n}gram_chars"], len("".join(gram)) * count / chars)
                continue
            weights = {gram: count * len("".join(gram)) for gram, count in counts.items()}
            again = sum(weight for gram, weight in weights.items() if counts[gram] > 1)
            np.testing.assert_allclose(row[f"repeated_{n}gram_chars"], without_gaps(words, n) / total)
            np.testing.assert_allclose(other[f"repeated_{n}gram_chars"], again / max(1, sum(weights.values())))


def test_dolma_has_no_paragraphs_and_the_plan_says_so():
    method = GopherRepetition(dialect="dolma_v2")
    measured = method.measure(DocumentBatch.of(["a\n\na"]))
    assert "duplicate_paragraphs" not in measured.column_names
    assert "max_duplicate_paragraphs" not in method.failures(measured)
    plan = CuratePlan(readers=(), extractor=AllText(), steps=(method,))
    assert [line.split(" =")[0] for line in plan.warnings()] == [
        "curate.filters.gopher_repetition.max_duplicate_paragraphs",
        "curate.filters.gopher_repetition.max_duplicate_paragraph_chars",
    ]
    assert CuratePlan(readers=(), extractor=AllText(), steps=(GopherRepetition.dolma_v1_5(),)).warnings() == []
    assert pickle.loads(pickle.dumps(method)).rules == method.rules  # noqa: S301
    assert "max_duplicate_paragraphs" not in method.measuring()["parameters"]  # still only a threshold
