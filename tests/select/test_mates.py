"""The regression on what one step does: planted kinds of text, labels without meaning, and a model that is asked."""

import itertools

import numpy as np
import pytest

from seedbed.core import arrow
from seedbed.core.cost import Cost
from seedbed.core.errors import SeedbedError
from seedbed.core.nouns import DocumentBatch
from seedbed.select.contract import Given, Gradients, joined
from seedbed.select.run import choose
from seedbed.select.scorers.mates import Mates
from seedbed.select.selectors.gumbel_top_k import GumbelTopK
from seedbed.stats.auc import rank_auc
from seedbed.stats.ranks import spearman

WORDS = {"hay": [f"hay{i}" for i in range(40)], "law": [f"law{i}" for i in range(40)]}


def tokenised(texts: list[str]) -> DocumentBatch:
    lengths = [len(text.split()) for text in texts]
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return DocumentBatch(DocumentBatch.of(texts).rows, (np.ones(offsets[-1], np.int64), offsets))


def pool_of(n: int, seed: int) -> tuple[DocumentBatch, np.ndarray]:
    """Documents that mix words of two kinds, and the share of the first."""
    rng = np.random.default_rng(seed)
    share = rng.uniform(size=n)
    texts = [" ".join(rng.choice(WORDS["hay" if rng.random() < s else "law"]) for _ in range(30)) for s in share]
    return tokenised(texts), share


class Told:
    """A probe whose answer is known: the more hay a document has, the lower the loss after a step on it."""

    def __init__(self, noise: float = 0.0, shuffled: bool = False) -> None:
        self.noise, self.shuffled, self.asked = noise, shuffled, []
        self.cost = Cost()

    def loss(self, reference):
        del reference
        return 3.0

    def losses_after_step(self, documents, reference):
        self.asked.append((len(documents), len(reference)))
        hay = np.array([text.count("hay") / max(1, len(text.split())) for text in documents.texts()])
        rng = np.random.default_rng(len(documents) + len(reference))
        loss = 3.0 - 1e-4 * hay + self.noise * 1e-4 * rng.normal(size=len(hay))
        return rng.permutation(loss) if self.shuffled else loss


class Means:
    """Embeddings whose second number is the share of hay."""

    cost = Cost()

    def embeddings(self, documents):
        hay = np.array([text.count("hay") / max(1, len(text.split())) for text in documents.texts()])
        return np.stack([np.ones(len(hay)), 5 + 0.01 * hay, 100 * np.sin(7 * hay)], 1).astype(np.float32)


def given(pool, probe, *, seed=0, **about) -> Given:
    return Given(target=[pool_of(40, 99)[0]], pool=[pool], probe=probe, seed=seed, **about)


def scores(fitted, documents) -> np.ndarray:
    return arrow.numpy(fitted.measure(documents), "score")


@pytest.mark.parametrize("features", ["ngrams", "embeddings"])
def test_the_regression_finds_what_determines_the_loss(features):
    """Bag of words that decides the label: held-out rank correlation above .6; of shuffled labels, none."""
    pool, _ = pool_of(600, 1)
    fitted = Mates(n_probes=400, features=features).fit(given(pool, Told(0.3), gradients=Means()))
    assert fitted.told["probes"] == 400
    assert fitted.told["spearman"] > 0.6
    assert fitted.told["reliability"] > 0.6
    assert fitted.told["spread"] == pytest.approx(1e-4 * np.hypot(0.3, 0.3), rel=0.2)
    other, share = pool_of(300, 2)
    assert spearman(scores(fitted, other), share) > 0.9, "the higher the share, the higher the score"
    chance = [
        Mates(n_probes=400, features=features, held_out=0.5, n_reliability=0)
        .fit(given(pool, Told(shuffled=True), gradients=Means(), seed=seed))
        .told["spearman"]
        for seed in range(6)
    ]
    assert abs(np.mean(chance)) < 0.15


def test_scores_are_in_deviations_of_the_labels():
    """Embeddings that are the label itself: the fit is exact, so scores are the labels, to the small penalty."""
    pool, _ = pool_of(500, 3)
    fitted = Mates(features="embeddings", n_reliability=0, l2=1e-9).fit(given(pool, Told(), gradients=Means()))
    loss = Told().losses_after_step(pool, pool)
    label = (loss.mean() - loss) / loss.std()
    assert np.abs(scores(fitted, pool) - label).max() < 0.2
    assert fitted.told["spearman"] > 0.999


def test_what_is_asked_for_and_how_often():
    pool, _ = pool_of(120, 4)
    probe = Told()
    Mates(n_probes=100, n_reference=30, n_reliability=20).fit(given(pool, probe))
    assert probe.asked == [(100, 30), (20, 15), (20, 15)]
    assert not any(isinstance(need, Gradients) for need in Mates().needs())
    assert any(isinstance(need, Gradients) for need in Mates(features="embeddings").needs())


def test_the_reference_is_cut_to_its_beginnings():
    class Seen(Told):
        def losses_after_step(self, documents, reference):
            self.reference = reference
            return super().losses_after_step(documents, reference)

    pool, probe = pool_of(20, 4)[0], Seen()
    ids = np.arange(30)
    target = DocumentBatch(DocumentBatch.of(["a", "b", "c"]).rows, (ids, np.array([2, 5, 5, 25])))
    law = Mates(reference_tokens=4, n_reliability=0)
    law.fit(Given(target=[target], pool=[pool], probe=probe))
    found, offsets = probe.reference.token_ids
    pieces = {tuple(found[a:b].tolist()) for a, b in itertools.pairwise(offsets)}
    assert pieces == {(2, 3, 4), (5, 6, 7, 8)}, "the one without tokens is not drawn"


def test_the_order_and_the_cut_of_the_pool_do_not_matter():
    pool, _ = pool_of(80, 5)
    order = np.random.default_rng(0).permutation(80)
    whole = Mates(n_probes=50).fit(given(pool, Told()))
    parts = [pool.some(order[:30]), pool.some(order[30:])]
    cut = Mates(n_probes=50).fit(Given(target=[pool_of(40, 99)[0]], pool=parts, probe=Told()))
    assert np.array_equal(scores(whole, pool), scores(cut, joined(parts))[np.argsort(order)])


def test_with_gumbel_noise_the_better_are_drawn_more_often_than_not():
    pool, share = pool_of(400, 6)
    fitted = Mates(n_probes=200).fit(given(pool, Told()))
    weights = choose(GumbelTopK(), pool.ids, scores(fitted, pool), np.full(400, 30), 80 * 30, seed=0)
    kept = arrow.numpy(weights, "copies") > 0
    assert kept.sum() == 80
    assert 0.6 < rank_auc(share, kept) < 0.95, "sampled, not cut"


def test_strange_documents_score_and_what_cannot_be_fitted_is_said():
    pool, _ = pool_of(60, 7)
    fitted = Mates().fit(given(pool, Told()))
    strange = tokenised(["", " \n", "\x00", "word " * 5000, "🌱"])
    found = scores(fitted, strange)
    assert np.isfinite(found).all()
    assert found[0] == pytest.approx(float(fitted.model.intercept))
    with pytest.raises(SeedbedError, match="no model to try steps on"):
        Mates().fit(given(pool, None))
    with pytest.raises(SeedbedError, match="9 documents of the pool have tokens, and 10 are needed"):
        Mates().fit(given(pool.some(np.arange(9)), Told()))
    with pytest.raises(SeedbedError, match="0 documents of the target"):
        Mates().fit(Given(pool=[pool], probe=Told()))

    class Broken(Told):
        def losses_after_step(self, documents, reference):
            return np.append(super().losses_after_step(documents, reference)[:-1], np.nan)

    with pytest.raises(SeedbedError, match=f"document {'[0-9a-f]' * 32} is NaN"):
        Mates().fit(given(pool, Broken()))

    class Flat(Told):
        def losses_after_step(self, documents, reference):
            return np.full(len(documents), 3.0)

    flat = Mates().fit(given(pool, Flat()))
    assert not scores(flat, pool).any()
