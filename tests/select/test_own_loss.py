"""Own loss: the model's own losses with a sign, what it chooses, and its known fault."""

import numpy as np

from seedbed.core import arrow
from seedbed.recipes._arms import arm_of
from seedbed.select.contract import CurrentModel, Given
from seedbed.select.run import choose, score_shard
from seedbed.select.scorers.own_loss import OwnLoss
from seedbed.select.selectors.top_k import TopK
from seedbed.stats.auc import rank_auc
from tests.select.test_color_filter import LENGTH, Bigram, V, markov_documents, tokenised


def world():
    """Text that the model knows, text that it does not know yet, and noise that nobody can."""
    rng = np.random.default_rng(3)
    known, fresh = (rng.dirichlet(np.full(V, 0.1), V) for _ in range(2))
    chains = {"known": known, "fresh": fresh, "noise": np.full((V, V), 1 / V)}
    documents = tokenised([d for chain in chains.values() for d in markov_documents(rng, chain, 60, LENGTH)])
    return documents, np.repeat(list(chains), 60), Bigram(V + 1).trained(markov_documents(rng, known, 150, LENGTH))


def table(documents, model, keep="high"):
    return score_shard(OwnLoss(keep=keep).fit(Given(models={"current": model})), documents)


def test_what_the_model_does_not_know_is_read_first_and_noise_with_it():
    documents, labels, model = world()
    found = table(documents, model)
    score_N = arrow.numpy(found, "score")
    assert np.array_equal(score_N, model.document_losses(documents))
    assert np.array_equal(arrow.numpy(found, "loss"), score_N)
    for kind in ("fresh", "noise"):
        rows = np.isin(labels, ["known", kind])
        assert rank_auc(score_N[rows], labels[rows] == kind) > 0.95
    size_N = np.diff(documents.token_ids[1])
    chosen = choose(TopK(), documents.ids, score_N, size_N, int(size_N.sum()) // 3, 0)
    kept = arrow.numpy(chosen, "copies") > 0
    assert not kept[labels == "known"].any()
    assert kept[labels == "noise"].any(), "the fault that rho mends"


def test_low_is_the_reverse():
    documents, _, model = world()
    high, low = (arrow.numpy(table(documents, model, keep), "score") for keep in ("high", "low"))
    assert np.array_equal(low, -high)


def test_an_arm_reads_at_random_and_then_asks_itself_three_times():
    stages = arm_of("own_loss").stages
    assert OwnLoss().needs() == (CurrentModel("current"),)
    assert [stage.scorer.name() for stage in stages] == ["constant", "own_loss", "own_loss", "own_loss"]
