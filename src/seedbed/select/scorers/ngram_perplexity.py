"""CCNet perplexity: keeps documents that an n-gram model of clean text finds likely.

What      A 5-gram model with modified Kneser-Ney smoothing is fitted on the target, or on named files of clean text.
          Documents of low perplexity read like that text. No neural model is trained.
Source    Wenzek, Lachaux, Conneau, Chaudhary, Guzman, Joulin, Grave 2020 (CCNet), arXiv 1911.00359, section 4;
          reference code facebookresearch/cc_net. The model: Heafield et al. 2013 (KenLM).
Formula   score = -ln perplexity, perplexity = 10 ** (-SUM log10 p / SUM_lines (words + 1))
Shapes    documents -> perplexity_N, score_N
Units     perplexity a word or line end; score in nats a word or line end.
Fidelity  Adapted: the smoothing, the order and the formula are the source's, and a paragraph is a line. Its pieces are
          65,000 of SentencePiece, of text without accents, punctuation and digits; here they are words and runs of
          punctuation in lower case, with single characters in scripts without spaces, so that perplexities are
          higher and their scale is another. Perplexities are not rounded to 0.1. The source cuts each language at its
          own percentiles 30 and 60: ask a selector for bands or quotas by language, or give one language a run.
          Perplexities of languages compare only where the clean text holds as much of each.
Errors    SeedbedError where the clean text has no word, or more n-grams than max_ngrams. A document without words
          counts as one unknown word, so that it is not kept first. Always finite.
"""

from __future__ import annotations

import dataclasses
from typing import Annotated

import numpy as np
import pyarrow as pa
from annotated_types import Ge, Gt, Le

from seedbed.core import arrow
from seedbed.core.nouns import DocumentBatch, Signal, signals_schema
from seedbed.select.contract import Given, Need, Scorer, TargetText, Texts
from seedbed.text import ngram_lm


@dataclasses.dataclass(frozen=True)
class NgramPerplexity(Scorer):
    """Parameters of the n-gram model.

    Args:
        files: clean text to fit on; without any, the target text.
        order: words of the longest n-gram.
        max_ngrams: different n-grams that the model may hold, about 100 bytes each while it is fitted.
    """

    signals = (Signal("perplexity", "a word or line end", low=0), Signal("score", "nats, higher means keep"))

    files: tuple[str, ...] = ()
    order: Annotated[int, Ge(1), Le(ngram_lm.MAX_ORDER)] = 5
    max_ngrams: Annotated[int, Gt(0), Le(1_000_000_000)] = ngram_lm.MAX_NGRAMS

    def needs(self) -> tuple[Need, ...]:
        """The clean text."""
        return (Texts("clean", self.files),) if self.files else (TargetText(),)

    def fit(self, given: Given) -> FittedNgramPerplexity:
        """Count and smooth. Raises SeedbedError where there is no text."""
        clean = given.texts["clean"] if self.files else given.target
        return FittedNgramPerplexity(
            ngram_lm.fit(clean, self.order, max_ngrams=self.max_ngrams, where=f"{self.path()}, clean text")
        )


@dataclasses.dataclass(frozen=True)
class FittedNgramPerplexity:
    """Ready to measure."""

    model: ngram_lm.NgramModel

    def measure(self, documents: DocumentBatch) -> pa.Table:
        """Perplexity, and its logarithm with the sign turned."""
        log_perplexity_N = self.model.log_perplexities(documents)
        columns = {"perplexity": np.exp(log_perplexity_N), "score": -log_perplexity_N}
        return arrow.table(columns, signals_schema(NgramPerplexity.signals))
