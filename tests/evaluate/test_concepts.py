import json
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seedbed.core import arrow
from seedbed.core.errors import SeedbedError
from seedbed.core.nouns import DocumentBatch
from seedbed.evaluate.answers import ANSWERS
from seedbed.evaluate.concepts import Concepts, items_text, long_tail, tail_items, trend_rows
from seedbed.evaluate.items import Line
from tests.conftest import examples


def counts(concepts, *batches):
    table = Concepts(concepts).count(DocumentBatch.of(list(texts)) for texts in batches)
    return {row["concept"]: (row["documents"], row["occurrences"]) for row in table.to_pylist()}


def planted(seed, frequencies):
    """(texts, concept -> (documents, occurrences)): phrases set between words that hold none of them."""
    rng = np.random.default_rng(seed)
    truth, pieces = {}, []
    for number, frequency in enumerate(frequencies):
        concept = " ".join(f"zq{number}w{i}" for i in range(1 + number % 4))
        truth[concept] = frequency
        pieces += [concept] * frequency
    filler = ["stone", "river", "Tree", "zq", "w0", "zq1", "of", "the"]
    texts, documents, occurrences = [], dict.fromkeys(truth, 0), dict.fromkeys(truth, 0)
    order = rng.permutation(len(pieces)).tolist()
    while order:
        taken, order = order[: (n := int(rng.integers(1, 9)))], order[n:]
        words = [w for at in taken for w in (*rng.choice(filler, 3), pieces[at])] + ["end."]
        texts.append(" ".join(words))
        for concept in {pieces[at] for at in taken}:
            documents[concept] += 1
        for at in taken:
            occurrences[pieces[at]] += 1
    return texts, {concept: (documents[concept], occurrences[concept]) for concept in truth}


def test_counts_of_a_planted_corpus_are_exact():
    texts, truth = planted(0, [0, *(2**k for k in range(11)), 3, 5, 77])
    assert counts(list(truth), texts) == truth
    assert sum(occurrences for _, occurrences in truth.values()) == 2047 + 85


def test_batches_and_order_do_not_matter():
    texts, truth = planted(1, [0, 1, 4, 9, 30])
    assert counts(list(truth)[::-1], texts[:7], texts[7:8], texts[8:]) == counts(list(truth), texts[::-1]) == truth


@examples(60)
@given(
    st.lists(st.lists(st.sampled_from("ab"), min_size=1, max_size=3), min_size=1, max_size=8),
    st.lists(st.lists(st.sampled_from("abc"), max_size=12), max_size=6),
)
def test_counts_are_those_of_a_search_at_every_word(concepts, texts):
    names = [" ".join(words) for words in concepts]
    expected = {}
    for name, words in zip(names, concepts, strict=True):
        n = len(words)
        hits = [sum(text[i : i + n] == words for i in range(len(text) - n + 1)) for text in texts]
        expected[name] = (sum(hit > 0 for hit in hits), sum(hits))
    assert counts(names, [" ".join(text) for text in texts]) == expected


def test_a_concept_is_found_between_word_boundaries_alone():
    found = counts(
        ["York", "new york", "New-York", "東京", "café", "U.S."],
        ["New York, and new\nYORK's Yorkshire; newyork", "東京都と大東京。", "Cafés, a CAFÉ. The U.S. and the us"],
    )
    assert found["York"] == (1, 1)  # york's is another word, and so is Yorkshire
    assert found["new york"] == found["New-York"] == (1, 1)
    assert found["東京"] == (1, 2)
    assert found["café"] == (1, 1)
    assert found["U.S."] == (1, 2)


def test_a_phrase_counts_for_the_concepts_inside_it_and_may_overlap_itself():
    found = counts(["a", "a a", "a a a", "b"], ["a a a a", "A."])
    assert found == {"a": (2, 5), "a a": (1, 3), "a a a": (1, 2), "b": (0, 0)}


def test_concepts_that_read_the_same_count_the_same_each():
    table = Concepts(["York", "york", "YORK!", "York"]).count([DocumentBatch.of(["york York", "york"])])
    assert arrow.numpy(table, "documents").tolist() == [2] * 4
    assert arrow.numpy(table, "occurrences").tolist() == [3] * 4


def test_no_concept_and_no_word_are_errors_and_no_text_counts_nothing():
    with pytest.raises(SeedbedError, match=r"words\.txt, concept 2.*'--' holds no word"):
        Concepts(["a", "--"], "words.txt")
    with pytest.raises(SeedbedError, match="there is no concept"):
        Concepts([])
    assert counts(["a"]) == {"a": (0, 0)}
    assert counts(["a"], []) == counts(["a"], [""]) == {"a": (0, 0)}


def test_a_long_text_takes_time_in_proportion_and_agrees_with_regular_expressions():
    rng = np.random.default_rng(2)
    words = [f"w{int(i)}" for i in np.minimum(rng.zipf(1.3, 60_000), 3000)]
    texts = [" ".join(words[i : i + 300]) for i in range(0, len(words), 300)]
    concepts = [f"w{i}" for i in range(1, 2000)] + ["w1 w2", "w1 w1 w1"]
    found = counts(concepts, texts)
    for name in ("w1", "w7", "w100", "w1999", "w1 w2", "w1 w1 w1"):
        hits = [len(re.findall(rf"(?<![\w])(?={name}(?!\w))", text)) for text in texts]
        assert found[name] == (sum(hit > 0 for hit in hits), sum(hits))


def lines(*fields):
    return [Line("items.jsonl", i, each) for i, each in enumerate(fields, 1)]


def test_the_long_tail_is_emitted_as_concepts_and_as_items():
    pool = [DocumentBatch.of(["oak oak birch", "oak", "oak birch", "larch tree"])]
    table = Concepts(["oak", "birch", "larch", "yew"]).count(pool)
    assert arrow.strings(long_tail(table, 3), "concept") == ["yew", "larch", "birch"]
    assert arrow.strings(long_tail(table, 4, "occurrences"), "concept") == ["yew", "larch", "birch"]
    items = lines(
        {"question": "What is an oak?", "choices": ["a tree", "a fish"], "answer": 0},
        {"question": "Name one.", "choices": ["a Larch", "an oak"], "answer": 0, "id": "of larch"},
        {"question": "What is a Yew?", "choices": ["a tree", "a fish"], "answer": 0},
        {"question": "What is this?", "choices": ["x", "y"], "answer": 0},
        {"question": "Is it an oak?", "choices": ["x", "y"], "answer": 0, "concept": "birch"},
    )
    tail = tail_items(items, table, 2, batch=2)
    assert [(one["id"], one["concept"], one["frequency"]) for one in tail] == [
        ("items:3", "yew", 0), ("of larch", "larch", 1),
    ]  # fmt: skip
    assert [one["concept"] for one in tail_items(items, table, 3)] == ["yew", "larch", "birch"]
    assert [json.loads(line) for line in items_text(tail).splitlines()] == tail


def test_answers_become_the_rows_of_the_law():
    columns = {name: [0.0, 0.0, 0.0] for name in ANSWERS.names}
    columns |= {
        "item": ["a", "b", "c"],
        "domain": [""] * 3,
        "family": [""] * 3,
        "n_tokens": [1] * 3,
        "n_bytes": [1] * 3,
    }
    columns |= {"correct": [1.0, 0.5, 0.0], "frequency": [4.0, float("nan"), 0.0]}
    rows = trend_rows(arrow.table(columns, ANSWERS)).to_pylist()
    assert rows == [
        {"concept": "a", "frequency": 4.0, "accuracy": 1.0}, {"concept": "c", "frequency": 0.0, "accuracy": 0.0},
    ]  # fmt: skip
    with pytest.raises(SeedbedError, match="no item tells its frequency"):
        trend_rows(arrow.table({**columns, "frequency": [float("nan")] * 3}, ANSWERS))
