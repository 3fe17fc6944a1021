import dataclasses

import numpy as np
import pytest

from seedbed.core import arrow
from seedbed.core.errors import SeedbedError
from seedbed.core.nouns import WEIGHTS, DocumentBatch
from seedbed.select.contract import Given
from seedbed.select.run import choose, score_shard, selected_tokens
from seedbed.select.scorers.constant import Constant
from seedbed.select.selectors.gumbel_top_k import GumbelTopK
from seedbed.select.selectors.top_k import TopK


@dataclasses.dataclass(frozen=True)
class Fixed:
    values: tuple[float, ...]

    def measure(self, documents):
        return arrow.table({"score": np.array(self.values)})


def test_weights_have_the_schema_and_the_order_of_the_pool():
    ids = DocumentBatch.of(["a", "b", "c"]).ids
    weights = choose(TopK(), ids, np.array([1.0, 3.0, 2.0]), np.array([5, 6, 7]), 8, seed=0)
    assert weights.schema.equals(WEIGHTS)
    assert weights.column("id").to_pylist() == ids
    assert arrow.numpy(weights, "copies").tolist() == [0, 1, 1]
    assert selected_tokens(weights) == 13


def test_the_random_arm_is_a_constant_score_and_gumbel_noise():
    documents = DocumentBatch.of([f"text {i}" for i in range(400)])
    score = arrow.numpy(score_shard(Constant().fit(Given()), documents), "score")
    n_tokens = np.full(400, 3)
    first, second = (choose(GumbelTopK(), documents.ids, score, n_tokens, 600, seed) for seed in (0, 1))
    a, b = (arrow.numpy(w, "copies") for w in (first, second))
    assert a.sum() == b.sum() == 200
    assert 60 < (a * b).sum() < 140  # independent draws share half of 200


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_scores_that_are_not_finite_name_the_document(value):
    documents = DocumentBatch.of(["a", "b"])
    with pytest.raises(SeedbedError, match=documents.ids[1].hex()):
        score_shard(Fixed((0.0, value)), documents)
    with pytest.raises(SeedbedError, match=documents.ids[1].hex()):
        choose(TopK(), documents.ids, np.array([0.0, value]), np.array([1, 1]), 1, 0)


def test_a_scorer_that_loses_documents_is_caught():
    with pytest.raises(SeedbedError, match="1 scores for 2 documents"):
        score_shard(Fixed((0.0,)), DocumentBatch.of(["a", "b"]))


def test_wrong_lengths_and_budgets():
    with pytest.raises(ValueError, match="token counts"):
        choose(TopK(), [bytes(16)], np.zeros(1), np.zeros(2, np.int64), 1, 0)
    with pytest.raises(SeedbedError, match="budget_tokens"):
        choose(TopK(), [bytes(16)], np.zeros(1), np.ones(1, np.int64), -1, 0)
    assert choose(TopK(), [], np.zeros(0), np.zeros(0, np.int64), 5, 0).num_rows == 0
