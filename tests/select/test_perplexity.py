import numpy as np
import pytest

from seedbed.core import arrow
from seedbed.core.errors import RecipeError, SeedbedError
from seedbed.select.contract import Given, GivenModel, PoolText, TrainedModel
from seedbed.select.run import choose, score_shard
from seedbed.select.scorers.perplexity import Perplexity
from seedbed.select.selectors.top_k import TopK
from tests.select.test_color_filter import LENGTH, Bigram, V, markov_documents, tokenised


@pytest.fixture(scope="module")
def world():
    """A pool of mixtures between a chain that the model knows and noise, so that losses spread."""
    rng = np.random.default_rng(21)
    known = rng.dirichlet(np.full(V, 0.2), V)
    shares = rng.random(200)
    pool = [markov_documents(rng, share * known + (1 - share) / V, 1, LENGTH)[0] for share in shares]
    return tokenised(pool), Bigram(V + 1).trained(markov_documents(rng, known, 200, LENGTH))


def chosen(world, **parameters):
    documents, model = world
    fitted = Perplexity(**parameters).fit(Given(pool=[documents], models={"model": model}))
    score_N = arrow.numpy(score_shard(fitted, documents), "score")
    weights = choose(TopK(), documents.ids, score_N, np.full(200, LENGTH), 100 * LENGTH, seed=0)
    return set(np.flatnonzero(arrow.numpy(weights, "copies")))


def test_half_the_pool_is_the_low_the_high_or_the_middle_half_of_its_losses(world):
    documents, model = world
    order = np.argsort(model.document_losses(documents))
    assert chosen(world, keep="low") == set(order[:100])
    assert chosen(world, keep="high") == set(order[100:])
    assert chosen(world, keep="middle") == set(order[50:150])
    assert chosen(world, keep="middle", centre=0.3) == set(order[10:110])
    assert chosen(world, keep="middle", centre=0.0) == set(order[:100])


def test_a_sample_of_the_pool_finds_nearly_the_same_middle(world):
    assert len(chosen(world, keep="middle") & chosen(world, keep="middle", sample_documents=60)) >= 85


def test_loss_is_told_and_the_score_is_it_with_its_sign(world):
    documents, model = world
    fitted = Perplexity().fit(Given(models={"model": model}))
    rows = score_shard(fitted, documents)
    assert np.array_equal(arrow.numpy(rows, "loss"), model.document_losses(documents))
    assert np.array_equal(arrow.numpy(rows, "score"), -arrow.numpy(rows, "loss"))


def test_declares_a_trained_or_given_model_and_the_pool_for_its_middle():
    assert Perplexity(tokens=5, shape=1.0).needs() == (TrainedModel("model", "pool", 5, "", 1e-3, 1.0),)
    assert Perplexity(keep="middle", folder="m/").needs() == (PoolText(), GivenModel("model", "m/"))
    with pytest.raises(RecipeError, match="keep"):
        Perplexity(keep="lowest")


def test_equal_losses_empty_documents_and_an_empty_pool(world):
    _, model = world
    none = tokenised([np.zeros(0, np.int64)])
    same = tokenised([np.array([1, 2, 3])] * 4)
    fitted = Perplexity(keep="middle").fit(Given(pool=[same, none], models={"model": model}))
    assert arrow.numpy(fitted.measure(same), "score").tolist() == [0.0] * 4
    assert np.isfinite(arrow.numpy(fitted.measure(none), "score")).all()
    assert fitted.measure(tokenised([])).num_rows == 0
    with pytest.raises(SeedbedError, match="no document has a token"):
        Perplexity(keep="middle").fit(Given(pool=[none], models={"model": model}))
