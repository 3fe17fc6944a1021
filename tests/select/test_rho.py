import numpy as np
import pytest

from seedbed.core import arrow
from seedbed.core.errors import RecipeError
from seedbed.select.contract import CurrentModel, Given, TargetText, Texts, TrainedModel
from seedbed.select.run import choose, score_shard
from seedbed.select.scorers.rho import Rho
from seedbed.select.selectors.top_k import TopK
from seedbed.stats.auc import rank_auc
from tests.select import test_miniplm
from tests.select.test_color_filter import LENGTH, Bigram, V, markov_documents, tokenised


@pytest.fixture(scope="module")
def world():
    """Easy text that is learned, hard clean text that hardly is, and noise; and a holdout like the clean text."""
    rng = np.random.default_rng(3)
    hard = rng.dirichlet(np.full(V, 0.3), V)
    easy = np.eye(V)[(np.arange(V) + 1) % V] * 0.97 + 0.03 / V
    chains = {"easy": easy, "hard": hard, "noise": np.full((V, V), 1 / V)}
    pool = {name: markov_documents(rng, chain, 60, LENGTH) for name, chain in chains.items()}
    holdout = [d for name in ("easy", "hard") for d in markov_documents(rng, chains[name], 150, LENGTH)]
    current = Bigram(V + 1).trained(markov_documents(rng, easy, 150, LENGTH) + markov_documents(rng, hard, 4, LENGTH))
    documents = tokenised([d for part in pool.values() for d in part])
    return documents, np.repeat(list(pool), 60), current, Bigram(V + 1).trained(holdout)


def rho(documents, current, irreducible):
    given = Given(models={"current": current, "irreducible": irreducible})
    return arrow.numpy(score_shard(Rho().fit(given), documents), "score")


def auc(score_N, labels, one, other):
    rows = np.isin(labels, [one, other])
    return rank_auc(score_N[rows], labels[rows] == one)


def test_noise_is_refused_where_a_high_loss_alone_would_choose_it(world):
    documents, labels, current, irreducible = world
    score_N, loss_N = rho(documents, current, irreducible), current.document_losses(documents)
    assert auc(score_N, labels, "hard", "noise") > 0.95
    assert auc(loss_N, labels, "hard", "noise") < 0.2
    assert auc(score_N, labels, "hard", "easy") > 0.95, "easy text is learned already"


def test_real_models_refuse_noise_where_a_high_loss_alone_would_choose_it():
    rng = np.random.default_rng(2)
    hard, noise = rng.dirichlet(np.full(V, 0.2), V), np.full((V, V), 1 / V)
    chains = [hard] * 2 + [noise]
    current = test_miniplm.trained([d for c in chains for d in markov_documents(rng, c, 100, LENGTH)], 16, 40)
    irreducible = test_miniplm.trained(markov_documents(rng, hard, 200, LENGTH), 16, 100, seed=1)
    documents = tokenised([d for c in (hard, noise) for d in markov_documents(rng, c, 40, LENGTH)])
    clean_N = np.arange(80) < 40
    assert rank_auc(rho(documents, current, irreducible), clean_N) > 0.99
    assert rank_auc(current.document_losses(documents), clean_N) < 0.05


def test_is_the_brute_force_top_k_of_reducible_losses(world):
    documents, _, current, irreducible = world
    score_N = rho(documents, current, irreducible)
    weights = choose(TopK(), documents.ids, score_N, np.full(180, LENGTH), 18 * LENGTH, seed=0)
    reducible = [
        current.document_losses(documents.one(i))[0] - irreducible.document_losses(documents.one(i))[0]
        for i in range(180)
    ]
    best = sorted(range(180), key=lambda i: -reducible[i])[:18]
    assert set(np.flatnonzero(arrow.numpy(weights, "copies"))) == set(best)


def test_swapped_models_negate_and_the_same_model_gives_zero(world):
    documents, _, current, irreducible = world
    assert np.array_equal(rho(documents, current, irreducible), -rho(documents, irreducible, current))
    assert not rho(documents, current, current).any()


def test_a_current_model_that_has_learned_nothing_leaves_the_irreducible_loss(world):
    documents, _, _, irreducible = world
    score_N = rho(documents, Bigram(V + 1), irreducible)
    assert score_N == pytest.approx(np.log(V + 1) - irreducible.document_losses(documents))


def test_declares_the_current_model_and_one_of_held_out_text():
    model = TrainedModel("irreducible", "target", 7, "", 1e-3, 0.25)
    assert Rho(tokens=7, shape=0.25).needs() == (TargetText(), CurrentModel("current"), model)
    text, _, model = Rho(files=("a.txt",)).needs()
    assert (text, model.on) == (Texts("holdout", ("a.txt",)), "holdout")
    with pytest.raises(RecipeError, match="tokens"):
        Rho(tokens=0)


def test_empty_documents_and_batches(world):
    _, _, current, irreducible = world
    assert rho(tokenised([np.zeros(0, np.int64)]), current, irreducible).tolist() == [0.0]
    assert rho(tokenised([]), current, irreducible).tolist() == []
