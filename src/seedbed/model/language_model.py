"""A model as others ask it questions: losses of documents, log-likelihoods of texts and of what follows a text.

A document is scored alone: its first token is conditioned on an end-of-text token, as it was in training, where every
document follows the end of another. A document longer than the context is cut into consecutive windows that overlap by
the one token that is only read, so every token is scored exactly once. Windows are padded to a few widths and scored in
batches of a few shapes; what is to the right of a token, padding included, cannot reach it. FLOP are counted.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from tokenizers import Tokenizer
from torch import Tensor

from seedbed.core.cost import Cost
from seedbed.core.errors import SeedbedError
from seedbed.core.nouns import DocumentBatch
from seedbed.model import counts
from seedbed.model.cross_entropy import linear_cross_entropy, tokens_at_a_time
from seedbed.model.kernels.products import product
from seedbed.model.runtime import Runtime, prepare
from seedbed.model.tensors import from_numpy
from seedbed.model.transformer import Decoder
from seedbed.model.windows import batches, padded_rows, windows

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]


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
        flat, offsets = _joined([self._encode(text) for text in documents.texts()])
        total_N, count_N = self._totals(flat, offsets)
        return 0.0 - total_N, count_N

    def continuation_log_likelihoods(
        self, contexts: Sequence[str], continuations: Sequence[str]
    ) -> tuple[FloatArray, IntArray, BoolArray]:
        """(log_likelihood_nats_N, n_tokens_N, greedy_N) of each continuation, given the context in front of it.

        Context and continuation are tokenised together and parted as lm-evaluation-harness does: blanks that end the
        context go to the continuation, and what lies behind as many tokens as the context has alone is the
        continuation. An empty context is the end of another text. A context too long loses its beginning; a longer
        continuation is read in windows. greedy_N: whether each of its tokens is the likeliest one.
        """
        pairs = [self._encode_pair(*pair) for pair in zip(contexts, continuations, strict=True)]
        pieces, count_N = [ids for ids, _ in pairs], np.array([count for _, count in pairs], np.int64)
        before_N = np.array([piece[0] for piece in pieces], np.int64)
        flat, offsets = _joined([piece[1:] for piece in pieces])
        place = np.arange(len(flat)) - np.repeat(offsets[1:], np.diff(offsets))
        asked = place >= -np.repeat(count_N, np.diff(offsets))
        losses, hits = self._losses(flat, offsets, before_N, asked)
        row = np.repeat(np.arange(len(pieces)), np.diff(offsets))[asked]
        total_N = np.bincount(row, losses[asked], len(pieces)).astype(np.float64)
        missed_N = np.bincount(row[~hits[asked]], minlength=len(pieces))
        return 0.0 - total_N, count_N, np.equal(missed_N, 0)

    def token_losses(self, ids: npt.NDArray[np.integer[Any]], offsets: IntArray) -> npt.NDArray[np.float32]:
        """Nats of every token of the documents ids[offsets[i]:offsets[i+1]], in their order."""
        return self._losses(ids, offsets, np.full(len(offsets) - 1, self._end_of_text), None)[0]

    def _losses(
        self, ids: npt.NDArray[np.integer[Any]], offsets: IntArray, before_N: IntArray, asked: BoolArray | None
    ) -> tuple[npt.NDArray[np.float32], BoolArray]:
        """Nats of every token, behind the token `before` of its document; and of those asked, which are likeliest."""
        begun = time.perf_counter()
        prepare(self._runtime)
        losses = np.zeros(int(offsets[-1] - offsets[0]), np.float32)
        hits = np.zeros(len(losses), np.bool_)
        vocabulary = self._decoder.shape.vocab_size
        if len(losses) and not 0 <= int(ids.min()) <= int(ids.max()) < vocabulary:
            what = f"token ids run from {ids.min()} to {ids.max()}, the model knows {vocabulary}"
            raise SeedbedError("language_model", what, "Score documents with the tokenizer the model was trained with.")
        document_W, begin_W, length_W = windows(offsets, self._decoder.shape.context)
        first_W = begin_W == offsets[:-1][document_W]
        before_W = np.where(first_W, before_N[document_W], ids[np.maximum(begin_W - 1, 0)]).astype(np.int64)
        flops = 0.0
        for width, batch in batches(length_W, self._decoder.shape.context):
            place_BT, scored_BT = _places(begin_W[batch], length_W[batch], width)
            targets_BT = np.where(scored_BT, ids[np.where(scored_BT, place_BT, 0)], self._end_of_text)
            place = place_BT[scored_BT] - offsets[0]
            asked_BT = np.zeros_like(scored_BT)
            if asked is not None:
                asked_BT[scored_BT] = asked[place]
            loss_BT, hit = self._score(before_W[batch], targets_BT.astype(np.int64), asked_BT)
            losses[place] = loss_BT[scored_BT]
            hits[(place_BT - offsets[0])[asked_BT]] = hit
            flops += self._flops(len(batch), width, int(asked_BT.sum()))
        self._cost += Cost(flops_forward=flops, seconds=time.perf_counter() - begun)
        return losses, hits

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
        if self._tokenizer is None:
            raise SeedbedError("language_model", "texts cannot be scored without the model's tokenizer")
        return np.asarray(self._tokenizer.encode(text, add_special_tokens=False).ids, np.int64)

    def _encode_pair(self, context: str, continuation: str) -> tuple[IntArray, int]:
        """(token ids that fit the model, how many of the last are the continuation); the first is only read."""
        bare = context.rstrip()
        continuation = context[len(bare) :] + continuation
        front, whole = self._encode(bare), self._encode(bare + continuation)
        rest = whole[len(front) :]
        if continuation and not len(rest):
            rest = self._encode(continuation)  # it melted into the context's last token
        if not len(front):
            front = np.array([self._end_of_text], np.int64)
        room = max(1, self._decoder.shape.context + 1 - len(rest))
        return np.concatenate([front[-room:], rest]), len(rest)

    def _score(
        self, before_B: IntArray, targets_BT: IntArray, asked_BT: BoolArray
    ) -> tuple[npt.NDArray[np.float32], BoolArray]:
        """Nats of all targets, and whether those asked are the likeliest tokens where they stand."""
        rows, width = padded_rows(*targets_BT.shape), targets_BT.shape[1]
        targets = np.full((rows, width), self._end_of_text, np.int64)
        targets[: len(before_B)] = targets_BT
        inputs = np.full_like(targets, self._end_of_text)
        inputs[:, 1:] = targets[:, :-1]
        inputs[: len(before_B), 0] = before_B
        device = self._runtime.torch_device
        with torch.inference_mode(), self._runtime.autocast():
            hidden = self._decoder.hidden(from_numpy(inputs).to(device))
            loss = linear_cross_entropy(hidden, self._decoder.head_weight, from_numpy(targets).to(device))
            best = _likeliest(hidden[: len(before_B)][from_numpy(asked_BT).to(device)], self._decoder.head_weight)
        return loss.cpu().numpy()[: len(before_B)], best.cpu().numpy() == targets_BT[asked_BT]

    def _flops(self, rows: int, width: int, asked: int) -> float:
        """FLOP of one batch; the head is asked a second time for the likeliest tokens."""
        shape = self._decoder.shape
        forward = counts.forward_flops(shape, padded_rows(rows, width), width)
        return forward + 2.0 * asked * shape.d_model * shape.vocab_size


def _likeliest(hidden_NC: Tensor, weight_VC: Tensor) -> Tensor:
    """The token of the highest logit at each position."""
    best_N = torch.empty(len(hidden_NC), dtype=torch.int64, device=hidden_NC.device)
    step = tokens_at_a_time(len(weight_VC))
    with torch.autocast(hidden_NC.device.type, enabled=False):
        for at in range(0, len(hidden_NC), step):
            best_N[at : at + step] = product(hidden_NC[at : at + step].float(), weight_VC.float()).argmax(-1)
    return best_N


def _joined(pieces: list[IntArray]) -> tuple[IntArray, IntArray]:
    """(flat ids, offsets)."""
    offsets = np.zeros(len(pieces) + 1, np.int64)
    np.cumsum([len(piece) for piece in pieces], out=offsets[1:])
    return np.concatenate([np.zeros(0, np.int64), *pieces]), offsets


def _places(begin_B: IntArray, length_B: IntArray, width: int) -> tuple[IntArray, BoolArray]:
    """Where each position of padded windows reads its token, and whether it is one of the window's."""
    column_T = np.arange(width)
    return begin_B[:, None] + column_T, column_T < length_B[:, None]
