"""The question the select room asks of augmenters: which new documents should stand beside those that are there?

An augmenter works in rounds. In each the pipeline trains a fresh model on the documents that the augmenter lets it
read, hands over some of the others with that model as a writer, and adds what the augmenter makes of them to the
corpus. Documents that it froze are neither read nor continued in any round: the models are compared on them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from seedbed.core.method import Method
from seedbed.core.nouns import DocumentBatch
from seedbed.select.contract import Service

READ, HELD_OUT, BEGUN, FROZEN = range(4)
"""Uses of a document in a round: the model is trained on it; it is put aside; it is put aside and its beginning handed
to the model; it is kept apart in every round."""


@dataclasses.dataclass(frozen=True)
class Corpus:
    """What an augmenter splits: columns of equal length, one entry a document.

    Args:
        group_N: language or source; of a document that a model wrote, that of the one it continues.
        key_N: a 64-bit hash of each document's id, so that chance does not depend on the order of documents.
        n_words_N: words, in any script.
        synthetic_N: whether a model wrote it.
    """

    group_N: npt.NDArray[Any]
    key_N: npt.NDArray[np.uint64]
    n_words_N: npt.NDArray[np.int64]
    synthetic_N: npt.NDArray[np.bool_]


class Writer(Service, Protocol):
    """A language model, asked to go on with texts. It counts its own FLOP."""

    def write(self, prefixes: Sequence[str], n_tokens: Sequence[int]) -> list[str]:
        """What follows each prefix: the likeliest token, again and again, at most so many or to the end of the text."""
        ...


class Augmenter(Method):
    """Proposes new documents, round by round.

    Attributes:
        rounds: how many.
        group: what a document's group is.
    """

    rounds: int
    group: Literal["language", "source"]

    def split(self, corpus: Corpus, *, number: int, seed: int) -> npt.NDArray[np.int8]:
        """use_N in round `number`, counted from 1. Order-equivariant; the same documents are frozen in every round."""
        raise NotImplementedError

    def propose(self, documents: DocumentBatch, writer: Writer) -> list[str]:
        """A new text for each of the documents whose use is `BEGUN`; empty for none."""
        raise NotImplementedError
