import itertools
import math
import re
from collections import Counter
from fractions import Fraction

import numpy as np
import pytest

from seedbed.core.errors import SeedbedError
from seedbed.core.nouns import DocumentBatch
from seedbed.text import ngram_lm, unicode
from seedbed.text.features import next_token
from seedbed.text.ngram_lm import NgramCounts, discounts, fit

CORPUS = """the cat sat on the mat
the dog sat on the log
a cat and a dog ran
the cat ran, the dog ran; the log ran

on the mat sat the cat
a a a a b b c"""


class Literal:
    """The formulas as they are written, over tuples of words; `""` begins a line and `</s>` ends it."""

    def __init__(self, texts, order, fallback=False):
        self.order = order
        raw = [Counter() for _ in range(order + 1)]
        for sentence in sentences(texts):
            padded = ["", *sentence, "</s>"]
            for end, k in itertools.product(range(1, len(padded)), range(1, order + 1)):
                if end + 1 >= k:
                    raw[k][tuple(padded[end + 1 - k : end + 1])] += 1
        self.a = [Counter() for _ in range(order + 1)]
        for k in range(1, order + 1):
            for gram, count in raw[k].items():
                if k == order or gram[0] == "":
                    self.a[k][gram] = count
                else:
                    self.a[k][gram] = sum(longer[1:] == gram for longer in raw[k + 1])
        self.vocabulary = {word for (word,) in raw[1]} | {"<unk>"}
        self.d = [None]
        for k in range(1, order + 1):
            n = [sum(a == j for a in self.a[k].values()) for j in range(5)]
            self.d.append([0, 0.5, 1.0, 1.5])
            if min(n[1:]) > 0 and not fallback:
                y = n[1] / (n[1] + 2 * n[2])
                exact = [0, *(j - (j + 1) * y * n[j + 1] / n[j] for j in (1, 2, 3))]
                self.d[k] = exact if min(exact[1:]) > 0 else self.d[k]

    def p(self, word, history):
        if history is None:
            return 1 / len(self.vocabulary)
        k = len(history) + 1
        shorter = history[1:] if history else None
        after = {gram[-1]: a for gram, a in self.a[k].items() if gram[:-1] == history}
        if not after:
            return self.p(word, shorter)
        d, total = self.d[k], sum(after.values())
        backoff = sum(d[min(a, 3)] for a in after.values()) / total
        a = after.get(word, 0)
        return (a - d[min(a, 3)]) / total + backoff * self.p(word, shorter)

    def log10(self, text):
        total, n = 0.0, 0
        for sentence in sentences([text]):
            words = ["", *sentence, "</s>"]
            for i in range(1, len(words)):
                total += math.log10(self.p(words[i], tuple(words[max(0, i + 1 - self.order) : i])))
                n += 1
        return total, n


def sentences(texts):
    lines = (re.findall(r"\w+|[^\w\s]+", line.lower()) for text in texts for line in re.split(r"[\n\r]", text))
    return [words for words in lines if words]


def batch(*texts):
    return DocumentBatch.of(list(texts))


@pytest.fixture(scope="module")
def long_corpus():
    """Enough lines of a Zipfian vocabulary that discounts come from the counts of counts at every order."""
    rng = np.random.default_rng(5)
    p = 1 / np.arange(1, 41)
    lines = [" ".join(f"w{i}" for i in rng.choice(40, rng.integers(1, 9), p=p / p.sum())) for _ in range(300)]
    return "\n".join(lines)


@pytest.mark.parametrize("order", [1, 2, 3, 4, 5])
def test_equals_the_formulas_written_out(order, long_corpus):
    for corpus in (CORPUS, long_corpus):
        model, literal = fit([batch(corpus)], order), Literal([corpus], order)
        asked = ["the cat sat", "the the the mat\nran", "never seen words, the dog", "", " \n\n", "a a a a b b c"]
        asked += ["w0 w1 w0", "w3 w39 w2 w1 w0 w1 w7 x w0 w1\nw0"]
        log10, n = model.log10_probabilities(batch(*asked))
        expected = [literal.log10(text) for text in asked]
        assert n.tolist() == [count for _, count in expected]
        assert log10 == pytest.approx([value for value, _ in expected], rel=1e-12)
    if order > 1:
        assert any(d[1:] != [0.5, 1.0, 1.5] for d in literal.d[1:]), "some discounts are not the fallback"


def probability(model, history, word):
    """p(word | a line that begins with `history`), by the kernel that scoring asks for every word."""
    keys, last = np.zeros(model.order + 1, np.uint64), np.full(model.order + 1, -1, np.int32)
    keys[0] = ngram_lm._ORIGIN
    keys[1] = ngram_lm.mix(ngram_lm.extend(ngram_lm._ORIGIN, ngram_lm._START))
    last[1] = model.places[ngram_lm._place(model.places, model.key_E, keys[1])]
    table = (model.places, model.key_E, model.part_E, model.backoff_E, model.unknown)
    return [ngram_lm._probability(hashed(w), model.order, keys, last, *table) for w in [*history.split(), word]][-1]


def hashed(word):
    if word == "</s>":
        return ngram_lm._END
    (data, offsets), known = batch(word).text_buffers(), unicode.tables()
    return np.uint64(next_token(data, offsets[0], offsets[1], known.flags, known.lower)[1])


@pytest.mark.parametrize("order", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("corpus", [CORPUS, "a b\na c", "x"])
def test_probabilities_sum_to_one_over_the_vocabulary(order, corpus):
    model = fit([batch(corpus)], order)
    vocabulary = {word for line in sentences([corpus]) for word in line} | {"</s>", "neverseen"}
    for history in ("", "the", "the cat", "on the", "a a a", "sat on the mat", "unheard", "unheard of the", "x x", "a"):
        p = [probability(model, history, word) for word in vocabulary]
        assert min(p) > 0
        assert sum(p) == pytest.approx(1, abs=1e-12)


def test_worked_example_by_hand():
    # Two lines, "a b" and "a c"; bigrams with the discounts 1/2, 1, 3/2, since no bigram has a count above 2.
    # Bigrams: <s> a twice, a b, a c, b </s>, c </s> once each. Different words before: a 1, b 1, c 1, </s> 2.
    model = fit([batch("a b\na c")], 2)
    back = Fraction(3 * Fraction(1, 2) + 1, 5)  # of single words: D(1) thrice and D(2) once, of 1 + 1 + 1 + 2
    unknown = back / 5  # a, b, c, the end, and the unknown word
    single = {word: Fraction(1, 2) / 5 + unknown for word in "abc"} | {"</s>": Fraction(2 - 1, 5) + unknown}
    a_after_start = Fraction(2 - 1, 2) + Fraction(1, 2) * single["a"]
    b_after_a = Fraction(1, 2) / 2 + Fraction(1, 2) * single["b"]
    end_after_b = Fraction(1, 2) + Fraction(1, 2) * single["</s>"]
    log10, n = model.log10_probabilities(batch("a b", "a x\nb"))
    assert n.tolist() == [3, 5]
    assert log10[0] == pytest.approx(math.log10(a_after_start * b_after_a * end_after_b), rel=1e-13)
    unheard = (Fraction(1, 2) * unknown) * single["</s>"]  # after "a" it backs off, after the unknown nothing is known
    second = (Fraction(1, 2) * single["b"]) * end_after_b
    assert log10[1] == pytest.approx(math.log10(a_after_start * unheard * second), rel=1e-13)
    perplexity = 10 ** (-log10[0] / 3)
    assert np.exp(model.log_perplexities(batch("a b"))) == pytest.approx([perplexity], rel=1e-13)
    assert np.exp(model.log_perplexities(batch("", " \n"))) == pytest.approx([float(1 / unknown)] * 2, rel=1e-13)


def test_discounts_come_from_counts_of_counts():
    # Chen and Goodman's formulas for 100, 40, 20 and 12 n-grams of count 1 to 4: Y = 100 / 180.
    y = 100 / 180
    expected = [0, 1 - 2 * y * 40 / 100, 2 - 3 * y * 20 / 40, 3 - 4 * y * 12 / 20]
    found = discounts(np.array([[100, 40, 20, 12], [100, 40, 0, 12], [1, 1, 9, 1]]))
    assert found[0] == pytest.approx(expected)
    assert found[1].tolist() == found[2].tolist() == [0, 0.5, 1, 1.5]


def test_order_of_texts_and_cuts_into_batches_do_not_matter(long_corpus):
    texts = [*long_corpus.split("\n")[:80], CORPUS]
    whole = fit([batch(*texts)], 3)
    parts = fit([batch(*texts[40:]), batch(), batch(*texts[:40][::-1])], 3)
    asked = batch("the cat w0 w1", "w1 w2", "unseen")
    assert np.array_equal(whole.log_perplexities(asked), parts.log_perplexities(asked))
    assert whole.unknown == parts.unknown


def test_a_model_can_be_had_in_between_and_counting_goes_on():
    counts = NgramCounts(3)
    counts.add(batch(CORPUS))
    before = counts.model()
    first = before.log_perplexities(batch("the log ran"))
    counts.add(batch("something else entirely " * 3000))
    assert np.array_equal(before.log_perplexities(batch("the log ran")), first)
    both = fit([batch(CORPUS, "something else entirely " * 3000)], 3)
    assert np.array_equal(
        counts.model().log_perplexities(batch("the log ran")), both.log_perplexities(batch("the log ran"))
    )


def test_writing_without_spaces_is_cut_into_its_units():
    model = fit([batch("天地玄黄\n天地人")], 2)
    _, n = model.log10_probabilities(batch("天地", "天 地"))
    assert n.tolist() == [3, 3]
    known, unknown = model.log_perplexities(batch("天地玄黄", "宇宙洪荒"))
    assert known < unknown


def test_long_lines_and_strange_bytes_give_finite_numbers():
    model = fit([batch("word " * 20_000, "\0\0", "🌱🌱 ok", "x" * 5000)], 5)
    log_perplexity = model.log_perplexities(batch("word " * 20_000, "\0", "ß É Ж\r\n…—", "", "x" * 10_000))
    assert np.isfinite(log_perplexity).all()
    assert log_perplexity[0] == min(log_perplexity)


def test_no_text_and_too_much_text_are_errors():
    with pytest.raises(SeedbedError, match=r"here: there is no text"):
        fit([batch("", " \n ")], 3, where="here")
    with pytest.raises(SeedbedError, match="more than 10 different n-grams of up to 2 words"):
        fit([batch(CORPUS)], 2, max_ngrams=10)
    with pytest.raises(ValueError, match="order 6"):
        NgramCounts(6)
