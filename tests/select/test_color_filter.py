import itertools

import numpy as np
import pytest

from seedbed.core import arrow
from seedbed.core.cost import Cost
from seedbed.core.errors import RecipeError
from seedbed.core.nouns import DocumentBatch
from seedbed.select.contract import Given, TargetText, TrainedModel
from seedbed.select.run import score_shard
from seedbed.select.scorers.color_filter import ColorFilter
from seedbed.stats.auc import rank_auc

V, LENGTH = 24, 60


class Bigram:
    """A real language model: add-alpha counts, (count + alpha) / (row + alpha * V); token 0 is end of text."""

    def __init__(self, vocabulary, alpha=0.1):
        self.alpha, self.count_VV = alpha, np.zeros((vocabulary, vocabulary))
        self.asked = 0

    def trained(self, documents):
        """A copy that has read more: the bigram's fine-tuning."""
        model = Bigram(len(self.count_VV), self.alpha)
        model.count_VV = self.count_VV.copy()
        for tokens in documents:
            np.add.at(model.count_VV, (np.concatenate([[0], tokens]), np.concatenate([tokens, [0]])), 1)
        return model

    def document_losses(self, documents):
        ids, offsets = documents.token_ids
        row_V = self.count_VV.sum(1) + self.alpha * len(self.count_VV)
        log_VV = np.log((self.count_VV + self.alpha) / row_V[:, None])
        losses = []
        for start, end in itertools.pairwise(offsets):
            tokens = ids[start:end]
            self.asked += len(tokens)
            pairs = log_VV[np.concatenate([[0], tokens]), np.concatenate([tokens, [0]])]
            losses.append(-pairs.mean() if len(tokens) else 0.0)
        return np.array(losses)

    @property
    def cost(self):
        return Cost(flops_forward=2.0 * self.asked)


def tokenised(documents):
    """A batch whose text is the ids in print."""
    batch = DocumentBatch.of([" ".join(map(str, tokens)) for tokens in documents])
    ids = np.concatenate([np.zeros(0, np.int64), *documents])
    return DocumentBatch(batch.rows, (ids, np.cumsum([0, *map(len, documents)])))


def markov_documents(rng, transition_VV, n, length):
    """n documents of `length` tokens (1 .. V-1) from a Markov chain."""
    cumulative = transition_VV.cumsum(1)
    state, columns = rng.integers(0, len(transition_VV), n), []
    for _ in range(length):
        state = (rng.random(n)[:, None] > cumulative[state]).sum(1).clip(0, len(transition_VV) - 1)
        columns.append(state + 1)
    return list(np.array(columns).T)


@pytest.fixture(scope="module")
def world():
    """A pool of four domains, its true labels, and what the prior and the target are made of."""
    rng = np.random.default_rng(7)
    chains = {name: rng.dirichlet(np.full(V, 0.25), V) for name in ("target", "other")}
    chains["easy"] = np.eye(V)[(np.arange(V) + 1) % V] * 0.97 + 0.03 / V  # almost one sentence, again and again
    chains["noise"] = np.full((V, V), 1 / V)
    pool = {name: markov_documents(rng, chain, 100, LENGTH) for name, chain in chains.items()}
    sample = [d for name, chain in chains.items() for d in markov_documents(rng, chain, 60, LENGTH)]
    prior = Bigram(V + 1).trained(sample)
    tuned = prior.trained(markov_documents(rng, chains["target"], 100, LENGTH))
    generic = [d for chain in chains.values() for d in markov_documents(rng, chain, 25, LENGTH)]
    labels = np.repeat(list(pool), 100)
    return (
        tokenised([d for documents in pool.values() for d in documents]),
        labels,
        prior,
        tuned,
        prior.trained(generic),
    )


def aucs(score_N, labels):
    """How well the target is told from each other domain."""
    found = {}
    for other in ("other", "easy", "noise"):
        rows = np.isin(labels, ["target", other])
        found[other] = rank_auc(score_N[rows], labels[rows] == "target")
    return found


def color(world, prior, conditional):
    fitted = ColorFilter().fit(Given(models={"prior": prior, "conditional": conditional}))
    return score_shard(fitted, world[0])


def test_tells_the_target_from_other_easy_and_noise(world):
    _, labels, prior, tuned, _ = world
    assert min(aucs(arrow.numpy(color(world, prior, tuned), "score"), labels).values()) > 0.9


def test_the_conditional_loss_alone_would_keep_what_is_easy(world):
    documents, labels, _, tuned, _ = world
    assert aucs(-tuned.document_losses(documents), labels)["easy"] < 0.7


def test_swapped_models_turn_the_order_around(world):
    _, labels, prior, tuned, _ = world
    assert max(aucs(arrow.numpy(color(world, tuned, prior), "score"), labels).values()) < 0.1


def test_a_model_tuned_on_nothing_in_particular_tells_nothing(world):
    _, labels, prior, _, placebo = world
    found = aucs(arrow.numpy(color(world, prior, placebo), "score"), labels)
    assert list(found.values()) == pytest.approx([0.5] * 3, abs=0.2)


def test_score_is_the_loss_difference_and_the_bayes_factor_of_the_counts(world):
    documents, _, prior, tuned, _ = world
    measured = color(world, prior, tuned)
    columns = {name: arrow.numpy(measured, name) for name in measured.column_names}
    assert np.array_equal(columns["score"], columns["loss_prior"] - columns["loss_conditional"])
    # Count-based models: the score is the log ratio of posterior predictive probabilities, a token.
    ids, offsets = documents.token_ids
    tokens = np.concatenate([[0], ids[offsets[3] : offsets[4]], [0]])
    ratio = 0.0
    for before, after in itertools.pairwise(tokens):
        for model, sign in ((tuned, 1), (prior, -1)):
            row = model.count_VV[before]
            ratio += sign * np.log((row[after] + 0.1) / (row.sum() + 0.1 * (V + 1)))
    assert columns["score"][3] == pytest.approx(ratio / (len(tokens) - 1), abs=1e-12)


def test_declares_a_prior_and_a_conditional_that_starts_from_it():
    target, prior, conditional = ColorFilter(prior_tokens=7, conditional_tokens=3, shape=0.25).needs()
    assert target == TargetText()
    assert prior == TrainedModel("prior", "pool", 7, "", 1e-3, 0.25)
    assert conditional == TrainedModel("conditional", "target", 3, "prior", 1e-3, 0.25)
    with pytest.raises(RecipeError, match="prior_tokens"):
        ColorFilter(prior_tokens=0)


def test_empty_documents_and_batches(world):
    _, _, prior, tuned, _ = world
    fitted = ColorFilter().fit(Given(models={"prior": prior, "conditional": tuned}))
    none = np.zeros(0, np.int64)
    assert arrow.numpy(fitted.measure(tokenised([none])), "score").tolist() == [0.0]
    assert fitted.measure(tokenised([])).num_rows == 0
