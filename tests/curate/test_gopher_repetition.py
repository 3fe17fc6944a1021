from collections import Counter

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from seedbed.core.nouns import DocumentBatch
from seedbed.curate.filters.gopher_repetition import GopherRepetition

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


@settings(deadline=None, database=None, max_examples=100)
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
