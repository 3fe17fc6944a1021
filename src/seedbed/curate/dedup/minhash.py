"""MinHash: which documents share most of their 5-word phrases?

What      A sketch of the set of word 5-grams; two documents whose sketches agree in one whole band are linked, and what
          is linked, directly or over others, is one group.
Source    Broder 1997, On the resemblance and containment of documents; banding after Leskovec, Rajaraman and Ullman,
          Mining of Massive Datasets, section 3.4; the setting is FineWeb's, Penedo et al. 2024, arXiv 2406.17557:
          5-grams of words, 14 bands of 8, seed 1.
Formula   shingles = hashes of each ngram consecutive words of the folded text; x = upper 32 bits of a hash
          min_k = min over x of (a_k * x + b_k) mod 2^32, a_k odd, k = 1 .. bands * rows
          band_j = hash(min of rows j * rows .. (j + 1) * rows - 1)
          P(linked | Jaccard s) = 1 - (1 - s^rows)^bands; 1/2 at s = 0.685, 0.924 at s = 0.8
          folded: lower case, accents off (NFD without combining marks), each run of digits 0, punctuation a space,
          and a space around each character of scripts that write none between words.
Shapes    documents_N -> bands columns of N -> group_N.
Units     64-bit hashes; group in rows.
Fidelity  Adapted: words are split at whitespace and punctuation, where datatrove uses spaCy; a document with fewer than
          ngram words has its whole text as the one shingle, where datatrove leaves it out; the hash family is
          multiply-add modulo 2^32, where datatrove reduces modulo 2^61 - 1. Each k is a bijection of x, so two
          documents share a minimum just where the smallest of their union lies in both, and as x is itself a hash,
          which of the union is smallest is as good as drawn: signatures are not datatrove's, the probability of a link
          is. Two shingles share x with probability 2^-32, which moves the Jaccard similarity of documents of n
          shingles by about n * 2^-32. With rows = 1, unrelated documents of n shingles share a band with n * 2^-32.
Errors    No text raises. A document without words has the keys 0 and is in no group but its own.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable
from typing import Annotated, ClassVar

import numpy as np
import pyarrow as pa
from annotated_types import Ge, Gt, Le

from seedbed.core import arrow
from seedbed.core.arrow import Columns
from seedbed.core.nouns import DocumentBatch, Signal, signals_schema
from seedbed.curate.contract import Deduper, HashArray, IntArray
from seedbed.text.repeats import groups, shingles
from seedbed.text.words.scripts import spaced

_LEAST_DOCUMENTS = 3
"""In a sample, a shingle of no more documents than this is no sign of boilerplate."""


@dataclasses.dataclass(frozen=True)
class Minhash(Deduper):
    """The length of a phrase, and the shape of the sketch: more bands find more, more rows find closer.

    Args:
        max_document_share: shingles in a larger share of documents, as of a sample of 10,000, are boilerplate and left
            out; one in up to three documents of the sample never is, and a document of nothing else is sketched whole.
    """

    version: ClassVar[int] = 2

    ngram: Annotated[int, Ge(1)] = 5
    bands: Annotated[int, Ge(1)] = 14
    rows: Annotated[int, Ge(1)] = 8
    seed: Annotated[int, Ge(0)] = 1
    max_document_share: Annotated[float | None, Gt(0), Le(1)] = None

    def signature_signals(self) -> tuple[Signal, ...]:
        """One 64-bit key a band."""
        return tuple(Signal(f"band_{band:03d}", "hash of the band's minima", "hash") for band in range(self.bands))

    def signatures(self, documents: DocumentBatch) -> pa.Table:
        """The band keys of every document."""
        return self._table(documents, np.zeros(0, np.uint64))

    def _table(self, documents: DocumentBatch, left_out: HashArray) -> pa.Table:
        data, offsets = documents.derive(spaced)
        keys = shingles.band_keys(data, offsets, self.ngram, self.bands, self.rows, self.seed, left_out)
        signals = self.signature_signals()
        columns = {signal.name: keys[band] for band, signal in enumerate(signals)}
        return arrow.table(columns, signals_schema(signals))

    def learns(self) -> bool:
        """Whether frequent shingles are left out."""
        return self.max_document_share is not None

    def learn(self, sample: Iterable[DocumentBatch]) -> HashArray:
        """The shingles that stand in more than max_document_share of the sample."""
        assert self.max_document_share is not None
        counted, n = list[HashArray](), 0
        for documents in sample:
            first, found = self.shingles(documents)
            counted.extend(np.unique(found[a:b]) for a, b in itertools.pairwise(first.tolist()))
            n += len(documents)
        hashes, counts = np.unique(np.concatenate([np.zeros(0, np.uint64), *counted]), return_counts=True)
        return hashes[counts > max(_LEAST_DOCUMENTS, self.max_document_share * n)]

    def signatures_after(self, documents: DocumentBatch, learned: HashArray) -> pa.Table:
        """The band keys of every document without frequent shingles."""
        return self._table(documents, learned)

    def shingles(self, documents: DocumentBatch) -> tuple[IntArray, HashArray]:
        """(first, hash): what is compared, from which the true similarity of two documents follows."""
        return shingles.shingles(*documents.derive(spaced), self.ngram)

    def groups(self, signatures: Columns) -> IntArray:
        """The smallest row a document is linked to, over any number of links; one band is in memory at a time."""
        columns = (arrow.numpy(signatures, signal.name) for signal in self.signature_signals())
        return groups.connect(signatures.num_rows, columns)
