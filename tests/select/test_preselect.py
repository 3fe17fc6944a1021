import itertools

import numpy as np
import pytest
from scipy.stats import kendalltau

from seedbed.core import arrow
from seedbed.core.cost import Cost
from seedbed.core.errors import RecipeError, SeedbedError
from seedbed.core.nouns import DocumentBatch
from seedbed.select.contract import Given, GivenModel, PoolText, TargetText, TrainedModel
from seedbed.select.scorers.preselect import Preselect, bits_per_byte, by_target_loss, predictive_strength
from seedbed.stats.auc import rank_auc


def tokenised(texts):
    """Documents whose tokens are their words and an end of text; an empty text has none."""
    offsets = np.cumsum([0, *(len(text.split()) + 1 if text else 0 for text in texts)]).astype(np.int64)
    return DocumentBatch(DocumentBatch.of(texts).rows, (np.zeros(offsets[-1], np.int64), offsets))


class Model:
    """Loses 7 - 3 * skill nats a word of prose, 7 a word of noise, 2 - skill a word of a template; and some luck."""

    cost = Cost()

    def __init__(self, skill, luck=0.3):
        self.skill, self.luck = skill, luck

    def document_losses(self, documents):
        kinds = {"p": 7 - 3 * self.skill, "n": 7.0, "t": 2 - self.skill}
        rng = np.random.default_rng(int(self.skill * 1000))
        mean = [np.mean([kinds[word[0]] for word in text.split()] or [0.0]) for text in documents.texts()]
        return np.array(mean) + self.luck * rng.normal(size=len(documents)) * (np.array(mean) > 0)


SKILLS = (0.0, 0.15, 0.35, 0.5, 0.8, 1.0)
SIX = Preselect(shapes=(0.5,) * 6, tokens=(1000,) * 6)


def texts(rng, kind, n):
    return [" ".join(f"{kind}{w}" for w in rng.integers(0, 60, 25)) for _ in range(n)]


def ladder(skills=SKILLS, **luck):
    return {f"ladder_{i}": Model(skill, **luck) for i, skill in enumerate(skills)}


def planted(n=150):
    rng = np.random.default_rng(1)
    pool = [*texts(rng, "p", n), *texts(rng, "n", n)]
    return tokenised(texts(rng, "p", 20)), tokenised(pool), np.repeat([True, False], n)


def losses(luck=0.3, n=150):
    """loss_MN, worst model first, and which documents are prose."""
    _, pool, clean = planted(n)
    return np.stack([Model(skill, luck).document_losses(pool) for skill in SKILLS]), clean


def test_strength_is_kendalls_tau_from_0_to_1():
    loss_MN = np.random.default_rng(0).normal(size=(7, 100))
    tau = np.array([kendalltau(np.arange(7), -loss).statistic for loss in loss_MN.T])
    assert predictive_strength(loss_MN) == pytest.approx((tau + 1) / 2)


def test_strength_counts_only_strictly_lower_losses():
    assert predictive_strength(np.array([[3.0], [2.0], [1.0]])).tolist() == [1.0]
    assert predictive_strength(np.array([[3.0], [3.0], [1.0]])).tolist() == [pytest.approx(2 / 3)]
    assert predictive_strength(np.zeros((4, 2))).tolist() == [0.0, 0.0]


def test_the_reversed_order_gives_the_complement_and_a_constant_nothing():
    loss_MN, _ = losses()
    assert predictive_strength(loss_MN[::-1]) == pytest.approx(1 - predictive_strength(loss_MN), abs=1e-12)
    loss_MN = np.round(loss_MN * 1024) / 1024  # sums below are then exact
    constant_N = np.arange(loss_MN.shape[1], dtype=float)
    assert np.array_equal(predictive_strength(loss_MN + constant_N), predictive_strength(loss_MN))
    assert np.array_equal(predictive_strength(np.exp(loss_MN)), predictive_strength(loss_MN))


def test_the_order_of_the_models_is_what_tells_prose_from_noise():
    loss_MN, clean = losses()
    identity = rank_auc(predictive_strength(loss_MN), clean)
    assert identity > 0.9
    rng = np.random.default_rng(3)
    permuted = [rank_auc(predictive_strength(loss_MN[rng.permutation(6)]), clean) for _ in range(40)]
    assert np.mean(permuted) == pytest.approx(0.5, abs=0.2)
    assert np.std(permuted) > 0.2
    every = [rank_auc(predictive_strength(loss_MN[list(p)]), clean) for p in itertools.permutations(range(6))]
    assert max(every) == every[0] == identity, "the true order is the best of all 720"


def test_templates_are_predictive_too_where_models_differ_in_skill_alone():
    rng = np.random.default_rng(4)
    template = tokenised(texts(rng, "t", 100))
    strength = predictive_strength(np.stack([Model(skill).document_losses(template) for skill in SKILLS]))
    noise = losses()[0][:, 150:]
    assert strength.mean() > predictive_strength(noise).mean() + 0.2


def test_models_are_ordered_by_bits_per_byte_of_the_target():
    target, _, _ = planted()
    models = [Model(skill, 0.0) for skill in (0.5, 0.0, 1.0, 0.25)]
    halves = [target.some(np.arange(5)), target.some(np.arange(5, 20))]
    assert [model.skill for model in by_target_loss(models, halves)] == [0.0, 0.25, 0.5, 1.0]
    one = tokenised(["p1 p2 p3"])
    assert bits_per_byte(Model(1.0, 0.0), one) == pytest.approx([4 * 4 / np.log(2) / 8])
    with pytest.raises(SeedbedError, match="preselect, target"):
        by_target_loss(models, [])


def fit(method, skills=SKILLS, seed=0, **luck):
    target, pool, _ = planted()
    return method.fit(Given(target=[target], pool=[pool], models=ladder(skills, **luck), seed=seed))


def scores(fitted, batch):
    return arrow.numpy(fitted.measure(batch), "score")


def test_the_linear_scorer_separates_top_from_bottom_on_documents_it_has_not_seen():
    rng = np.random.default_rng(9)
    held = tokenised([*texts(rng, "p", 100), *texts(rng, "n", 100)])
    score = scores(fit(SIX), held)
    strength = predictive_strength(np.stack([Model(skill).document_losses(held) for skill in SKILLS]))
    decided = (strength >= 14 / 15) | (strength <= 0.5)
    assert rank_auc(score[decided], strength[decided] > 0.7) >= 0.8
    assert rank_auc(score, np.repeat([True, False], 100)) > 0.95


def test_the_order_is_found_whatever_the_order_of_the_ladder_and_given_folders_keep_theirs():
    held = tokenised([*texts(np.random.default_rng(9), "p", 30), *texts(np.random.default_rng(8), "n", 30)])
    trained = [scores(fit(SIX, skills), held) for skills in (SKILLS, SKILLS[::-1])]
    assert np.array_equal(*trained)
    clean = np.repeat([True, False], 30)
    folders = Preselect(folders=tuple("abcdef"))
    assert rank_auc(scores(fit(folders), held), clean) > 0.95
    assert rank_auc(scores(fit(folders, SKILLS[::-1]), held), clean) < 0.05, "worst first is what was said"


def test_labels_are_equal_numbers_of_the_two_ends():
    tie = np.arange(10, dtype=np.uint64)
    strength = np.array([1, 1, 0.9, 0.8, 0.5, 0.5, 0.4, 0.2, 0.1, 0.0])
    assert [part.tolist() for part in Preselect()._labels(strength, tie)] == [[0, 1], [8, 9]]
    assert [part.tolist() for part in Preselect(least_share=0.3)._labels(strength, tie)] == [[0, 1, 2], [7, 8, 9]]
    most = Preselect()._labels(np.repeat([1.0, 0.0], [8, 2]), tie)
    assert [len(part) for part in most] == [5, 5]
    assert not set(most[0]) & set(most[1])


def test_needs_are_a_ladder_of_at_least_six_and_its_bounds():
    needs = Preselect().needs()
    assert needs[:2] == (TargetText(), PoolText())
    assert len({need for need in needs if isinstance(need, TrainedModel)}) >= 6
    assert len({need.name for need in needs[2:]}) == len(needs) - 2
    assert Preselect(folders=("a", "b")).needs() == (
        PoolText(),
        GivenModel("ladder_0", "a"),
        GivenModel("ladder_1", "b"),
    )
    with pytest.raises(RecipeError, match=r"preselect\.tokens"):
        Preselect(shapes=(0.5, 0.5), tokens=(10,))
    with pytest.raises(RecipeError, match="one model has no order"):
        Preselect(folders=("a",))
    with pytest.raises(RecipeError, match="must be > 0"):
        Preselect(shapes=(0.5, -1.0), tokens=(10, 10))


def test_models_that_cannot_be_told_apart_and_broken_losses_are_refused():
    with pytest.raises(SeedbedError, match="order the models alike"):
        fit(SIX, [0.5] * 6, luck=0.0)
    with pytest.raises(SeedbedError, match="Losses must be finite"):
        fit(SIX, luck=float("nan"))
    with pytest.raises(SeedbedError, match="0 documents have tokens"):
        SIX.fit(Given(target=[planted()[0]], pool=[tokenised([""])], models=ladder()))
