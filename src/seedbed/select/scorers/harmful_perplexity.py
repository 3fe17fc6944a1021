"""Perplexed by Quality: drops documents that an n-gram model of harmful text finds likely.

What      A 5-gram model sees harmful text only. A document of low perplexity reads like it; one ABOVE the threshold is
          kept. No clean examples are needed, and what is kept is not made to resemble any. The direction is the
          opposite of CCNet's.
Source    Jansen, Tong, Zevallos, Ortiz Suarez 2022, "Perplexed by Quality", arXiv 2212.10440. The model: Heafield et
          al. 2013 (KenLM).
Formula   margin = ln perplexity - ln threshold; with an upper bound against gibberish, which is also unlike harmful
          text, score = min(margin, ln upper_perplexity - ln perplexity), else score = margin. Keep score > 0.
Shapes    documents -> perplexity_N, threshold_N, score_N
Units     perplexity a word or line end; score in nats a word or line end.
Fidelity  Adapted: the rule and its direction are the paper's; words are those of text/ngram_lm.py, so that thresholds
          of published KenLM models do not carry over. One model holds all languages (their n-grams hardly meet) where
          published ones hold one each; thresholds are a language's own. The paper chooses the threshold between the
          two groups that the perplexities form; here "valley" takes the least density between two normals fitted to
          the pool's log perplexities, and "otsu" Otsu's split, which cuts too high where few documents are harmful. A
          split that is not there, or lies below the median of harmful text held out from a first fit, gives way to
          "recall": the perplexity below which the given share of that held-out text lies.
Errors    SeedbedError where the harmful text has no word, or more n-grams than max_ngrams. A document without words
          counts as one unknown word, and is kept. Always finite.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from annotated_types import Ge, Gt, Le, Lt

from seedbed.core import arrow
from seedbed.core.nouns import DocumentBatch, Signal, signals_schema
from seedbed.select.contract import FloatArray, Given, Need, PoolText, Scorer, Texts
from seedbed.stats.sampling import keys_of, uniforms
from seedbed.stats.valley import otsu, valley
from seedbed.text import ngram_lm

_ALL = ""
_ENOUGH_HELD = 20


@dataclasses.dataclass(frozen=True)
class HarmfulPerplexity(Scorer):
    """Parameters of the model and its threshold.

    Args:
        files: harmful text to fit on.
        order: words of the longest n-gram.
        threshold: the perplexity above which documents are kept, in every language; 0 reads it off the pool.
        calibration: how it is read off: "valley", "otsu" or "recall".
        recall: share of held-out harmful text below the threshold, where that sets it.
        held_out: share of the harmful text that a first fit does not see.
        min_documents: a language with as many documents in the pool has a threshold of its own.
        upper_perplexity: documents above it are gibberish and score below 0; 0 for no such bound.
        max_ngrams: different n-grams that the model may hold, about 100 bytes each while it is fitted.
    """

    signals = (
        Signal("perplexity", "a word or line end", low=0),
        Signal("threshold", "perplexity", low=0),
        Signal("score", "nats above the threshold, higher means keep"),
    )

    files: tuple[str, ...] = ()
    order: Annotated[int, Ge(1), Le(ngram_lm.MAX_ORDER)] = 5
    threshold: Annotated[float, Ge(0)] = 0.0
    calibration: Literal["valley", "otsu", "recall"] = "valley"
    recall: Annotated[float, Gt(0), Lt(1)] = 0.95
    held_out: Annotated[float, Gt(0), Lt(1)] = 0.1
    min_documents: Annotated[int, Gt(0)] = 200
    upper_perplexity: Annotated[float, Ge(0)] = 0.0
    max_ngrams: Annotated[int, Gt(0), Le(1_000_000_000)] = ngram_lm.MAX_NGRAMS

    def needs(self) -> tuple[Need, ...]:
        """The harmful text; and the pool, where the threshold is read off it."""
        harmful = Texts("harmful", self.files)
        return (harmful,) if self.threshold > 0 else (harmful, PoolText())

    def fit(self, given: Given) -> FittedHarmfulPerplexity:
        """Count, smooth and calibrate. Raises SeedbedError where there is no harmful text."""
        harmful, where = given.texts.get("harmful", ()), f"{self.path()}, harmful text"
        if self.threshold > 0:
            model = ngram_lm.fit(harmful, self.order, max_ngrams=self.max_ngrams, where=where)
            return FittedHarmfulPerplexity(self, model, {_ALL: float(np.log(self.threshold))})
        counts = ngram_lm.NgramCounts(self.order, max_ngrams=self.max_ngrams, where=where)
        held: list[DocumentBatch] = []
        for batch in harmful:
            held_N = uniforms(given.seed, keys_of(batch.ids)) < self.held_out
            counts.add(_rows(batch, ~held_N))
            held.append(_rows(batch, held_N))
        held_values = _values(counts.model(), held) if counts.n else {}
        for batch in held:
            counts.add(batch)
        model = counts.model()
        if not held_values:
            held_values = _values(model, harmful)
        return FittedHarmfulPerplexity(self, model, self._thresholds(_values(model, given.pool), held_values))

    def _thresholds(self, pool: Mapping[str, FloatArray], held: Mapping[str, FloatArray]) -> dict[str, float]:
        """ln threshold of the languages with enough documents, and of all others together."""
        of_all_H = np.concatenate(list(held.values()))
        found = {_ALL: self._between(np.concatenate([np.zeros(0), *pool.values()]), of_all_H)}
        for language, value_N in pool.items():
            if language != _ALL and len(value_N) >= self.min_documents:
                own_H = held.get(language, of_all_H)
                found[language] = self._between(value_N, own_H if len(own_H) >= _ENOUGH_HELD else of_all_H)
        return found

    def _between(self, value_N: FloatArray, held_H: FloatArray) -> float:
        at = None
        if len(value_N) and self.calibration != "recall":
            at = otsu(value_N).threshold if self.calibration == "otsu" else valley(value_N).threshold
        return float(np.quantile(held_H, self.recall)) if at is None or at < np.median(held_H) else at


@dataclasses.dataclass(frozen=True)
class FittedHarmfulPerplexity:
    """Ready to measure. `log_threshold` is by language; "" stands for every other."""

    law: HarmfulPerplexity
    model: ngram_lm.NgramModel
    log_threshold: Mapping[str, float]

    def measure(self, documents: DocumentBatch) -> pa.Table:
        """Perplexities, thresholds, and how far above its own each document is."""
        value_N = self.model.log_perplexities(documents)
        other = self.log_threshold[_ALL]
        at_N = np.array([self.log_threshold.get(name, other) for name in documents.column("language")], np.float64)
        score_N = value_N - at_N
        if self.law.upper_perplexity > 0:
            score_N = np.minimum(score_N, np.log(self.law.upper_perplexity) - value_N)
        columns = {"perplexity": np.exp(value_N), "threshold": np.exp(at_N), "score": score_N}
        return arrow.table(columns, signals_schema(HarmfulPerplexity.signals))


def _values(model: ngram_lm.NgramModel, batches: Iterable[DocumentBatch]) -> dict[str, FloatArray]:
    """ln perplexities by language."""
    found: dict[str, list[float]] = {}
    for batch in batches:
        for language, value in zip(batch.column("language"), model.log_perplexities(batch).tolist(), strict=True):
            found.setdefault(language, []).append(value)
    return {language: np.array(values) for language, values in sorted(found.items())}


def _rows(batch: DocumentBatch, chosen_N: npt.NDArray[np.bool_]) -> DocumentBatch:
    return DocumentBatch(arrow.take(batch.rows, np.flatnonzero(chosen_N)))
