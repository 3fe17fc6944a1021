"""Every scorer, selector and schedule: budgets kept, order of documents of no account, chance only from the seed."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from seedbed import catalogue
from seedbed.core.cost import Cost
from seedbed.core.method import Method
from seedbed.core.nouns import DocumentBatch, signals_schema
from seedbed.select.contract import (
    CurrentModel,
    Given,
    Gradients,
    Probe,
    Scored,
    Scorer,
    Selector,
    Texts,
    TrainedModel,
)
from seedbed.select.scorers.dataman import CRITERIA
from seedbed.train.contract import Progress, Schedule
from tests.select.counting import Counting


def of_kind(kind: type[Method]) -> list[str]:
    return [path for path in catalogue.all_paths() if issubclass(catalogue.load(path), kind)]


# Selectors ----------------------------------------------------------------------------------------------------------

N = 200
RNG = np.random.default_rng(11)
TOKENS = RNG.integers(1, 400, N)
TOKENS[7] = 0
KEYS = RNG.integers(0, 2**63, N, dtype=np.uint64)
POOLS = {
    "spread": RNG.normal(size=N),
    "equal": np.zeros(N),
    "steps": np.repeat([-3.0, 0.0, 2.0, 2.0], N // 4),
    "huge": RNG.normal(size=N) * 1e300,
}
TOTAL = int(TOKENS.sum())


SOURCES = np.array([f"s{i % 3}" for i in range(N)], dtype=object)
COLUMNS = {"source": SOURCES, "n_bytes": TOKENS * 4.0}


def pool(name: str, order: Any = slice(None)) -> Scored:
    columns = {name: values[order] for name, values in COLUMNS.items()}
    return Scored(POOLS[name][order], TOKENS.astype(np.int64)[order], KEYS[order], columns)


@pytest.mark.parametrize("path", of_kind(Selector))
@pytest.mark.parametrize("name", POOLS)
@pytest.mark.parametrize("budget", [0, 1, 500, TOTAL // 2, TOTAL, TOTAL + 1, 100 * TOTAL])
def test_a_selector_keeps_its_budget_within_one_document(path: str, name: str, budget: int) -> None:
    method = catalogue.load(path)()
    assert isinstance(method, Selector)
    copies = method.copies(pool(name), budget_tokens=budget, seed=1)
    assert copies.shape == (N,)
    assert copies.dtype == np.float64
    assert np.isfinite(copies).all()
    assert (copies >= 0).all()
    read = float(copies @ TOKENS)
    if budget == 0:
        assert not copies.any()
    assert read <= max(budget - 1, 0) + (int(TOKENS.max()) if budget else 0) + 1e-6
    if 0 < budget <= TOTAL // 2 and name == "spread" and method.name() != "threshold":
        assert read >= budget - 1e-6, "the pool allows it, even where only positive scores are read"
    elif method.name() == "threshold" and budget > TOTAL and name == "spread":
        assert read == TOKENS[POOLS[name] > 0].sum(), "what passes, and no more"


@pytest.mark.parametrize("path", of_kind(Selector))
@pytest.mark.parametrize("name", POOLS)
def test_a_selector_does_not_see_the_order_and_repeats_with_its_seed(path: str, name: str) -> None:
    method = catalogue.load(path)()
    assert isinstance(method, Selector)
    scored = pool(name)
    before = [column.tobytes() for column in (scored.score_N, scored.n_tokens_N, scored.key_N)]
    for seed in range(3):
        copies = method.copies(scored, budget_tokens=TOTAL // 3, seed=seed)
        assert np.array_equal(copies, method.copies(scored, budget_tokens=TOTAL // 3, seed=seed))
        order = np.random.default_rng(seed).permutation(N)
        shuffled = method.copies(pool(name, order), budget_tokens=TOTAL // 3, seed=seed)
        assert np.array_equal(shuffled, copies[order])
    assert [column.tobytes() for column in (scored.score_N, scored.n_tokens_N, scored.key_N)] == before


@pytest.mark.parametrize("path", of_kind(Selector))
def test_a_selector_of_nothing_selects_nothing(path: str) -> None:
    method = catalogue.load(path)()
    assert isinstance(method, Selector)
    columns = {name: values[:0] for name, values in COLUMNS.items()}
    none = Scored(np.zeros(0), np.zeros(0, np.int64), np.zeros(0, np.uint64), columns)
    assert method.copies(none, budget_tokens=100, seed=0).shape == (0,)


# Scorers ------------------------------------------------------------------------------------------------------------

FIELD = "The farmers cut the hay before the rain and the barn was full by evening. "
LAW = "The court finds that the appeal against the ruling of the board is without merit. "
POOL = [
    (FIELD * 3, "http://farm.example/a"),
    (LAW * 3, "http://law.example/a"),
    ("", ""),
    ("a", ""),
    (" \n\t", ""),
    ("\0" * 30, ""),
    ("\U0001f600" * 40, ""),
    ("天地玄黄，宇宙洪荒。" * 10, ""),
    ("x" * 5000, ""),
    (FIELD + LAW, "http://mixed.example/"),
    ((FIELD * 1500)[:100_000], "http://farm.example/long"),
]


def tokenised(rows: list[tuple[str, str]]) -> DocumentBatch:
    """Documents whose tokens are their UTF-8 bytes, with 256 as end of text; an empty text has none."""
    texts = DocumentBatch.of([text for text, _ in rows], url=[url for _, url in rows])
    ids = [[*text.encode(), 256] if text else [] for text, _ in rows]
    offsets = np.cumsum([0, *map(len, ids)]).astype(np.int64)
    flat = np.array([token for document in ids for token in document], np.int64)
    return DocumentBatch(texts.rows, (flat, offsets))


class Bigrams:
    """A language model that counts: p(b | a) with add-one smoothing over 257 tokens. It is a proper distribution."""

    def __init__(self, learnt: list[DocumentBatch]) -> None:
        self.pairs: Counter[tuple[int, int]] = Counter()
        self.firsts: Counter[int] = Counter()
        self.calls = 0
        for batch in learnt:
            for ids in self.documents(batch):
                for pair in pairwise([256, *ids]):
                    self.pairs[pair] += 1
                    self.firsts[pair[0]] += 1

    @staticmethod
    def documents(batch: DocumentBatch) -> list[list[int]]:
        ids, offsets = batch.token_ids
        return [ids[a:b].tolist() for a, b in pairwise(offsets)]

    def probability(self, before: int, token: int) -> float:
        return (self.pairs[before, token] + 1) / (self.firsts[before] + 257)

    def document_losses(self, documents: DocumentBatch) -> np.ndarray[Any, np.dtype[np.float64]]:
        losses: list[float] = []
        for ids in self.documents(documents):
            self.calls += len(ids)
            pairs = pairwise([256, *ids])
            losses.append(-sum(math.log(self.probability(*pair)) for pair in pairs) / max(len(ids), 1))
        return np.array(losses)

    @property
    def cost(self) -> Cost:
        return Cost(flops_forward=float(self.calls), calls=self.calls)


def given(method: Scorer) -> Given:
    """What a method needs, of models that count. A ladder's higher seeds have seen more of the target."""
    target, everything = [tokenised([(FIELD * 2, "")])], [tokenised(POOL)]
    many = [tokenised([*POOL, *((text * 2 + str(i), "") for i in range(40) for text in (FIELD, LAW))])]
    models: dict[str, Bigrams] = {}
    for need in method.needs():
        if isinstance(need, TrainedModel):
            longer = max(1, need.tokens // 2_000_000)
            learnt = target * 50 if need.on != "pool" else everything * longer + target * need.seed
            models[need.name] = Bigrams([*(everything if need.init else []), *learnt])
        elif isinstance(need, CurrentModel):
            models[need.name] = Bigrams([])
    texts = {need.name: target for need in method.needs() if isinstance(need, Texts)}
    asks = any(isinstance(need, Probe | Gradients) for need in method.needs())
    counting = Counting(many, 257)
    pool = many if asks else everything
    return Given(target, pool, texts, models, probe=counting, gradients=counting, judge=Letters())


class Letters:
    """A judge that likes fields: it votes for the text that says hay, and rates by it."""

    cost = Cost()

    def answers(self, prompts: Sequence[str], votes: int = 1) -> list[list[str]]:
        return [[self.answer(prompt)] * votes for prompt in prompts]

    @staticmethod
    def answer(prompt: str) -> str:
        if "[Text B]" in prompt:
            first, second = prompt.split("[Text A]")[1].split("[Text B]")
            return "A" if first.count("hay") >= second.count("hay") else "B"
        rating = 5 if "hay" in prompt else 1
        domain = "agriculture" if rating == 5 else "law"
        return "\n".join([*(f"{name}: {rating}" for name in CRITERIA), f"domain: {domain}"])


def test_the_counting_model_is_a_language_model() -> None:
    model = Bigrams([tokenised(POOL)])
    for before in (0, 32, 101, 256):
        assert math.isclose(sum(model.probability(before, token) for token in range(257)), 1.0)


@pytest.mark.parametrize("path", of_kind(Scorer))
def test_a_scorer_gives_one_finite_score_a_document_blind_to_the_others(path: str) -> None:
    method = catalogue.load(path)()
    assert isinstance(method, Scorer)
    assert "score" in [signal.name for signal in method.signals]
    fitted = method.fit(given(method))
    batch = tokenised(POOL)
    rows = fitted.measure(batch)
    assert rows.num_rows == len(POOL)
    assert rows.schema.equals(signals_schema(method.signals), check_metadata=True)
    for signal in method.signals:
        assert signal.kind == "text" or np.isfinite(rows.column(signal.name).to_numpy()).all()
    assert method.fit(given(method)).measure(batch).equals(rows), "fitting repeats"
    for row in range(len(POOL)):
        assert fitted.measure(batch.one(row)).equals(rows.slice(row, 1))
    order = np.random.default_rng(2).permutation(len(POOL))
    assert fitted.measure(batch.some(order)).equals(rows.take(order))
    assert fitted.measure(tokenised([])).num_rows == 0


@pytest.mark.parametrize("path", of_kind(Scorer))
def test_a_scorer_that_sees_a_target_prefers_it(path: str) -> None:
    method = catalogue.load(path)()
    assert isinstance(method, Scorer)
    needs = {type(need).__name__ for need in method.needs()}
    score = method.fit(given(method)).measure(tokenised(POOL)).column("score").to_pylist()
    if "TargetText" in needs:
        assert score[0] > score[1]
    else:
        assert not needs & {"TrainedModel"} or score[0] != score[1]


# Schedules ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", of_kind(Schedule))
@pytest.mark.parametrize("total", [1, 2, 10, 1000, 10**12])
def test_a_schedule_is_a_finite_factor_of_progress_alone(path: str, total: int) -> None:
    method = catalogue.load(path)()
    assert isinstance(method, Schedule)
    points = sorted({round(total * part / 97) for part in range(98)})
    places = [Progress(tokens, total, batch_sequences=4096, learning_rate=1e-3) for tokens in points]
    values = [method.value(at) for at in places]
    assert all(math.isfinite(value) and 0 <= value <= 1 + 1e-12 for value in values)
    assert [method.value(at) for at in reversed(places)] == values[::-1], "pure"
    if total >= 1000:
        assert max(values) > 0.99, "the peak is reached"
        assert values[-1] <= max(values)
