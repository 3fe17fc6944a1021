"""DataMan: gives every document 14 ratings of quality and one of 15 domains.

What      A language model rates documents; regressors and a classifier learn from it and rate the pool. `score` is the
          overall rating or the mean of the 14; the signal `domain` serves the selector quotas.
Source    Peng, Yang, Zeng, Lin, Liu, Zhao 2025, arXiv 2502.19363, sections 3 and 4; reference code pengr/DataMan.
Formula   rating_k = w_k x + b_k by ridge regression on what the judge says, held to 1..5; domain = argmax over domains
          of w_d x + b_d by logistic regression, one against the rest, each side weighing one half.
          mean = SUM_k rating_k / 14, which ranks as the paper's sum does.
Shapes    documents -> 14 ratings_N, domain_N, score_N
Units     ratings from 1 (worst) to 5 (best); in sensitivity 5 means nothing sensitive.
Fidelity  Adapted: linear models over hashed n-grams, where the paper tunes Qwen2-1.5B to write 14 digits and a domain;
          2,000 documents are judged, far fewer than the paper's. Own prompt. Ratings are expected values and hardly
          tie; `whole` rounds them as the paper's are. The paper keeps documents of overall rating 5 by quotas of
          source and domain, and repeats where too few are there: that is the selector's part. Long documents are
          cut to head and tail, at bytes in proportion to tokens, when judged.
Errors    SeedbedError without a judge or labels, for a pool without text, and where more than half of the answers are
          malformed; others are left out and counted. A document without words has all ratings 1 and the domain other.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from annotated_types import Ge, Gt, Le

from seedbed.core import arrow
from seedbed.core.errors import SeedbedError
from seedbed.core.nouns import DocumentBatch, Signal, signals_schema
from seedbed.core.parameters import Json
from seedbed.select.contract import FloatArray, Given, Judge, Need, PoolText, Scorer, draw
from seedbed.select.labels import HIGH, LOW, labelled, origin, read_ratings
from seedbed.stats.linear import LinearModel, fit_logistic, fit_ridge
from seedbed.text.features import Csr, hashed_ngrams

Ints = npt.NDArray[np.int64]

QUESTIONS: dict[str, str] = {
    "accuracy": "free of errors in what it says and how it is spelt",
    "coherence": "its parts follow from each other",
    "language_consistency": "one language throughout, without needless switches",
    "semantic_density": "much said in few words",
    "knowledge_novelty": "knowledge that is new or little known",
    "topic_focus": "it keeps to its topic",
    "creativity": "ideas and turns of its own",
    "professionalism": "depth and terms of someone who knows the trade",
    "style_consistency": "one style and tone throughout",
    "grammatical_diversity": "varied and correct sentences",
    "structural_standardization": "a clear and regular layout",
    "originality": "nothing repeated within it, and nothing of a template",
    "sensitivity": "5 for nothing private, hateful or dangerous in it, 1 for much",
    "overall_score": "its worth for teaching a language model, all in all",
}
CRITERIA = tuple(QUESTIONS)
DOMAINS = (
    "medicine", "finance", "law", "education", "technology", "entertainment", "mathematics", "coding", "government",
    "culture", "transportation", "retail", "telecommunication", "agriculture", "other",
)  # fmt: skip

_PROMPT = """Rate the document below by each criterion, in whole numbers from 1 (worst) to 5 (best).
Name its domain.

Criteria:
{criteria}

Domains: {domains}

[Document]
{text}
[End of document]

Answer with {n} lines and nothing else: each criterion's name, a colon and its rating, then "domain:" and one domain."""
_GAP = "\n[...]\n"


@dataclasses.dataclass(frozen=True)
class Dataman(Scorer):
    """Parameters of question, regressors and score.

    Args:
        labels: a file of ratings (id, a column a criterion, domain), read instead of asking the judge.
        judge: the model that rates.
        score: what `score` is: the overall rating, or the mean of all 14.
        whole: round the ratings; documents then tie, and the selector breaks ties by chance.
        documents: how many the judge rates.
        excerpt_tokens: of a longer document the judge sees this many, half from each end.
        ngrams, buckets: the regressors' features.
        l2: penalty on the regressors' weights.
    """

    signals = (
        *(Signal(name, "rating", low=LOW, high=HIGH) for name in CRITERIA),
        Signal("domain", "one of 15", "text"),
        Signal("score", "rating, higher means keep", low=LOW, high=HIGH),
    )

    labels: str = ""
    judge: Judge = dataclasses.field(default_factory=lambda: Judge(max_tokens=200, temperature=0.0))
    score: Literal["overall_score", "mean"] = "overall_score"
    whole: bool = False
    documents: Annotated[int, Ge(1)] = 2000
    excerpt_tokens: Annotated[int, Ge(2)] = 2048
    ngrams: Annotated[int, Ge(1), Le(5)] = 2
    buckets: Annotated[int, Ge(2), Le(2**24)] = 2**16
    l2: Annotated[float, Gt(0)] = 1e-4

    def needs(self) -> tuple[Need, ...]:
        """The pool; the judge where no labels are given."""
        return (PoolText(),) if self.labels else (PoolText(), self.judge)

    def fingerprinted(self) -> dict[str, Json]:
        """The labels' content, or what shapes the judge's answers. Raises RecipeError for labels that are not there."""
        return {**super().fingerprinted(), **origin(self.labels, self.judge, f"{self.name()}.labels")}

    def fit(self, given: Given) -> FittedDataman:
        """Have a sample rated, and learn to rate the rest."""
        rated = self._labelled(given) if self.labels else self._asked(given)
        raters = fit_ridge(rated.x, rated.rating_NK, l2=self.l2)
        found = tuple(name for name in DOMAINS if name in rated.domain)
        models = [self._one(rated, name) for name in found]
        one_of = LinearModel(
            np.stack([model.weight for model in models], axis=1), np.array([model.intercept for model in models])
        )
        return FittedDataman(self, raters, found, one_of, rated.malformed)

    def _one(self, rated: _Rated, domain: str) -> LinearModel:
        """One domain against the rest; both sides weigh the same, or rare domains would never be named."""
        inside_N = np.array([name == domain for name in rated.domain])
        n = np.count_nonzero(inside_N)
        weight_N = np.where(inside_N, 1 / n, 1 / max(len(inside_N) - n, 1))
        return fit_logistic(rated.x, inside_N.astype(np.float64), weight_N=weight_N, l2=self.l2)

    def _asked(self, given: Given) -> _Rated:
        if given.judge is None:
            what = "there is neither a judge nor a file of labels"
            raise SeedbedError(self.path(), what, "Give judge.endpoint and judge.model, or labels.")
        sample = draw(given.pool, self.documents, given.seed)
        if not len(sample):
            raise SeedbedError(self.path(), "the pool has no text", "There is nothing to rate.")
        excerpts = self._excerpts(sample)
        answers = [votes[0] for votes in given.judge.answers([prompt(text.decode()) for text in excerpts])]
        parsed = [parse(answer) for answer in answers]
        malformed = parsed.count(None)
        if 2 * malformed > len(parsed):
            example = answers[parsed.index(None)]
            what = f"{malformed} of {len(parsed)} answers are malformed, such as {example[:120]!r}"
            raise SeedbedError(self.path(), what, "Take another judge, or raise judge.max_tokens.")
        kept = [(excerpt, *told) for excerpt, told in zip(excerpts, parsed, strict=True) if told is not None]
        sizes = np.cumsum([0, *(len(excerpt) for excerpt, _, _ in kept)]).astype(np.int64)
        x = self.features(np.frombuffer(b"".join(excerpt for excerpt, _, _ in kept), np.uint8), sizes)
        rating_NK = np.array([[ratings[name] for name in CRITERIA] for _, ratings, _ in kept], np.float64)
        return _Rated(x, rating_NK, [domain for _, _, domain in kept], malformed)

    def _excerpts(self, sample: DocumentBatch) -> list[bytes]:
        """What the judge sees of each: all, or head and tail."""
        excerpts: list[bytes] = []
        for text, n_tokens in zip(sample.texts(), np.diff(sample.token_ids[1]).tolist(), strict=True):
            whole = text.encode("utf-8", "replace")
            if n_tokens > self.excerpt_tokens:
                half = len(whole) * self.excerpt_tokens // (2 * n_tokens)
                head, tail = whole[:half], whole[len(whole) - half :]
                whole = (head.decode("utf-8", "ignore") + _GAP + tail.decode("utf-8", "ignore")).encode()
            excerpts.append(whole)
        return excerpts

    def _labelled(self, given: Given) -> _Rated:
        told = read_ratings(self.labels, CRITERIA, DOMAINS, f"{self.name()}.labels")
        documents, row_N = labelled(given.pool, told.documents, told.names)
        here = np.flatnonzero(row_N >= 0)
        x = self.features(*documents.text_buffers()).rows(row_N[here])
        return _Rated(x, told.rating_NK[here], [told.domain[at] for at in here.tolist()], 0)

    def features(self, data: npt.NDArray[np.uint8], offsets: Ints) -> Csr:
        """What the regressors see of texts."""
        return hashed_ngrams(data, offsets, ngrams=self.ngrams, buckets=self.buckets).scaled("l2")


@dataclasses.dataclass(frozen=True)
class _Rated:
    """Documents with their ratings, and how many answers said none."""

    x: Csr
    rating_NK: FloatArray
    domain: list[str]
    malformed: int


@dataclasses.dataclass(frozen=True)
class FittedDataman:
    """Ready to measure; `malformed` answers of the judge were left out."""

    law: Dataman
    raters: LinearModel
    domains: tuple[str, ...]
    one_of: LinearModel
    malformed: int

    def measure(self, documents: DocumentBatch) -> pa.Table:
        """Ratings and domains."""
        x = self.law.features(*documents.text_buffers())
        worded_N = np.diff(x.indptr_N1) > 0
        rating_NK = np.where(worded_N[:, None], np.clip(self.raters.predict(x), LOW, HIGH), LOW)
        if self.law.whole:
            rating_NK = np.rint(rating_NK)
        names = (*self.domains, DOMAINS[-1])
        at_N = np.where(worded_N, self.one_of.predict(x).argmax(axis=1), len(self.domains))
        columns = dict(zip(CRITERIA, rating_NK.T, strict=True))
        score_N = rating_NK.mean(axis=1) if self.law.score == "mean" else columns["overall_score"]
        return arrow.table(
            {**columns, "domain": arrow.named(at_N, names), "score": score_N}, signals_schema(Dataman.signals)
        )


def prompt(text: str) -> str:
    """The question about a text."""
    criteria = "\n".join(f"{name}: {meaning}" for name, meaning in QUESTIONS.items())
    return _PROMPT.format(criteria=criteria, domains=", ".join(DOMAINS), text=text, n=len(CRITERIA) + 1)


def answer(ratings: Mapping[str, int], domain: str) -> str:
    """An answer as the prompt asks for it."""
    return "\n".join([*(f"{name}: {ratings[name]}" for name in CRITERIA), f"domain: {domain}"])


def parse(said: str) -> tuple[dict[str, int], str] | None:
    """(ratings, domain) of an answer, in lines or as JSON; None where one is missing, doubled or out of range."""
    text = said.lower()
    ratings: dict[str, int] = {}
    for name in CRITERIA:
        spelt = name.replace("_", "[_ ]")
        found = re.findall(rf'(?<![a-z_]){spelt}[\s"*`]*[:=][\s"*`]*([^\s,;"*`}}]+)', text)
        if len(found) != 1 or not re.fullmatch(r"[1-5](?:/5|\.0*)?", found[0]):
            return None
        ratings[name] = int(found[0][0])
    domains = re.findall(r'(?<![a-z_])domain[\s"*`]*[:=][\s"*`]*([a-z]+)', text)
    return (ratings, domains[0]) if len(domains) == 1 and domains[0] in DOMAINS else None
