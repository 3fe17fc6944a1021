import gzip
import json
import math

import numpy as np
import pytest

from seedbed import sample
from seedbed.core import arrow
from seedbed.core.errors import SeedbedError
from seedbed.core.nouns import DocumentBatch
from seedbed.select.contract import Given, TargetText, Texts
from seedbed.select.run import score_shard
from seedbed.select.scorers.ngram_perplexity import NgramPerplexity
from seedbed.stats.auc import rank_auc
from seedbed.text import ngram_lm


def texts_of(file, most=20):
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        return [json.loads(line)["text"] for line in lines][:most]


def measured(target, pool, **parameters):
    fitted = NgramPerplexity(**parameters).fit(Given(target=[DocumentBatch.of(target)]))
    return score_shard(fitted, DocumentBatch.of(pool))


def test_perplexity_is_ten_to_the_mean_log10_over_words_and_line_ends():
    # By hand: one word, one line. <s> a, a </s>: with the discounts 1/2, 1, 3/2 every bigram seen once keeps 1/2.
    # Single words: a and </s> have one word before them each, back = (1/2 + 1/2) / 2; |V| = 3 with the unknown word.
    single = 0.5 / 2 + 0.5 / 3
    p = 0.5 + 0.5 * single
    table = measured(["a"], ["a", "a\na\n\n", "b"], order=2)
    perplexity, score = (arrow.numpy(table, name) for name in ("perplexity", "score"))
    assert perplexity[:2] == pytest.approx([10 ** (-2 * math.log10(p) / (1 + 1)), 1 / p])
    assert perplexity[2] == pytest.approx(((0.5 * 0.5 / 3) * single) ** -0.5)
    assert score == pytest.approx(-np.log(perplexity))


def test_real_text_of_the_target_is_kept_before_other_text_and_noise():
    target = texts_of(sample.target_select())
    files = sample.heldout()
    own, other = texts_of(files["databases"]), texts_of(files["society"]) + texts_of(files["graphics"])
    rng = np.random.default_rng(0)
    noise = [" ".join(rng.permutation(text.split())) for text in own]
    score_N = arrow.numpy(measured(target, own + other + noise), "score")
    assert rank_auc(score_N[: len(own) + len(other)], np.arange(len(own) + len(other)) < len(own)) > 0.9
    shuffled_N = np.concatenate([score_N[: len(own)], score_N[-len(noise) :]])
    assert rank_auc(shuffled_N, np.arange(2 * len(own)) < len(own)) > 0.75, "the same words in no order"


def test_clean_text_is_the_target_or_named_files():
    assert NgramPerplexity().needs() == (TargetText(),)
    named = NgramPerplexity(files=("clean.txt",), order=3)
    assert named.needs() == (Texts("clean", ("clean.txt",)),)
    clean = [DocumentBatch.of(["some clean words", "and more words"])]
    fitted = named.fit(Given(texts={"clean": clean}))
    expected = ngram_lm.fit(clean, 3).log_perplexities(DocumentBatch.of(["clean words"]))
    assert arrow.numpy(fitted.measure(DocumentBatch.of(["clean words"])), "score").tolist() == (-expected).tolist()


def test_a_document_without_words_comes_last_not_first():
    score_N = arrow.numpy(measured(["the cat sat on the mat\nthe dog sat"], ["", " \n", "the cat", "the"]), "score")
    assert np.isfinite(score_N).all()
    assert score_N[0] == score_N[1] < min(score_N[2:])


def test_no_clean_text_is_an_error_that_says_so():
    with pytest.raises(SeedbedError, match=r"ngram_perplexity, clean text: there is no text"):
        measured([" "], ["a"])
    with pytest.raises(SeedbedError, match="more than 3 different n-grams"):
        measured(["a b c d e"], ["a"], max_ngrams=3)
