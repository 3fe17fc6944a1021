import numpy as np
import pytest

from seedbed.core import arrow
from seedbed.core.errors import SeedbedError
from seedbed.core.nouns import DocumentBatch
from seedbed.select.contract import Given, PoolText, Texts
from seedbed.select.run import score_shard
from seedbed.select.scorers.harmful_perplexity import HarmfulPerplexity
from seedbed.stats.auc import rank_auc
from seedbed.text import ngram_lm


def writer(rng, names):
    """Documents of a language of its own: a Markov chain over its words, of which the first 40 are shared by all."""
    words = [f"common{i}" for i in range(40)] + [f"{names}{i}" for i in range(60)]
    chain = 0.9 * rng.dirichlet(np.full(100, 0.05), 100) + 0.1 * rng.dirichlet(np.full(100, 0.3))

    def document(length):
        at, found = int(rng.integers(100)), []
        for _ in range(length):
            at = int(rng.choice(100, p=chain[at]))
            found.append(words[at])
        return " ".join(found[: length // 2]) + "\n" + " ".join(found[length // 2 :])

    return document


@pytest.fixture(scope="module")
def world():
    """Stand-ins for harmful text and for a pool of two kinds of clean text, in two "languages" of unlike perplexity."""
    rng = np.random.default_rng(17)
    bad, one, other = writer(rng, "bad"), writer(rng, "one"), writer(rng, "other")
    seen = [bad(60) for _ in range(150)]
    rows = [(bad(60), True, "aa") for _ in range(30)] + [(one(60), False, "aa") for _ in range(270)]
    rows += [(other(60) + "\n" + bad(12), False, "bb") for _ in range(250)]
    pool = DocumentBatch.of([text for text, _, _ in rows], language=[language for _, _, language in rows])
    return DocumentBatch.of(seen), pool, np.array([harmful for _, harmful, _ in rows])


def fitted(world, **parameters):
    return HarmfulPerplexity(**parameters).fit(Given(texts={"harmful": [world[0]]}, pool=[world[1]]))


def f1(kept_N, harmful_N):
    dropped = ~kept_N
    return 2 * (dropped & harmful_N).sum() / (dropped.sum() + harmful_N.sum())


def test_planted_harmful_text_scores_lowest_and_the_valley_finds_it(world):
    _, pool, harmful_N = world
    score_N = arrow.numpy(score_shard(fitted(world), pool), "score")
    assert rank_auc(-score_N, harmful_N) > 0.99
    assert f1(score_N > 0, harmful_N) > 0.95


def test_otsu_and_recall_find_it_where_their_premise_holds(world):
    harmful, pool, harmful_N = world
    recall_N = arrow.numpy(score_shard(fitted(world, calibration="recall"), pool), "score")
    assert f1(recall_N > 0, harmful_N) > 0.9
    assert (recall_N[harmful_N] < 0).mean() > 0.85, "95 % of harmful text, by what a tenth of the seen says"
    rows = np.arange(60)  # as much harmful text as clean
    even = DocumentBatch(arrow.take(pool.rows, rows))
    law = HarmfulPerplexity(calibration="otsu").fit(Given(texts={"harmful": [harmful]}, pool=[even]))
    assert f1(arrow.numpy(law.measure(even), "score") > 0, harmful_N[rows]) > 0.95


def test_above_the_threshold_is_kept_and_the_margin_is_in_nats(world):
    harmful, pool, _ = world
    model = ngram_lm.fit([harmful], 5)
    table = score_shard(fitted(world, threshold=25.0), pool)
    perplexity, threshold, score = (arrow.numpy(table, name) for name in ("perplexity", "threshold", "score"))
    assert perplexity == pytest.approx(np.exp(model.log_perplexities(pool)))
    assert threshold == pytest.approx([25.0] * len(pool))
    assert score == pytest.approx(np.log(perplexity / 25.0))
    assert np.array_equal(score > 0, perplexity > 25)


def test_an_upper_bound_drops_gibberish_that_the_threshold_alone_keeps(world):
    _, pool, _ = world
    gibberish = DocumentBatch.of([" ".join(f"q{i}x{j}" for j in range(40)) for i in range(5)])
    free = fitted(world)
    most, least = (f(arrow.numpy(free.measure(d), "perplexity")) for f, d in ((max, pool), (min, gibberish)))
    assert most < least
    bounded = fitted(world, upper_perplexity=float(np.sqrt(most * least)))
    assert (arrow.numpy(free.measure(gibberish), "score") > 0).all()
    assert (arrow.numpy(bounded.measure(gibberish), "score") < 0).all()
    kept = [arrow.numpy(scorer.measure(pool), "score") > 0 for scorer in (free, bounded)]
    assert np.array_equal(*kept)


def test_languages_have_thresholds_of_their_own_where_there_is_enough_of_them(world):
    own, together = fitted(world), fitted(world, min_documents=1000)
    assert sorted(own.log_threshold) == ["", "aa", "bb"]
    assert sorted(together.log_threshold) == [""]
    elsewhere = DocumentBatch.of(["some text"], language=["zz"])
    assert arrow.numpy(own.measure(elsewhere), "threshold")[0] == pytest.approx(np.exp(own.log_threshold[""]))


def test_a_pool_of_one_kind_is_not_cut_in_two(world):
    harmful, pool, harmful_N = world
    rows = np.flatnonzero(~harmful_N & (np.array(pool.column("language")) == "aa"))
    clean = DocumentBatch(arrow.take(pool.rows, rows))
    for calibration in ("valley", "otsu"):
        scorer = HarmfulPerplexity(calibration=calibration)
        law = scorer.fit(Given(texts={"harmful": [harmful]}, pool=[clean]))
        kept = (arrow.numpy(law.measure(clean), "score") > 0).mean()
        assert kept > (0.99 if calibration == "valley" else 0.2)


def test_a_valley_below_most_harmful_text_parts_something_else():
    rng = np.random.default_rng(5)
    values, held = np.concatenate([rng.normal(1, 0.2, 300), rng.normal(6, 0.5, 900)]), rng.normal(4, 0.3, 200)
    expected = pytest.approx(float(np.quantile(held, 0.9)))
    assert HarmfulPerplexity(recall=0.9)._between(values, held) == expected
    assert 1.5 < HarmfulPerplexity(recall=0.9)._between(values, held - 3) < 4


def test_needs_the_pool_only_where_the_threshold_is_read_off_it():
    harmful = Texts("harmful", ("bad.jsonl",))
    assert HarmfulPerplexity(files=("bad.jsonl",)).needs() == (harmful, PoolText())
    assert HarmfulPerplexity(files=("bad.jsonl",), threshold=25.0).needs() == (harmful,)


def test_no_harmful_text_is_an_error_and_one_document_is_enough(world):
    _, pool, _ = world
    for texts in ({}, {"harmful": [DocumentBatch.of([" "])]}):
        with pytest.raises(SeedbedError, match=r"harmful_perplexity, harmful text: there is no text"):
            HarmfulPerplexity().fit(Given(texts=texts, pool=[pool]))
    for seed in range(12):  # the one document is held out for some seeds
        one = Given(texts={"harmful": [DocumentBatch.of(["bad words"])]}, pool=[pool], seed=seed)
        score_N = arrow.numpy(
            HarmfulPerplexity().fit(one).measure(DocumentBatch.of(["", "bad words", "good"])), "score"
        )
        assert np.isfinite(score_N).all()
        assert score_N[1] < score_N[2]
