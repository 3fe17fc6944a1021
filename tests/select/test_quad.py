"""Influence against a dense solve and against real steps, a bandit that explores, and tiers of scores."""

import dataclasses

import numpy as np
import pytest

from seedbed.core import arrow
from seedbed.core.cost import Cost
from seedbed.core.errors import SeedbedError
from seedbed.core.nouns import DocumentBatch
from seedbed.model.gradients import DecoderGradients
from seedbed.select.contract import Given, joined
from seedbed.select.scorers.quad import Quad
from seedbed.stats.ranks import spearman
from seedbed.train.plan import Phase
from seedbed.train.probing import Standing, StepProbe
from seedbed.train.run import train
from tests.select.test_mates import tokenised
from tests.train.killed_run import CONTEXT, plan
from tests.train.markov_language import END, source
from tests.train.test_probing import both, of_chain


class Planted:
    """A model of one layer (2, 3) whose gradients and embeddings a document's words say: "kind influence"."""

    def __init__(self) -> None:
        self.cost, self.asked = Cost(), 0

    def layers(self, which):
        return (f"{which}.w",)

    @staticmethod
    def told(documents):
        return [text.split() for text in documents.texts()]

    def gradients(self, documents, layers):
        self.asked += len(documents)
        found = np.zeros((len(documents), 2, 3), np.float32)
        for row, words in zip(found, self.told(documents), strict=True):
            row[:] = np.random.default_rng(len(words)).normal(size=(2, 3)) * 1e-6
            row[0, 1] += float(words[1])
        return dict.fromkeys(layers, found)

    def factors(self, documents, layers):
        del documents
        return dict.fromkeys(layers, (np.diag([2.0, 0.5, 1.0]), np.array([[1.0, 0.3], [0.3, 2.0]])))

    def embeddings(self, documents):
        found = np.zeros((len(documents), 4), np.float32)
        for row, words in zip(found, self.told(documents), strict=True):
            if words:
                row[int(words[0])] = 1.0
        return found


KINDS = np.array([0.2, 1.0, -0.5, 0.9])
"""Mean influence of each kind: 1 is the best, 3 not far behind."""


def planted_pool(n: int, seed: int = 0) -> tuple[DocumentBatch, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    kind = rng.integers(0, 4, n)
    influence = KINDS[kind] + 0.1 * rng.normal(size=n)
    return tokenised([f"{k} {value!r} x" for k, value in zip(kind, influence.tolist(), strict=True)]), kind, influence


def given(pool, model=None, **about) -> Given:
    target = tokenised(["1 1.0 x"] * 3)
    return Given(target=[target], pool=[pool], gradients=Planted() if model is None else model, **about)


def measured(fitted, documents) -> dict[str, np.ndarray]:
    table = fitted.measure(documents)
    return {name: arrow.numpy(table, name) for name in table.column_names}


def test_the_direction_is_the_dense_solution_of_damped_curvature():
    law, model = Quad(damping=0.2), Planted()
    reference = joined([tokenised(["1 1.0 a b c d e f g"]), tokenised(["0 -2.0"])])
    found = law.direction(model, reference, reference)["attention.w"]
    size = np.array([9, 2])
    by_reference = np.tensordot(size / size.sum(), model.gradients(reference, ["w"])["w"].astype(np.float64), 1)
    input_II, output_OO = model.factors(None, ["w"])["w"]
    dense = np.kron(output_OO, input_II)
    dense += 0.2 * np.linalg.eigvalsh(dense).mean() * np.eye(6)
    assert found == pytest.approx(np.linalg.solve(dense, by_reference.reshape(-1)).reshape(2, 3), rel=1e-6)


def test_asked_documents_have_their_own_influence_and_others_their_clusters_mean():
    pool, kind, influence = planted_pool(400)
    fitted = Quad(clusters=4, n_probes=100, unsampled="mean").fit(given(pool))
    found = measured(fitted, pool)
    asked = found["asked"] == 1
    assert asked.sum() == 100 == fitted.told["asked"]
    assert fitted.told["asked_share"] == 0.25
    own = found["score"][asked]
    assert np.corrcoef(own, influence[asked])[0, 1] > 0.9999, "in the same order, higher lowers the loss"
    assert own.std() == pytest.approx(1, rel=1e-6)
    for k in range(4):
        [cluster] = set(found["cluster"][kind == k].tolist())
        members = asked & (found["cluster"] == cluster)
        assert members.any()
        assert found["score"][(kind == k) & ~asked] == pytest.approx(found["score"][members].mean())
    assert spearman(found["score"], influence) > 0.85


def test_influence_ranks_documents_as_real_steps_do(tmp_path):
    """A trained model, its gradients and a step of its own optimizer on each of 50 documents."""
    shares = (Phase({"a": 0.5, "b": 0.5}),)
    law = dataclasses.replace(plan(tokens=200 * 4 * CONTEXT), mixture=shares)
    sources = {"a": source(300, context=CONTEXT, name="a"), "b": source(300, context=CONTEXT, name="b", salt=5)}
    model = train(law, sources, seed=1, folder=tmp_path, until_tokens=80 * 4 * CONTEXT).model
    pool, target = both(of_chain(25, 40), of_chain(25, 41, 5)), of_chain(40, 42)
    loss_N = StepProbe(Standing(tmp_path, law, END)).losses_after_step(pool, target)
    for layers in ("attention", "all"):
        quad = Quad(layers=layers, max_share=1.0, clusters=8, unsampled="mean")
        fitted = quad.fit(Given(target=[target], pool=[pool], gradients=DecoderGradients(model, END)))
        score_N = measured(fitted, pool)["score"]
        assert fitted.told["asked"] == 50
        assert spearman(score_N, -loss_N) > 0.8, layers


def test_no_more_than_the_share_of_the_pool_is_asked():
    pool, *_ = planted_pool(200)
    model = Planted()
    found = measured(Quad(clusters=64).fit(given(pool, model)), pool)
    assert found["asked"].sum() == 60
    assert model.asked == 60 + 3, "and the reference"
    assert len(set(found["cluster"].tolist())) == 4, "as many clusters as there are different points"
    few = measured(Quad(clusters=64, candidates=20).fit(given(pool)), pool)
    assert few["asked"].sum() == 20


def test_taken_documents_come_first_then_unasked_ones_then_those_found_wanting():
    pool, _, influence = planted_pool(400)
    for tau in (0.0, 0.7):
        fitted = Quad(clusters=4, n_probes=100, tau=tau).fit(given(pool))
        found = measured(fitted, pool)
        asked, score = found["asked"] == 1, found["score"]
        taken = asked & (score > tau)
        assert taken.sum() == fitted.told["taken"] > 10
        assert (taken[asked] == (influence[asked] / influence[asked].std() > tau)).mean() > 0.98
        assert score[taken].min() > score[~asked].max() > score[~asked].min() > score[asked & ~taken].max()
        assert spearman(score[taken], influence[taken]) > 0.999
        assert spearman(score[asked & ~taken], influence[asked & ~taken]) > 0.999
        assert spearman(score[~asked], influence[~asked]) > 0.7


def entropy(kind: np.ndarray) -> float:
    share = np.bincount(kind, minlength=4) / len(kind)
    return float(-(share[share > 0] * np.log(share[share > 0])).sum())


def test_what_is_selected_comes_from_more_clusters_than_the_best_by_influence():
    """Documents of two kinds are almost as good: top-k of all influences takes one kind, the bandit takes both."""
    pool, kind, influence = planted_pool(1000, 3)
    best = np.argsort(-influence)[:150]
    found = measured(Quad(clusters=4, alpha=1.0).fit(given(pool)), pool)
    chosen = np.argsort(-found["score"])[:150]
    assert entropy(kind[chosen]) > entropy(kind[best])
    assert influence[chosen].mean() > 0.7, "and still what helps"
    greedy = Quad(clusters=4, alpha=0.0, pull=1, arms=1)
    pulls = greedy.explore(lambda rows: influence[rows], kind, 250).bandit.pulls_K
    wide = Quad(clusters=4, alpha=3.0, pull=1, arms=1).explore(lambda rows: influence[rows], kind, 250)
    assert pulls.min() >= 1
    assert entropy(np.repeat(np.arange(4), pulls)) < entropy(np.repeat(np.arange(4), wide.bandit.pulls_K))
    assert len(set(wide.row_P.tolist())) == 250, "nobody is asked twice"


def test_the_order_of_the_pool_does_not_matter_and_strange_documents_score():
    pool, *_ = planted_pool(120)
    order = np.random.default_rng(1).permutation(120)
    law = Quad(clusters=4)
    there = measured(law.fit(given(pool)), pool)
    cut = [pool.some(order[:50]), pool.some(order[50:])]
    again = measured(law.fit(Given(target=given(pool).target, pool=cut, gradients=Planted())), joined(cut))
    assert np.array_equal(there["score"][order], again["score"])
    words = Quad(clusters=4, features="ngrams").fit(given(pool))
    strange = tokenised(["", "\x00", "9 " * 3000, "🌱"])
    assert np.isfinite(measured(words, strange)["score"]).all()
    assert not measured(words, strange)["asked"].any()


def test_what_cannot_be_done_is_said():
    pool, *_ = planted_pool(40)
    with pytest.raises(SeedbedError, match="no model to take gradients of"):
        Quad().fit(Given(target=[pool], pool=[pool]))
    with pytest.raises(SeedbedError, match="quad, target: there is no token"):
        Quad().fit(Given(pool=[pool], gradients=Planted()))
    with pytest.raises(SeedbedError, match="quad, pool: there is no token"):
        Quad().fit(Given(target=[pool], pool=[tokenised([""])], gradients=Planted()))

    class Broken(Planted):
        def gradients(self, documents, layers):
            found = super().gradients(documents, layers)
            return {name: value * (np.nan if len(documents) < 3 else 1) for name, value in found.items()}

    with pytest.raises(SeedbedError, match=f"the gradient of document {'[0-9a-f]' * 32} is not finite"):
        Quad(pull=1).fit(given(pool, Broken()))


def test_equal_influences_give_equal_scores():
    pool = tokenised([f"{i % 4} 0.5 x" for i in range(60)])
    found = measured(Quad(clusters=4, unsampled="mean").fit(given(pool)), pool)
    assert found["score"] == pytest.approx(found["score"][0])
