"""The question the curate room asks of a language identifier: which language is this, and how sure are you?

An identifier is a filter that looks at a sample of each text: a small one first, and a larger one where it is not sure.
The first identifier of a plan says which language a document is in, for everything that goes by language.
"""

from __future__ import annotations

import dataclasses
from typing import Annotated, ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from annotated_types import Ge, Le, MinLen

from seedbed.core.nouns import DocumentBatch, Signal
from seedbed.curate.contract import Filter, FloatArray, IntArray, Rule

Labels = npt.NDArray[np.object_]


@dataclasses.dataclass(frozen=True)
class LanguageFilter(Filter):
    """The languages to keep, and how sure one must be; None switches a rule off.

    Args:
        languages: ISO 639 codes, as the identifier names them.
        min_language_score: the least probability.
        first_bytes: how much of a text is read first; shorter texts are read whole.
        sure_score: a text that scores less on its first sample is asked again, on a larger one.
        max_bytes: how much is then read.
    """

    signals: ClassVar[tuple[Signal, ...]] = (
        Signal("language", "ISO 639 code", "text"),
        Signal("language_score", "probability", low=0, high=1),
    )
    rules: ClassVar[tuple[Rule, ...]] = (
        Rule("languages", "language", "in"),
        Rule("min_language_score", "language_score", "min"),
    )

    languages: Annotated[tuple[str, ...] | None, MinLen(1)] = ("en",)
    min_language_score: Annotated[float | None, Ge(0), Le(1)] = 0.65
    first_bytes: Annotated[int, Ge(1)] = 1024
    sure_score: Annotated[float, Ge(0), Le(1)] = 0.9
    max_bytes: Annotated[int, Ge(1)] = 8192

    def identify(self, data: npt.NDArray[np.uint8], offsets: IntArray) -> tuple[Labels, FloatArray]:
        """(language_N, score_N) of texts given as (bytes, offsets); "" and 0 for a text without language."""
        raise NotImplementedError

    def measure(self, documents: DocumentBatch) -> pa.Table:
        """The language of every document and its probability."""
        from seedbed.text.samples import sample  # kernels are not needed to look at a plan
        from seedbed.text.words.whitespace import count_words

        data, offsets = documents.text_buffers()
        sizes = np.diff(offsets)
        everyone = np.arange(len(documents), dtype=np.int64)
        language_N, score_N = self.identify(*sample(data, offsets, everyone, self.first_bytes))
        unsure = everyone[
            (score_N < self.sure_score) & (sizes > self.first_bytes) & (self.max_bytes > self.first_bytes)
        ]
        if len(unsure):
            language_N[unsure], score_N[unsure] = self.identify(*sample(data, offsets, unsure, self.max_bytes))
        is_blank = documents.derive(count_words) == 0
        language_N[is_blank], score_N[is_blank] = "", 0.0
        return self.table({"language": pa.array(language_N, pa.large_string()), "language_score": score_N})
