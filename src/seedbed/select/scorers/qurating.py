"""QuRating: rates documents by which of two texts a judge finds better, and keeps a sample of the better ones.

What      A language model compares pairs of texts by four criteria; a rater learns from its votes and rates the pool.
          With the selector gumbel_top_k at temperature 2 it is the paper's sampling, at 0 its top-k.
Source    Wettig, Gupta, Malik, Chen 2024, arXiv 2402.09739, sections 3 to 5; reference code princeton-nlp/QuRating.
Formula   P(first better) = (share(B | second shown first) + 1 - share(B | first shown first)) / 2, over `votes` answers
          a prompt; a pair is left out where half the answers or more of an order name neither, or where
          |P - 1/2| < confidence / 2. Ratings s = x w minimise the mean of -P ln p - (1 - P) ln(1 - p),
          p = sigmoid(s_first - s_second) (Bradley-Terry with soft labels). Document: mean of its chunks' s weighted by
          their tokens, then (s - mean of the pool) / standard deviation of the pool; "sum" adds the criteria, and is
          normalised again.
Shapes    documents -> four ratings_N, score_N; votes on P pairs -> probability_P
Units     standard deviations of the pool, so that the selector's temperature has a meaning.
Fidelity  Adapted: the rater is linear over hashed n-grams, one a criterion, where the paper tunes Sheared-LLaMA-1.3B
          with four outputs; it sees words and word pairs and no argument. 2,500 pairs where the paper has 250,000.
          Own prompts. Texts are cut at bytes in proportion to tokens. The paper's curriculum, reading a sample in the
          order of a rating, is no matter of choosing: the signals are there to order by.
Errors    SeedbedError without a judge or labels, for a pool of less than two texts, and where no pair is left or most
          answers name neither text. A document without words is rated as the pool's mean, 0.
"""

from __future__ import annotations

import dataclasses
import math
import random
import re
from collections.abc import Sequence
from typing import Annotated, Literal, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from annotated_types import Ge, Gt, Le

from seedbed.core import arrow
from seedbed.core.errors import SeedbedError
from seedbed.core.nouns import DocumentBatch, Signal, signals_schema
from seedbed.core.parameters import Json
from seedbed.select.contract import FloatArray, Given, Judge, JudgeModel, Need, PoolText, Scorer, draw
from seedbed.select.labels import labelled, origin, read_pairs
from seedbed.stats.linear import LinearModel, fit_bradley_terry
from seedbed.text.features import Csr, hashed_ngrams

Ints = npt.NDArray[np.int64]
Criterion = Literal["writing_style", "facts_and_trivia", "educational_value", "required_expertise"]

QUESTIONS: dict[str, str] = {
    "writing_style": "is written better: clear, polished, a pleasure to read",
    "facts_and_trivia": "holds more facts and trivia: names, numbers and details, the lesser known the better",
    "educational_value": "teaches more: it explains, gives reasons or worked steps, and a learner profits from it",
    "required_expertise": "asks for more expertise and knowledge of its reader to be understood",
}
CRITERIA = tuple(QUESTIONS)

_PROMPT = """Two excerpts follow. Which of them {question}?
Their order, their lengths and that they break off say nothing about it.

[Text A]
{a}

[Text B]
{b}

Which one {question}? Answer with the single letter A or B."""
_VOTE = re.compile(r"\b[AB]\b")


@dataclasses.dataclass(frozen=True)
class Qurating(Scorer):
    """Parameters of questions, rater and score.

    Args:
        labels: a file of judged pairs (first, second, criterion, and probability or votes), asked instead of the judge.
        judge: the model that compares.
        score: the criterion that `score` is, or "sum".
        criteria: what is asked; the ratings of others are 0.
        pairs: how many are compared, by each criterion.
        votes: answers to each of a pair's two orders.
        excerpt_tokens: longest excerpt: half of the pairs have it, the others a length from its half on.
        confidence: pairs whose probability is within half of this of 1/2 teach nothing.
        chunk_tokens: documents are rated in pieces of this length.
        ngrams, buckets: the rater's features.
        l2: penalty on the rater's weights.
    """

    signals = (
        *(Signal(name, "standard deviations of the pool") for name in CRITERIA),
        Signal("score", "standard deviations of the pool, higher means keep"),
    )

    labels: str = ""
    judge: Judge = dataclasses.field(default_factory=Judge)
    score: Literal["writing_style", "facts_and_trivia", "educational_value", "required_expertise", "sum"] = (
        "educational_value"
    )
    criteria: tuple[Criterion, ...] = CRITERIA  # pyright: ignore[reportAssignmentType] - the same four names
    pairs: Annotated[int, Ge(1)] = 2500
    votes: Annotated[int, Ge(1), Le(1000)] = 20
    excerpt_tokens: Annotated[int, Ge(2)] = 512
    confidence: Annotated[float, Ge(0), Le(1)] = 0.5
    chunk_tokens: Annotated[int, Ge(1)] = 512
    ngrams: Annotated[int, Ge(1), Le(5)] = 2
    buckets: Annotated[int, Ge(2), Le(2**24)] = 2**16
    l2: Annotated[float, Gt(0)] = 1e-5

    def needs(self) -> tuple[Need, ...]:
        """The pool; the judge where no labels are given."""
        return (PoolText(),) if self.labels else (PoolText(), self.judge)

    def fingerprinted(self) -> dict[str, Json]:
        """The labels' content, or what shapes the judge's answers. Raises RecipeError for labels that are not there."""
        return {**super().fingerprinted(), **origin(self.labels, self.judge, f"{self.name()}.labels")}

    def fit(self, given: Given) -> FittedQurating:
        """Have pairs compared, learn the ratings, and measure their mean and spread over the pool."""
        judged = self._labelled(given) if self.labels else self._asked(given)
        weight_BC = np.zeros((self.buckets, len(CRITERIA)))
        for c, name in enumerate(CRITERIA):
            if name in judged.probability:
                clear_P = np.abs(judged.probability[name] - 0.5) >= self.confidence / 2  # not where it is NaN
                if not clear_P.any():
                    what = f"no pair of {len(clear_P)} is clearly better on one side by {name}"
                    raise SeedbedError(self.path(), what, "Ask for more pairs or votes, or lower the confidence.")
                rows, p = np.flatnonzero(clear_P), judged.probability[name][clear_P]
                rater = fit_bradley_terry(judged.x, judged.first_P[rows], judged.second_P[rows], p, l2=self.l2)
                weight_BC[:, c] = rater.weight
        if self.score not in ("sum", *judged.probability):
            what = f"{self.score!r} is not among what was judged"
            raise SeedbedError(f"{self.path()}.score", what, f"Judged are: {', '.join(judged.probability)}.")
        rater = LinearModel(weight_BC, np.zeros(len(CRITERIA)))
        return FittedQurating(self, rater, *_spread(self, rater, given))

    def _asked(self, given: Given) -> _Judged:
        if given.judge is None:
            what = "there is neither a judge nor a file of labels"
            raise SeedbedError(self.path(), what, "Give judge.endpoint and judge.model, or labels.")
        sample = draw(given.pool, 2 * self.pairs, given.seed)
        if len(sample) < 2:
            raise SeedbedError(self.path(), "the pool has less than two texts", "There is nothing to compare.")
        excerpts, n = self._excerpts(sample, given.seed)
        sizes = np.cumsum([0, *map(len, excerpts)]).astype(np.int64)
        x = self.features(np.frombuffer(b"".join(excerpts), np.uint8), sizes)
        texts = [excerpt.decode("utf-8", "replace") for excerpt in excerpts]
        votes = {name: self._votes(given.judge, name, texts[:n], texts[n:]) for name in self.criteria}
        return _Judged(x, np.arange(n), np.arange(n, 2 * n), votes)

    def _excerpts(self, sample: DocumentBatch, seed: int) -> tuple[list[bytes], int]:
        """(the texts of all pairs, the first of each before the second of each; the number of pairs)."""
        chance, n = random.Random(seed), len(sample)
        possible = n * (n - 1) // 2
        data, offsets = sample.text_buffers()
        n_tokens = np.diff(sample.token_ids[1]).tolist()
        firsts, seconds = list[bytes](), list[bytes]()
        for number in chance.sample(range(possible), min(self.pairs, possible)):
            late = (1 + math.isqrt(1 + 8 * number)) // 2  # the place in the triangle of pairs i < j
            pair = [number - late * (late - 1) // 2, late]
            chance.shuffle(pair)
            longest, shortest = self.excerpt_tokens, self.excerpt_tokens // 2
            tokens = longest if chance.random() < 0.5 else chance.randint(shortest, longest)
            tokens = min(tokens, *(n_tokens[at] for at in pair))
            for at, to in zip(pair, (firsts, seconds), strict=True):
                start = chance.randint(0, n_tokens[at] - tokens)
                share_2 = np.array([start, start + tokens]) / n_tokens[at]
                place = offsets[at] + (share_2 * (offsets[at + 1] - offsets[at])).astype(np.int64)
                begin, end = _borders(data, place, np.full(2, offsets[at + 1])).tolist()
                to.append(data[begin:end].tobytes())
        return firsts + seconds, len(firsts)

    def _votes(self, judge: JudgeModel, name: str, first: Sequence[str], second: Sequence[str]) -> FloatArray:
        """probability_P that the first is better, NaN where the votes do not say."""
        orders = [(first, second), (second, first)]
        prompts = [
            _PROMPT.format(question=QUESTIONS[name], a=a, b=b) for order in orders for a, b in zip(*order, strict=True)
        ]
        answers = judge.answers(prompts, self.votes)
        share_2P = np.array([_share_of_b(votes) for votes in answers]).reshape(2, len(first))
        probability_P = (share_2P[1] + 1 - share_2P[0]) / 2
        if 2 * np.count_nonzero(np.isnan(probability_P)) > len(first):
            unclear = next(votes for votes in answers if np.isnan(_share_of_b(votes)))
            what = f"most answers to the question of {name} name neither text, such as {unclear[0][:80]!r}"
            raise SeedbedError(self.path(), what, "Take another judge, or raise judge.max_tokens.")
        return probability_P

    def _labelled(self, given: Given) -> _Judged:
        pairs = read_pairs(self.labels, CRITERIA, f"{self.name()}.labels")
        documents, row = labelled(given.pool, pairs.first + pairs.second, pairs.names * 2)
        first_P, second_P = np.split(row, 2)
        here_P = (first_P >= 0) & (second_P >= 0)
        of_P = np.array(pairs.criterion)
        probability = {
            name: np.where(here_P & (of_P == name), pairs.probability_P, np.nan)
            for name in CRITERIA
            if name in self.criteria and name in pairs.criterion
        }
        return _Judged(self.features(*documents.text_buffers()), first_P, second_P, probability)

    def features(self, data: npt.NDArray[np.uint8], offsets: Ints) -> Csr:
        """What the rater sees of texts."""
        return hashed_ngrams(data, offsets, ngrams=self.ngrams, buckets=self.buckets).scaled("l2")


@dataclasses.dataclass(frozen=True)
class _Judged:
    """Pairs of rows of x, and by criterion the probability that the first is better; NaN for a pair not judged."""

    x: Csr
    first_P: Ints
    second_P: Ints
    probability: dict[str, FloatArray]


@dataclasses.dataclass(frozen=True)
class FittedQurating:
    """Ready to measure: ratings are (x w - mean) / deviation, the score their sum or one of them."""

    law: Qurating
    rater: LinearModel
    mean_C: FloatArray
    deviation_C: FloatArray
    deviation_of_sum: float

    def measure(self, documents: DocumentBatch) -> pa.Table:
        """Ratings in standard deviations of the pool."""
        rating_NC, worded_N = _ratings(self.law, self.rater, documents)
        rating_NC = np.where(worded_N[:, None], (rating_NC - self.mean_C) / self.deviation_C, 0.0)
        columns = dict(zip(CRITERIA, rating_NC.T, strict=True))
        by = self.law.score
        score_N = rating_NC.sum(axis=1) / self.deviation_of_sum if by == "sum" else columns[by]
        return arrow.table({**columns, "score": score_N}, signals_schema(Qurating.signals))


def _spread(law: Qurating, rater: LinearModel, given: Given) -> tuple[FloatArray, FloatArray, float]:
    """(mean_C, deviation_C, deviation of the sum of the normalised) over the pool; a deviation of 0 counts as 1."""
    n, total_C = 0, np.zeros(len(CRITERIA))
    square_CC = np.zeros((len(CRITERIA), len(CRITERIA)))
    for batch in given.pool:
        rating_NC, worded_N = _ratings(law, rater, batch)
        rated_NC = rating_NC[worded_N]
        n, total_C, square_CC = n + len(rated_NC), total_C + rated_NC.sum(axis=0), square_CC + rated_NC.T @ rated_NC
    mean_C = total_C / max(n, 1)
    covariance_CC = square_CC / max(n, 1) - np.outer(mean_C, mean_C)
    deviation_C = np.sqrt(np.maximum(np.diag(covariance_CC), 0))
    deviation_C[deviation_C < 1e-9] = 1.0
    of_sum = float(np.sqrt(max((covariance_CC / np.outer(deviation_C, deviation_C)).sum(), 0.0)))
    return mean_C, deviation_C, of_sum if of_sum > 1e-9 else 1.0


def _ratings(law: Qurating, rater: LinearModel, documents: DocumentBatch) -> tuple[FloatArray, npt.NDArray[np.bool_]]:
    """(rating_NC: means over the documents' chunks, weighted by tokens; whether there is a word in it)."""
    data, offsets = documents.text_buffers()
    n_tokens_N = np.diff(documents.token_ids[1])
    n_chunks_N = np.maximum(-(-n_tokens_N // law.chunk_tokens), 1)
    first_N = np.cumsum(n_chunks_N) - n_chunks_N
    owner_K = np.repeat(np.arange(len(documents)), n_chunks_N)
    before_K = (np.arange(len(owner_K)) - first_N[owner_K]) * law.chunk_tokens
    share_K = before_K / np.maximum(n_tokens_N, 1)[owner_K]
    place_K = offsets[owner_K] + (share_K * np.diff(offsets)[owner_K]).astype(np.int64)
    borders = np.append(_borders(data, place_K, offsets[owner_K + 1]), offsets[-1])
    x = law.features(data, borders)
    rating_KC, size_K = rater.predict(x), np.diff(x.indptr_N1)
    weight_K = np.minimum(law.chunk_tokens, n_tokens_N[owner_K] - before_K).astype(np.float64)
    rating_NC, size_N = np.zeros((len(documents), rating_KC.shape[1])), np.zeros(len(documents), np.int64)
    np.add.at(rating_NC, owner_K, rating_KC * weight_K[:, None])
    np.add.at(size_N, owner_K, size_K)
    return rating_NC / np.maximum(n_tokens_N, 1)[:, None], size_N > 0


def _borders(data: npt.NDArray[np.uint8], place_K: Ints, stop_K: Ints) -> Ints:
    """Each place moved to the next first byte of a character, not beyond `stop_K`."""
    place_K = place_K.copy()
    for _ in range(3):
        inside_K = place_K < stop_K
        inside_K[inside_K] = (data[place_K[inside_K]] & 0xC0) == 0x80
        place_K[inside_K] += 1
    return place_K


def _share_of_b(votes: Sequence[str]) -> float:
    """Share of B among the answers that name one text; NaN where half of them or more name none or both."""
    named = [set(cast("list[str]", _VOTE.findall(vote))) for vote in votes]
    valid = [names for names in named if len(names) == 1]
    return sum("B" in names for names in valid) / len(valid) if 2 * len(valid) > len(votes) else float("nan")
