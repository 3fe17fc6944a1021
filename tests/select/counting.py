"""A model that counts tokens, as services that can be asked for steps and gradients: exact, quick, without torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from seedbed.core.cost import Cost
from seedbed.core.nouns import DocumentBatch

Floats = np.ndarray[Any, np.dtype[np.float64]]


class Counting:
    """Unigrams with add-one smoothing over `vocabulary` tokens: a probe, and gradients of one layer of logits.

    A step on a document adds its shares, `rate` tokens' worth. The gradient of a document's mean loss by the logits is
    probability - share of each token.
    """

    def __init__(self, learnt: Sequence[DocumentBatch], vocabulary: int, rate: float = 50.0) -> None:
        self._vocabulary, self._rate, self._asked = vocabulary, rate, 0
        self._counts = np.ones(vocabulary)
        for batch in learnt:
            self._counts += np.bincount(self._ids(batch), minlength=vocabulary)

    @property
    def cost(self) -> Cost:
        """A forward FLOP a token that was looked at."""
        return Cost(flops_forward=float(self._asked))

    def loss(self, reference: DocumentBatch) -> float:
        """Mean nats per token."""
        return self._loss(self._counts, reference)

    def losses_after_step(self, documents: DocumentBatch, reference: DocumentBatch) -> Floats:
        """loss_N after a step on each."""
        return np.array([self._loss(self._counts + self._rate * share, reference) for share in self._shares(documents)])

    def layers(self, which: str) -> tuple[str, ...]:
        """One."""
        return (f"{which}.logits",)

    def gradients(
        self, documents: DocumentBatch, layers: Sequence[str]
    ) -> Mapping[str, np.ndarray[Any, np.dtype[np.float32]]]:
        """(N, vocabulary, 1)."""
        share_NV = self._shares(documents)
        found = (self._counts / self._counts.sum() - share_NV) * (share_NV.sum(1, keepdims=True) > 0)
        return dict.fromkeys(layers, found[:, :, None].astype(np.float32))

    def factors(self, documents: DocumentBatch, layers: Sequence[str]) -> Mapping[str, tuple[Floats, Floats]]:
        """The input is 1; slopes are those of single tokens."""
        probability = self._counts / self._counts.sum()
        slope_TV = probability - np.eye(self._vocabulary)[self._ids(documents)]
        return dict.fromkeys(layers, (np.ones((1, 1)), slope_TV.T @ slope_TV / len(slope_TV)))

    def embeddings(self, documents: DocumentBatch) -> np.ndarray[Any, np.dtype[np.float32]]:
        """Shares of tokens."""
        return self._shares(documents).astype(np.float32)

    def _shares(self, documents: DocumentBatch) -> Floats:
        shares = np.zeros((len(documents), self._vocabulary))
        for row in range(len(documents)):
            ids = self._ids(documents.one(row))
            shares[row] = np.bincount(ids, minlength=self._vocabulary) / max(len(ids), 1)
        return shares

    def _loss(self, counts: Floats, reference: DocumentBatch) -> float:
        return float(-np.log(counts / counts.sum())[self._ids(reference)].mean())

    def _ids(self, documents: DocumentBatch) -> Any:
        ids, offsets = documents.token_ids
        self._asked += int(offsets[-1] - offsets[0])
        return ids[offsets[0] : offsets[-1]]
