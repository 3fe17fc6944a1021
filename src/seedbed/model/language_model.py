"""A model as others ask it questions: losses of tokenised documents, log-likelihoods of texts. It counts its own FLOP.

A document is scored alone: its first token is conditioned on an end-of-text token, as it was in training, where every
document follows the end of another. A document longer than the context is cut into consecutive windows that overlap by
the one token that is only read, so every token is scored exactly once. Windows are padded to a few widths and scored in
batches of a few shapes; what is to the right of a token, padding included, cannot reach it.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from tokenizers import Tokenizer

from seedbed.core.cost import Cost
from seedbed.core.errors import SeedbedError
from seedbed.core.nouns import DocumentBatch
from seedbed.model import counts
from seedbed.model.cross_entropy import linear_cross_entropy
from seedbed.model.runtime import Runtime, prepare
from seedbed.model.tensors import from_numpy
from seedbed.model.transformer import Decoder

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

BATCH_TOKENS = 2048
"""Positions scored at a time, padding included."""

NARROWEST = 16
"""The narrowest width windows are padded to; wider ones double up to the context."""


class LanguageModel:
    """A decoder that answers questions.

    Args:
        decoder: the model; moved to the runtime's device.
        end_of_text: id of the token that ends every document.
        tokenizer_json: the tokenizer's definition; needed only where texts are scored.
        runtime: device and threads.
    """

    def __init__(
        self, decoder: Decoder, end_of_text: int, tokenizer_json: str | None = None, runtime: Runtime | None = None
    ) -> None:
        self._runtime = runtime or Runtime()
        self._decoder = decoder.to(self._runtime.torch_device)
        self._tokenizer: Any = Tokenizer.from_str(tokenizer_json) if tokenizer_json is not None else None
        self._end_of_text = end_of_text
        self._cost = Cost()
        if not 0 <= end_of_text < decoder.shape.vocab_size:
            raise SeedbedError("language_model.end_of_text", f"{end_of_text} is outside the vocabulary")

    @property
    def cost(self) -> Cost:
        """FLOP of all forward passes so far, padding included, and seconds."""
        return self._cost

    def document_losses(self, documents: DocumentBatch) -> FloatArray:
        """loss_N: mean nats per token of each document, end-of-text included; 0 for a document without tokens."""
        ids, offsets = documents.token_ids
        total_N, count_N = self._totals(ids, offsets)
        return np.divide(total_N, count_N, out=np.zeros(len(count_N)), where=count_N > 0)

    def log_likelihoods(self, documents: DocumentBatch) -> tuple[FloatArray, IntArray]:
        """(log_likelihood_nats_N, n_tokens_N) of each text, end-of-text not counted; (0, 0) for an empty text."""
        if self._tokenizer is None:
            raise SeedbedError("language_model", "texts cannot be scored without the model's tokenizer")
        pieces = [self._encode(text) for text in documents.texts()]
        offsets = np.zeros(len(pieces) + 1, np.int64)
        np.cumsum([len(piece) for piece in pieces], out=offsets[1:])
        flat = np.concatenate([np.zeros(0, np.int64), *pieces])
        total_N, count_N = self._totals(flat, offsets)
        return 0.0 - total_N, count_N

    def token_losses(self, ids: npt.NDArray[np.integer[Any]], offsets: IntArray) -> npt.NDArray[np.float32]:
        """Nats of every token of the documents ids[offsets[i]:offsets[i+1]], in their order."""
        begun = time.perf_counter()
        prepare(self._runtime)
        losses = np.zeros(int(offsets[-1] - offsets[0]), np.float32)
        vocabulary = self._decoder.shape.vocab_size
        if len(losses) and not 0 <= int(ids.min()) <= int(ids.max()) < vocabulary:
            what = f"token ids run from {ids.min()} to {ids.max()}, the model knows {vocabulary}"
            raise SeedbedError("language_model", what, "Score documents with the tokenizer the model was trained with.")
        begin_W, length_W, first_W = _windows(offsets, self._decoder.shape.context)
        width_W = _widths(length_W, self._decoder.shape.context)
        flops = 0.0
        for width in np.unique(width_W):
            rows = np.flatnonzero(width_W == width)
            most = max(1, BATCH_TOKENS // int(width))
            for at in range(0, len(rows), most):
                batch = rows[at : at + most]
                flops += self._score(
                    ids, losses, offsets[0], begin_W[batch], length_W[batch], first_W[batch], int(width)
                )
        self._cost += Cost(flops_forward=flops, seconds=time.perf_counter() - begun)
        return losses

    def _totals(self, ids: npt.NDArray[np.integer[Any]], offsets: IntArray) -> tuple[FloatArray, IntArray]:
        """(total nats, tokens) of each document."""
        losses = self.token_losses(ids, offsets).astype(np.float64)
        count_N = np.diff(offsets)
        total_N = np.zeros(len(count_N))
        filled = count_N > 0
        if filled.any():
            total_N[filled] = np.add.reduceat(losses, (offsets[:-1] - offsets[0])[filled])
        return total_N, count_N

    def _encode(self, text: str) -> IntArray:
        return np.asarray(self._tokenizer.encode(text, add_special_tokens=False).ids, np.int64)

    def _score(
        self,
        ids: npt.NDArray[np.integer[Any]],
        losses: npt.NDArray[np.float32],
        origin: np.int64,
        begin_B: IntArray,
        length_B: IntArray,
        first_B: npt.NDArray[np.bool_],
        width: int,
    ) -> float:
        """Score the windows of one batch into `losses`; returns the FLOP spent."""
        rows = 1 << (len(begin_B) - 1).bit_length()  # a power of two: few shapes, each with its own fixed arithmetic
        column_T = np.arange(width)
        scored_BT = column_T < length_B[:, None]
        position_BT = np.where(scored_BT, begin_B[:, None] + column_T, 0)
        targets = np.full((rows, width), self._end_of_text, np.int64)
        targets[: len(begin_B)][scored_BT] = ids[position_BT[scored_BT]]
        inputs = np.full_like(targets, self._end_of_text)
        inputs[:, 1:] = targets[:, :-1]
        inputs[: len(begin_B), 0] = np.where(first_B, self._end_of_text, ids[np.maximum(begin_B - 1, 0)])
        device = self._runtime.torch_device
        with torch.inference_mode(), self._runtime.autocast():
            hidden = self._decoder.hidden(from_numpy(inputs).to(device))
            loss = linear_cross_entropy(hidden, self._decoder.head_weight, from_numpy(targets).to(device))
        losses[position_BT[scored_BT] - origin] = loss.cpu().numpy()[: len(begin_B)][scored_BT]
        return counts.forward_flops(self._decoder.shape, rows, width)


def _windows(offsets: IntArray, context: int) -> tuple[IntArray, IntArray, npt.NDArray[np.bool_]]:
    """Windows of at most `context` tokens: (first token, length, whether it begins its document)."""
    size_N = np.diff(offsets)
    windows_N = -(-size_N // context)
    document_W = np.repeat(np.arange(len(size_N)), windows_N)
    ordinal_W = np.arange(len(document_W)) - np.repeat(np.cumsum(windows_N) - windows_N, windows_N)
    begin_W = offsets[:-1][document_W] + ordinal_W * context
    length_W = np.minimum(offsets[1:][document_W] - begin_W, context)
    return begin_W, length_W, ordinal_W == 0


def _widths(length_W: IntArray, context: int) -> IntArray:
    """The width each window is padded to: 16, 32, 64, ... , at most the context."""
    widths: list[int] = []
    width = min(NARROWEST, context)
    while width < context:
        widths.append(width)
        width *= 2
    ladder = np.array([*widths, context], np.int64)
    return ladder[np.searchsorted(ladder, length_W)]
