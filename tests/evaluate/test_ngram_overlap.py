import re
import unicodedata

import numpy as np
import pytest

from seedbed.core import arrow
from seedbed.core.nouns import DocumentBatch
from seedbed.evaluate.audits.ngram_overlap import FINDINGS, NgramOverlap, verdicts


def prose(rng, n_words, vocabulary=20_000):
    """Words of a Zipf law, independent of one another."""
    p = 1 / np.arange(1, vocabulary + 1)
    return [f"w{i}" for i in rng.choice(vocabulary, n_words, p=p / p.sum())]


def findings(pool, items, **parameters):
    batches = [DocumentBatch.of(part) for part in pool]
    return NgramOverlap(**parameters).findings(batches, DocumentBatch.of(items))


def column(table, name):
    return table.column(name).to_pylist()


def plain(text):
    """Lower-cased words; punctuation parts them, but for ' ’ . , between two letters or digits, which goes."""
    joined = re.sub(r"(?<=\w)['’.,](?=\w)", "", text.lower())
    return "".join(" " if unicodedata.category(c)[0] in "PS" else c for c in joined).split()


def brute_force(pool, item, n):
    """Share by sets of word tuples; see `plain`."""

    def grams(text):
        words = plain(text)
        return [tuple(words[i : i + n]) for i in range(len(words) - n + 1)]

    known = {gram for text in pool for gram in grams(text)}
    own = grams(item)
    return sum(gram in known for gram in own) / max(1, len(own))


@pytest.mark.parametrize("n", [2, 3, 13])
def test_equals_brute_force_over_sets_of_word_tuples(n):
    rng = np.random.default_rng(0)
    pool = [" ".join(prose(rng, 80, 30)) for _ in range(20)] + ["", "w1", "Ärger — «w1», w2!  w3\u00a0w4"]
    items = [" ".join(prose(rng, k, 30)) for k in (1, 5, 13, 40)] + [
        "ÄRGER w1 w2 w3 w4 w5",
        "..., !!",
        "w1-w2 w3",
        "w1.w2, w3’s",
    ]
    items.append(" ".join(pool[3].upper().split()[10:40]) + " and then more of ours")
    found = findings([pool[:7], pool[7:]], items, n=n)
    assert found.schema.equals(FINDINGS)
    assert column(found, "share") == pytest.approx([brute_force(pool, item, n) for item in items], abs=1e-12)
    assert column(found, "n_words") == [len(plain(item)) for item in items]


def test_planted_copies_are_found_whole_in_part_and_paraphrases_not():
    rng = np.random.default_rng(1)
    secret = prose(rng, 60)
    pool = [" ".join(prose(rng, 500)) for _ in range(30)]
    pool[4] += " " + " ".join(secret)
    pool[9] += " " + " ".join(secret[20:45]).title() + "."
    swapped = [word if i % 6 else "another" for i, word in enumerate(secret)]
    items = [" ".join(words) for words in (secret, secret[:30] + prose(rng, 60), swapped, secret[:12])]
    batch = DocumentBatch.of(pool)
    found = NgramOverlap().findings([batch], DocumentBatch.of(items))
    assert column(found, "verdict") == ["leaked", "suspect", "clean", "untestable"]
    assert column(found, "share") == pytest.approx([1.0, 18 / 78, 0, 0])
    assert column(found, "found_in") == [batch.ids[4].hex(), batch.ids[4].hex(), "", ""]
    assert verdicts(found) == {"leaked": 1, "suspect": 1, "clean": 1, "untestable": 1}


def test_false_positives_on_independent_text_are_below_the_documented_rate():
    rng = np.random.default_rng(2)
    pool = DocumentBatch.of([" ".join(prose(rng, 1000)) for _ in range(200)])
    items = DocumentBatch.of([" ".join(prose(rng, 60)) for _ in range(2000)])
    said = verdicts(NgramOverlap().findings([pool], items))
    assert said["clean"] == 2000


def test_batches_and_order_do_not_matter_but_the_first_source_is_named():
    rng = np.random.default_rng(3)
    text = " ".join(prose(rng, 40))
    batches = [DocumentBatch.of([f"{tail} {text}", tail]) for tail in ("one", "two")]
    items = DocumentBatch.of([text])
    first = NgramOverlap().findings(batches, items)
    second = NgramOverlap().findings(batches[::-1], items)
    assert first.drop_columns("found_in").equals(second.drop_columns("found_in"))
    assert column(first, "found_in") == [batches[0].ids[0].hex()]
    assert column(second, "found_in") == [batches[1].ids[0].hex()]


def test_each_item_is_traced_to_its_own_document_over_batches():
    rng = np.random.default_rng(4)
    texts = [" ".join(prose(rng, 30)) for _ in range(3)]
    batches = [DocumentBatch.of([text]) for text in texts]
    found = NgramOverlap().findings(batches, DocumentBatch.of(texts[::-1]))
    assert column(found, "found_in") == [batch.ids[0].hex() for batch in batches[::-1]]


def test_empty_inputs_and_strange_texts():
    assert findings([], []).num_rows == 0
    assert column(findings([], [" ".join("abcdefghijklmnop")]), "verdict") == ["clean"]
    strange = ["", "\x00", "🌱 " * 50, "word " * 20_000, "東京" * 100]
    found = findings([strange], strange)
    assert column(found, "verdict") == ["untestable", "untestable", "untestable", "leaked", "leaked"]
    alone = [findings([strange], [text]).column("share")[0].as_py() for text in strange]
    assert np.array_equal(arrow.numpy(found, "share"), alone)
