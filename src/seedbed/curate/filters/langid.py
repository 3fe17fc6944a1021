"""Langid: which language is the text in, by the byte n-grams that tell languages apart in any domain?

What      The most likely of 139 languages, or "zxx" for what is no language, by naive Bayes over byte n-grams chosen so
          that they tell the language and not the subject: a second opinion beside `language`, from another method
          trained on other data.
Source    Lui and Baldwin 2012, langid.py, ACL demonstrations P12-3005; the model that py3langid 0.4 ships (Barbaresi).
Formula   n_f             occurrences of n-gram f in the text's bytes, found by one finite automaton
          s_c             log P(c) + sum over f of log(1 + n_f) * log P(f | c)
          language_score  max over c of softmax(s_c / sqrt(bytes)), added up over the classes of one language
Shapes    documents_N -> a text column and a number column of N.
Units     language is an ISO 639 code as the model names it; language_score a probability, fraction of 1; first_bytes
          and max_bytes are UTF-8 bytes of a text.
Fidelity  Adapted: a text longer than first_bytes is judged by windows spread over it, and by more of them where the
          first are not sure; the label was that of the whole text for 99.3 % of 8,194 documents in 43 languages
          (benchmarks/results/language.csv). A text that is read whole has py3langid's own label and, to 1e-3, its
          probability. These are not the probabilities of `language`: choose a threshold for them.
Errors    Without the package py3langid it raises and names what to install. No text raises: one in which no n-gram is
          found gives language "" and score 0.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import io
import itertools
import lzma
import unicodedata
from functools import cache
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from seedbed.core.errors import SeedbedError
from seedbed.core.fingerprint import hash_file
from seedbed.core.parameters import Json
from seedbed.curate.language_filter import Labels, LanguageFilter
from seedbed.text.kernel import Bytes, Floats, Ints, kernel

_Automaton: TypeAlias = tuple[npt.NDArray[np.uint16], Ints, Ints]
"""(next state by row and byte, row of each state, n-gram that ends in each state or -1)."""
_Floats32 = npt.NDArray[np.float32]


@dataclasses.dataclass(frozen=True)
class Langid(LanguageFilter):
    """The languages to keep, and how sure one must be; None switches a rule off."""

    def identity(self) -> dict[str, Json]:
        """The model's content counts."""
        return {**super().identity(), "model": _content()}

    def identify(self, data: Bytes, offsets: Ints) -> tuple[Labels, Floats]:
        """(language_N, score_N)."""
        model = _model()
        texts = [_normalized(data[start:end].tobytes()) for start, end in itertools.pairwise(offsets.tolist())]
        bounds = np.cumsum([0, *map(len, texts)]).astype(np.int64)
        text = np.frombuffer(b"".join(texts), np.uint8)
        class_N, score_N = np.full(len(texts), -1, np.int64), np.zeros(len(texts))
        _classify(text, bounds, model.automaton, model.weights_FC, model.prior_C, model.first_C, class_N, score_N)
        return np.array([*model.classes, ""], np.object_)[class_N], score_N


@dataclasses.dataclass(frozen=True)
class _Model:
    """F n-grams, C classes. A class whose name occurs before has the index of that one in first_C."""

    automaton: _Automaton
    weights_FC: _Floats32
    prior_C: Floats
    classes: tuple[str, ...]
    first_C: Ints


def _normalized(text: bytes) -> bytes:
    """As the model was trained: composed, and in lower case where all is in capitals."""
    found = text.decode("utf-8", "surrogatepass")
    return unicodedata.normalize("NFC", found.lower() if found.isupper() else found).encode("utf-8", "surrogatepass")


def _file() -> Path | None:
    package = importlib.util.find_spec("py3langid")
    folders = package.submodule_search_locations if package else None
    return Path(folders[0]) / "data" / "model.npz.xz" if folders else None


@cache
def _content() -> str:
    file = _file()
    return hash_file(file) if file is not None and file.is_file() else "missing"


@cache
def _model() -> _Model:
    """Read once a process."""
    file = _file()
    if file is None or not file.is_file():
        mend = 'Run `pip install "seedbed[langid]"`.'
        raise SeedbedError("langid", "the package py3langid (0.4 or newer) is not installed", mend)
    with np.load(io.BytesIO(lzma.decompress(file.read_bytes())), allow_pickle=False) as arrays:
        rows, row_of_state = arrays["nextmove"].reshape(-1, 256), arrays["nextmove_row"].astype(np.int64)
        classes = tuple(str(name) for name in arrays["classes"])
        return _Model(
            automaton=(rows, row_of_state, arrays["out_feat"].astype(np.int64)),
            weights_FC=arrays["ptc"].astype(np.float32),
            prior_C=arrays["pc"].astype(np.float64),
            classes=classes,
            first_C=np.array([classes.index(name) for name in classes], np.int64),
        )


@kernel
def _count(data: Bytes, begin: int, end: int, automaton: _Automaton, counts: Ints, found: Ints) -> int:
    """Counts the n-grams of data[begin:end] and lists them; how many different ones."""
    rows, row_of_state, ngram_of_state = automaton
    state, n = 0, 0
    for at in range(begin, end):
        state = rows[row_of_state[state], data[at]]
        ngram = ngram_of_state[state]
        if ngram >= 0:
            if counts[ngram] == 0:
                found[n] = ngram
                n += 1
            counts[ngram] += 1
    return n


@kernel
def _classify(
    data: Bytes, offsets: Ints, automaton: _Automaton, weights_FC: _Floats32, prior_C: Floats, first_C: Ints,
    class_N: Ints, score_N: Floats,
) -> None:  # fmt: skip
    counts, found = np.zeros(len(weights_FC), np.int64), np.empty(len(weights_FC), np.int64)
    scores, chances = np.empty(len(prior_C), np.float64), np.empty(len(prior_C), np.float64)
    for d in range(len(offsets) - 1):
        n = _count(data, offsets[d], offsets[d + 1], automaton, counts, found)
        if n == 0:
            continue
        scores[:] = prior_C
        for i in range(n):
            weight = np.log1p(counts[found[i]])
            counts[found[i]] = 0
            weights_C = weights_FC[found[i]]
            for c in range(len(scores)):
                scores[c] += weight * weights_C[c]
        highest, width = scores.max(), np.sqrt(offsets[d + 1] - offsets[d])
        chances[:] = 0
        for c in range(len(scores)):
            chances[first_C[c]] += np.exp((scores[c] - highest) / width)
        class_N[d] = np.argmax(chances)
        score_N[d] = min(1.0, chances.max() / chances.sum())
