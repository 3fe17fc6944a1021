from collections import Counter

import numpy as np
import pytest

from seedbed.core import arrow
from seedbed.core.errors import SeedbedError
from seedbed.core.nouns import DocumentBatch
from seedbed.select.contract import Given
from seedbed.select.run import choose
from seedbed.select.scorers.clusters import Clusters
from seedbed.select.selectors.quotas import Quotas
from seedbed.select.selectors.top_k import TopK


def tokenised(texts):
    offsets = np.cumsum([0, *(len(text.split()) for text in texts)]).astype(np.int64)
    return DocumentBatch(DocumentBatch.of(texts).rows, (np.zeros(offsets[-1], np.int64), offsets))


@pytest.fixture(scope="module")
def pool():
    """Five topics of 200, 40, 40, 40 and 40 documents; every text has many words of no topic."""
    rng = np.random.default_rng(7)
    topic = np.repeat(np.arange(5), [200, 40, 40, 40, 40])
    texts = [
        " ".join([*(f"topic{t}w{w}" for w in rng.integers(0, 60, 30)), *(f"the{w}" for w in rng.integers(0, 20, 30))])
        for t in topic
    ]
    return tokenised(texts), topic


def measured(method, batch, *more):
    fitted = method.fit(Given(pool=[batch]))
    return [fitted.measure(documents) for documents in (batch, *more)]


def test_topics_become_clusters(pool):
    batch, topic = pool
    (found,) = measured(Clusters(clusters=8), batch)
    cluster = arrow.numpy(found, "cluster")
    pure = sum(Counter(topic[cluster == k]).most_common(1)[0][1] for k in set(cluster.tolist()))
    assert pure / len(topic) > 0.95
    rng = np.random.default_rng(0)
    chance = rng.permutation(cluster)
    assert sum(Counter(topic[chance == k]).most_common(1)[0][1] for k in set(cluster.tolist())) / len(topic) < 0.65


def test_the_projection_keeps_angles():
    words = [" ".join(f"w{i}" for i in range(start, start + 100)) for start in (0, 50, 100)]
    others = [" ".join(f"x{i * 100 + j}" for j in range(100)) for i in range(10)]
    batch = tokenised([*words, *others])
    fitted = Clusters(clusters=13, dimensions=1024, buckets=2**13).fit(Given(pool=[batch]))
    cluster = arrow.numpy(fitted.measure(batch), "cluster")
    assert sorted(cluster) == list(range(13)), "every text is a cluster of its own: its centre is its point"
    first, second, third = fitted.centre_KD[cluster[:3]]
    assert first @ third == pytest.approx(0, abs=0.08)
    shared, own = (
        50 * np.log(14 / 3) ** 2,
        50 * np.log(14 / 2) ** 2,
    )  # squared weights of words of two texts, and of one
    assert first @ second == pytest.approx(shared / ((shared + own) * 2 * shared) ** 0.5, abs=0.08)


def test_the_score_is_far_near_or_none(pool):
    batch, _ = pool
    tables = [measured(Clusters(clusters=5, score=score), batch)[0] for score in ("far", "near", "none")]
    far, near, none = (arrow.numpy(table, "score") for table in tables)
    assert np.array_equal(far, arrow.numpy(tables[0], "distance"))
    assert np.array_equal(near, -far)
    assert not none.any()
    assert far.min() >= 0
    assert far.max() <= 2


def test_what_is_unlike_its_cluster_lies_farther(pool):
    batch, _ = pool
    odd = tokenised(["topic0w1 something wholly else that no other text of the pool has said"])
    whole, alone = measured(Clusters(clusters=5), batch, odd)
    assert arrow.numpy(alone, "distance")[0] > np.quantile(arrow.numpy(whole, "distance"), 0.9)


def test_quotas_by_cluster_spread_what_top_k_would_not(pool):
    batch, topic = pool
    (found,) = measured(Clusters(clusters=10, score="near"), batch)
    score, cluster = arrow.numpy(found, "score"), arrow.numpy(found, "cluster")
    n_tokens = np.diff(batch.token_ids[1])

    def entropy(selector):
        columns = {"cluster": cluster.astype(float)}
        weights = choose(selector, batch.ids, score, n_tokens, int(n_tokens.sum() // 4), 0, columns)
        share = np.bincount(topic, arrow.numpy(weights, "copies") * n_tokens) / (n_tokens.sum() // 4)
        return -sum(p * np.log(p) for p in share / share.sum() if p > 0)

    assert entropy(Quotas(("cluster",), "equal")) > 1.3
    assert entropy(Quotas(("cluster",), "equal")) > entropy(TopK()) + 0.1


def test_fitting_does_not_see_the_order_and_a_pool_without_text_is_an_error(pool):
    batch, _ = pool
    order = np.random.default_rng(1).permutation(len(batch))
    method = Clusters(clusters=5, sample_documents=100)
    fitted = [method.fit(Given(pool=given)) for given in ([batch], [batch.some(order[:50]), batch.some(order[50:])])]
    assert np.array_equal(fitted[0].centre_KD, fitted[1].centre_KD)
    with pytest.raises(SeedbedError, match="clusters, pool"):
        method.fit(Given(pool=[tokenised([""])]))
    assert arrow.numpy(fitted[0].measure(tokenised([""])), "distance")[0] > 0
    one = Clusters().fit(Given(pool=[tokenised(["a", "b", "a b"])]))
    assert len(one.centre_KD) == 3
