"""MinHash: which documents share most of their 5-word phrases?

What      A sketch of the set of word 5-grams; two documents whose sketches agree in one whole band are linked, and what
          is linked, directly or over others, is one group.
Source    Broder 1997, On the resemblance and containment of documents; banding after Leskovec, Rajaraman and Ullman,
          Mining of Massive Datasets, section 3.4; the setting is FineWeb's, Penedo et al. 2024, arXiv 2406.17557:
          5-grams of words, 14 bands of 8, seed 1.
Formula   shingles = hashes x of each ngram consecutive words of the folded text
          min_k = min over x of a_k * x + b_k mod 2^64, a_k odd, k = 1 .. bands * rows
          band_j = hash(min of rows j * rows .. (j + 1) * rows - 1)
          P(linked | Jaccard s) = 1 - (1 - s^rows)^bands; 1/2 at s = 0.685, 0.924 at s = 0.8
          folded: lower case, accents off (NFD without combining marks), each run of digits 0, punctuation a space.
Shapes    documents_N -> bands columns of N -> group_N.
Units     64-bit hashes; group in rows.
Fidelity  Adapted: words are split at whitespace and punctuation, where datatrove uses spaCy; the hash family is
          multiply-add modulo 2^64, where datatrove reduces modulo 2^61 - 1; a document with fewer than ngram words has
          its whole text as the one shingle, where datatrove leaves it out. Signatures are not datatrove's, the
          probability of a link is.
Errors    No text raises. A document without words has the keys 0 and is in no group but its own.
"""

from __future__ import annotations

import dataclasses
from typing import Annotated

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from annotated_types import Ge

from seedbed.core import arrow
from seedbed.core.nouns import DocumentBatch, Signal, signals_schema
from seedbed.curate.contract import Deduper
from seedbed.text import groups, normalize, words
from seedbed.text.hashing import extend, mix, splitmix
from seedbed.text.kernel import Hashes, Ints, kernel


@dataclasses.dataclass(frozen=True)
class Minhash(Deduper):
    """The length of a phrase, and the shape of the sketch: more bands find more, more rows find closer."""

    ngram: Annotated[int, Ge(1)] = 5
    bands: Annotated[int, Ge(1)] = 14
    rows: Annotated[int, Ge(1)] = 8
    seed: Annotated[int, Ge(0)] = 1

    def signature_signals(self) -> tuple[Signal, ...]:
        """One 64-bit key a band."""
        return tuple(Signal(f"band_{band:03d}", "hash of the band's minima", "hash") for band in range(self.bands))

    def signatures(self, documents: DocumentBatch) -> pa.Table:
        """The band keys of every document."""
        found = documents.derive(folded_words)
        n_hashes = self.bands * self.rows
        numbers = splitmix(self.seed, 2 * n_hashes)
        keys = np.zeros((self.bands, len(documents)), np.uint64)
        _sketch(found.first, found.hash, self.ngram, numbers[:n_hashes] | np.uint64(1), numbers[n_hashes:], keys)
        signals = self.signature_signals()
        columns = {signal.name: keys[band] for band, signal in enumerate(signals)}
        return arrow.table(columns, signals_schema(signals))

    def groups(self, signatures: pa.Table) -> npt.NDArray[np.int64]:
        """The smallest row a document is linked to, over any number of links; one band is in memory at a time."""
        columns = (arrow.numpy(signatures, signal.name) for signal in self.signature_signals())
        return groups.connect(signatures.num_rows, columns)


def folded_words(documents: DocumentBatch) -> words.Words:
    """The words of the folded texts."""
    return words.split(*normalize.fold(*documents.text_buffers()))


@kernel
def _sketch(first: Ints, hashes: Hashes, ngram: int, a: Hashes, b: Hashes, keys: Hashes) -> None:
    n_bands, n_rows = len(keys), len(a) // len(keys)
    minima = np.empty(len(a), np.uint64)
    for d in range(len(first) - 1):
        n = first[d + 1] - first[d]
        if n == 0:
            continue
        minima[:] = np.uint64(0xFFFFFFFFFFFFFFFF)
        for w in range(first[d], max(first[d] + 1, first[d + 1] - ngram + 1)):
            state = np.uint64(0)
            for k in range(w, min(w + ngram, first[d + 1])):
                state = extend(state, hashes[k])
            shingle = mix(state)
            for k in range(len(a)):
                value = a[k] * shingle + b[k]
                minima[k] = min(minima[k], value)
        for band in range(n_bands):
            state = np.uint64(band + 1)
            for row in range(n_rows):
                state = extend(state, minima[band * n_rows + row])
            keys[band, d] = max(mix(state), np.uint64(1))
