import itertools

import numpy as np
import pytest
import torch

from seedbed.core import arrow
from seedbed.core.errors import RecipeError
from seedbed.model.language_model import LanguageModel
from seedbed.model.shape import ModelShape
from seedbed.model.transformer import initial_model
from seedbed.select.contract import Given, GivenModel, Texts, TrainedModel
from seedbed.select.run import score_shard
from seedbed.select.scorers.miniplm import Miniplm
from seedbed.stats.auc import rank_auc
from tests.select.test_color_filter import LENGTH, Bigram, V, markov_documents, tokenised


@pytest.fixture(scope="module")
def world():
    """Easy, hard and noisy text; a teacher that has read much of it, a reference that has learned the easy alone."""
    rng = np.random.default_rng(9)
    easy = np.eye(V)[(np.arange(V) + 1) % V] * 0.97 + 0.03 / V
    chains = {"easy": easy, "hard": rng.dirichlet(np.full(V, 0.3), V), "noise": np.full((V, V), 1 / V)}
    pool = {name: markov_documents(rng, chain, 60, LENGTH) for name, chain in chains.items()}
    much = [d for chain in chains.values() for d in markov_documents(rng, chain, 200, LENGTH)]
    teacher = Bigram(V + 1).trained(much)
    converged = Bigram(V + 1, alpha=20.0).trained(markov_documents(rng, easy, 3000, LENGTH))
    documents = tokenised([d for part in pool.values() for d in part])
    return documents, np.repeat(list(pool), 60), teacher, converged


def trained(documents, width, steps, seed=0):
    """A real model of documents of one length, by plain AdamW."""
    model = initial_model(ModelShape(V + 1, width, 1, 2, context=LENGTH + 1), seed)
    optimizer, rng = torch.optim.AdamW(model.parameters(), lr=0.01), np.random.default_rng(seed)
    ids_NT = torch.from_numpy(np.array(documents))
    for _ in range(steps):
        y_BT = ids_NT[rng.integers(0, len(ids_NT), 16)]
        x_BT = torch.nn.functional.pad(y_BT[:, :-1], (1, 0))
        loss = torch.nn.functional.cross_entropy(model(x_BT).flatten(0, 1), y_BT.flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return LanguageModel(model, 0)


@pytest.fixture(scope="module")
def real():
    """Trained models: a teacher; a reference that has learned the easy text; one that has learned next to nothing."""
    rng = np.random.default_rng(4)
    easy = np.eye(V)[(np.arange(V) + 1) % V] * 0.97 + 0.03 / V
    chains = {"easy": easy, "hard": rng.dirichlet(np.full(V, 0.2), V), "noise": np.full((V, V), 1 / V)}
    much = {name: markov_documents(rng, chain, 200, LENGTH) for name, chain in chains.items()}
    pool = {name: markov_documents(rng, chain, 40, LENGTH) for name, chain in chains.items()}
    teacher = trained([d for part in much.values() for d in part], 32, 150)
    converged = trained(much["easy"] + much["noise"], 16, 100)
    documents = tokenised([d for part in pool.values() for d in part])
    return documents, np.repeat(list(pool), 40), teacher, converged, trained(much["easy"] + much["noise"], 16, 5)


def test_real_models_tell_hard_text_from_noise_and_learned_text(real):
    documents, labels, teacher, converged, _ = real
    score_N = score(documents, converged, teacher)
    assert rank_auc(score_N[labels != "easy"], labels[labels != "easy"] == "hard") > 0.95
    assert rank_auc(score_N[labels != "noise"], labels[labels != "noise"] == "hard") > 0.95
    assert np.abs(score_N[labels == "easy"]).mean() < np.abs(score_N[labels == "hard"]).mean()
    assert score_N[labels == "noise"].mean() < score_N[labels == "hard"].mean() / 2
    loss_N = -teacher.document_losses(documents)
    assert rank_auc(loss_N[labels != "noise"], labels[labels != "noise"] == "hard") < 0.05, "perplexity prefers easy"


def test_an_undertrained_real_reference_puts_easy_text_first(real):
    documents, labels, teacher, _, blank = real
    score_N = score(documents, blank, teacher)
    assert rank_auc(score_N[labels != "noise"], labels[labels != "noise"] == "easy") > 0.95
    assert np.corrcoef(score_N, teacher.document_losses(documents))[0, 1] < -0.9, "the diagnostic sees it"


def measured(documents, reference, teacher):
    return score_shard(Miniplm().fit(Given(models={"reference": reference, "teacher": teacher})), documents)


def score(documents, reference, teacher):
    return arrow.numpy(measured(documents, reference, teacher), "score")


def test_hard_text_gains_and_noise_does_not(world):
    documents, labels, teacher, _ = world
    score_N = score(documents, Bigram(V + 1), teacher)
    assert rank_auc(score_N[labels != "easy"], labels[labels != "easy"] == "hard") > 0.95
    assert score_N[labels == "noise"].mean() < 0


def test_easy_text_is_sampled_down_only_by_a_reference_that_has_learned_it(world):
    documents, labels, teacher, converged = world
    learned, blank = score(documents, converged, teacher), score(documents, Bigram(V + 1), teacher)
    assert np.abs(learned[labels == "easy"].mean()) < learned[labels == "hard"].mean()
    assert blank[labels == "easy"].mean() > blank[labels == "hard"].mean(), "it has not: easy text comes first"
    # The diagnostic that the docstring names: what is easiest for the teacher is what is chosen.
    loss_N = teacher.document_losses(documents)
    assert np.corrcoef(blank, loss_N)[0, 1] < -0.9 < np.corrcoef(learned, loss_N)[0, 1]


def test_score_is_the_log_ratio_of_count_models_in_closed_form(world):
    documents, _, teacher, reference = world
    ids, offsets = documents.token_ids
    tokens = np.concatenate([[0], ids[offsets[70] : offsets[71]], [0]])
    ratio = sum(
        np.log(
            (teacher.count_VV[a, b] + 0.1) / (teacher.count_VV[a].sum() + 0.1 * (V + 1))
            * (reference.count_VV[a].sum() + 20 * (V + 1)) / (reference.count_VV[a, b] + 20)
        )
        for a, b in itertools.pairwise(tokens)
    )  # fmt: skip
    found = measured(documents, reference, teacher)
    columns = {name: arrow.numpy(found, name) for name in found.column_names}
    assert columns["score"][70] == pytest.approx(ratio / (len(tokens) - 1), abs=1e-12)
    assert np.array_equal(columns["score"], columns["loss_reference"] - columns["loss_teacher"])


def test_swapped_models_negate_and_the_same_model_gives_zero(world):
    documents, _, teacher, reference = world
    assert np.array_equal(score(documents, reference, teacher), -score(documents, teacher, reference))
    assert not score(documents, teacher, teacher).any()


def test_declares_a_larger_teacher_or_a_given_one_and_a_reference():
    teacher, reference = Miniplm().needs()
    assert (teacher.name, teacher.on, reference.name, reference.on) == ("teacher", "pool", "reference", "pool")
    assert isinstance(teacher, TrainedModel)
    assert teacher.tokens > reference.tokens
    assert teacher.shape > reference.shape
    assert Miniplm(teacher_folder="big/").needs() == (GivenModel("teacher", "big/"), reference)
    text, _, outside = Miniplm(reference_files=("b.txt",)).needs()
    assert (text, outside.on) == (Texts("reference_text", ("b.txt",)), "reference_text")
    with pytest.raises(RecipeError, match="teacher_shape"):
        Miniplm(teacher_shape=0)


def test_empty_documents_and_batches(world):
    _, _, teacher, reference = world
    assert score(tokenised([np.zeros(0, np.int64)]), reference, teacher).tolist() == [0.0]
    assert score(tokenised([]), reference, teacher).tolist() == []
