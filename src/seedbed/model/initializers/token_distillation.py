"""Token distillation: new input rows with which the model thinks what it thought of their old pieces.

What      The model reads contexts twice: in old tokens, and with one new token in the place of its old pieces. The new
          input rows are moved until the hidden states of the second reading are those of the first. Nothing else moves.
Source    Dobler, Elliott and de Melo 2025, "Token distillation: attention-aware input embeddings for new tokens",
          arXiv 2505.20133; code konstantinjdobler/token-distillation.
Formula   loss = mean over positions, widths and texts of (h(new reading) - h(old reading))^2
          positions: all of the new reading; that of the new token is compared with that of its last piece
Shapes    tables (V, C), contexts (B, T) -> rows (M, C)
Units     context and contexts in tokens and texts; lr for Adam
Fidelity  Adapted. As in the code: a start at the sub-token mean, one new token merged in a context, the last layer's
          states behind the final norm, 100 contexts of 50 tokens, one epoch of 16 contexts a step, Adam at a constant
          rate without decay. There a token with fewer contexts is left out; here it learns from those there are, and
          one without any keeps the mean of its pieces. Contexts are taken from text written in new tokens with these
          spelled out in pieces. Output rows of models that do not tie their tables are the means of the pieces: the
          code's option; its default trains them on the next token, which the following stage does here. Where tables
          are tied the new row serves as output row too, for which the method was not made: `convex` does not hold.
Errors    Texts without a token raise SeedbedError; so do a layer that the model does not have, and contexts too long.
"""

from __future__ import annotations

import dataclasses
from typing import Annotated, Any, ClassVar, cast

import numpy as np
import numpy.typing as npt
import torch
from annotated_types import Ge, Gt
from torch import Tensor
from torch.nn import functional

from seedbed.core.errors import SeedbedError
from seedbed.model.layers import Sight
from seedbed.model.new_rows import IntArray, encoded, means_of_pieces, tables
from seedbed.model.tensors import from_numpy
from seedbed.model.transformer import Decoder
from seedbed.model.transforming import Initializer, NewTokens


@dataclasses.dataclass(frozen=True)
class TokenDistillation(Initializer):
    """New input rows by distillation of hidden states.

    Args:
        layer: whose output is compared, counted from 1; None for the last one behind the final norm.
        contexts: of each new token at most.
        context: tokens of each, in old tokens; fewer where the text or the model's context ends.
        epochs: times that each context is read.
        batch: contexts in a step.
        lr: rate of Adam.
        tokens: read at most, in new tokens.
    """

    needs_texts: ClassVar[bool] = True

    layer: Annotated[int | None, Ge(1)] = None
    contexts: Annotated[int, Ge(1)] = 100
    context: Annotated[int, Ge(2)] = 50
    epochs: Annotated[int, Ge(1)] = 1
    batch: Annotated[int, Ge(1)] = 16
    lr: Annotated[float, Gt(0)] = 1e-4
    tokens: Annotated[int, Ge(1)] = 2_000_000

    def rows(self, new: NewTokens) -> tuple[Tensor, Tensor | None]:
        """(input rows, output rows), each (M, C)."""
        old = new.old.decoder
        if self.layer is not None and self.layer > old.shape.n_layers:
            raise SeedbedError(f"{self.name()}.layer", f"the model has {old.shape.n_layers} layers, not {self.layer}")
        inputs, outputs = tables(old)
        rows_MC = means_of_pieces(inputs, new.pieces).float()
        if len(new.pieces):
            contexts = self._contexts(new)
            self._distil(old, inputs.float(), rows_MC, contexts, np.random.default_rng(new.seed))
        return rows_MC, None if outputs is None else means_of_pieces(outputs, new.pieces).float()

    def _contexts(self, new: NewTokens) -> Contexts:
        V = new.old.decoder.shape.vocab_size
        ids, offsets = encoded(new.tokenizer_json, new.texts(), self.tokens)
        if not len(ids):
            mend = "Give texts in which the new tokens occur."
            raise SeedbedError(self.name(), "the texts hold no token to learn from", mend)
        end = () if new.old.end_of_text is None else (new.old.end_of_text,)
        width = min(self.context, new.old.decoder.shape.context - len(end))
        return spelled_out(ids, offsets, V, new.pieces, width, end).drawn(self.contexts, new.seed)

    def _distil(
        self, old: Decoder, old_VC: Tensor, rows_MC: Tensor, contexts: Contexts, rng: np.random.Generator
    ) -> None:
        """Moves rows_MC, which is ours, in place."""
        learned = rows_MC.requires_grad_()
        optimizer: Any = torch.optim.Adam([learned], lr=self.lr)
        for _ in range(self.epochs):
            order = rng.permutation(len(contexts.start_K))
            for at in range(0, len(order), self.batch):
                loss: Any = self.loss(old, old_VC, learned, contexts, order[at : at + self.batch])
                (learned.grad,) = torch.autograd.grad(loss, learned)  # the model's own weights gather none
                optimizer.step()
        rows_MC.requires_grad_(False)

    def loss(self, old: Decoder, old_VC: Tensor, rows_MC: Tensor, contexts: Contexts, which: IntArray) -> Tensor:
        """Mean squared difference between the two readings of some contexts, over the positions of the new one."""
        batch = contexts.batch(which)
        with torch.no_grad():
            wanted_BTC = hidden_at(old, old_VC[from_numpy(batch.old_BT)], self.layer)
        new_BT = from_numpy(batch.new_BT)
        found_BTC = hidden_at(old, functional.embedding(new_BT, torch.cat([old_VC, rows_MC])), self.layer)
        last_BT = from_numpy(batch.last_BT)
        wanted_BTC = wanted_BTC.gather(1, last_BT[..., None].expand(-1, -1, wanted_BTC.shape[2]))
        real_BT = from_numpy(batch.real_BT)
        return functional.mse_loss(found_BTC[real_BT], wanted_BTC[real_BT])


def hidden_at(decoder: Decoder, x_BTC: Tensor, layer: int | None) -> Tensor:
    """Of embeddings: what a layer gives, counted from 1, or for None the last behind the final norm."""
    places = decoder.model.embed_positions
    sight = Sight(places, x_BTC.shape[1], x_BTC.device, None, None)
    x_BTC = places.add(x_BTC, sight)
    for block in list(decoder.model.layers)[:layer]:
        x_BTC = block(x_BTC, sight)
    return x_BTC if layer is not None else cast(Tensor, decoder.model.norm(x_BTC))


@dataclasses.dataclass(frozen=True)
class Batch:
    """Two readings of contexts, padded at the right.

    Args:
        old_BT, new_BT: token ids.
        last_BT: place in the old reading of what each token of the new one ends with.
        real_BT: tokens of the new reading that are no padding.
    """

    old_BT: IntArray
    new_BT: IntArray
    last_BT: IntArray
    real_BT: npt.NDArray[np.bool_]


@dataclasses.dataclass(frozen=True)
class Contexts:
    """Places of new tokens in text that is spelled out in old ones.

    Args:
        old_N: the text in old tokens.
        token_N, piece_N: number of the new token that each is a piece of, or -1; and the how-manieth piece.
        length_M: pieces of each new token.
        start_K, end_K: the context around each place.
        new_K: number of the new token in each place.
        V: old tokens.
        front: put before each context.
    """

    old_N: IntArray
    token_N: IntArray
    piece_N: IntArray
    length_M: IntArray
    start_K: IntArray
    end_K: IntArray
    new_K: IntArray
    V: int
    front: tuple[int, ...]

    def drawn(self, most: int, seed: int) -> Contexts:
        """At most so many of each new token, drawn at random."""
        order = np.random.default_rng([seed, 1]).permutation(len(self.new_K))
        order = order[np.argsort(self.new_K[order], kind="stable")]
        of = self.new_K[order]
        rank = np.arange(len(of)) - np.searchsorted(of, of, side="left")
        kept = order[rank < most]
        return dataclasses.replace(self, start_K=self.start_K[kept], end_K=self.end_K[kept], new_K=self.new_K[kept])

    def batch(self, which: IntArray) -> Batch:
        """Both readings of some contexts; wherever a context's token stands in it whole, it is merged."""
        start, end, of = self.start_K[which, None], self.end_K[which, None], self.new_K[which, None]
        place_BT = start + np.arange(int((end - start).max()))
        inside_BT = place_BT < end
        place_BT = np.minimum(place_BT, end - 1)
        old_BT, piece_BT = self.old_N[place_BT], self.piece_N[place_BT]
        first_BT = place_BT - piece_BT
        merged_BT = (self.token_N[place_BT] == of) & (first_BT >= start) & (first_BT + self.length_M[of] <= end)
        kept_BT = inside_BT & (~merged_BT | (piece_BT == self.length_M[of] - 1))
        order_BT = np.argsort(~kept_BT, axis=1, kind="stable")
        new_BT = np.take_along_axis(np.where(merged_BT, self.V + of, old_BT), order_BT, 1)
        real_BT = np.take_along_axis(kept_BT, order_BT, 1)
        B, F = len(which), len(self.front)
        front_BF = np.tile(np.array(self.front, np.int64), (B, 1))
        place_BF = np.zeros((B, F), np.int64) + np.arange(F)
        return Batch(
            np.concatenate([front_BF, old_BT], 1),
            np.concatenate([front_BF, new_BT], 1),
            np.concatenate([place_BF, order_BT + F], 1),
            np.concatenate([np.ones((B, F), np.bool_), real_BT], 1),
        )


def spelled_out(
    ids_N: IntArray, offsets: IntArray, V: int, pieces: tuple[IntArray, ...], width: int, front: tuple[int, ...]
) -> Contexts:
    """All places of new tokens in texts, each with up to `width` old tokens of its text around it.

    A token of more pieces than that has no place.
    """
    length_M = np.array([len(piece) for piece in pieces], np.int64)
    is_new = ids_N >= V
    number_N = np.where(is_new, ids_N - V, 0)
    length_N = np.where(is_new, length_M[number_N], 1)
    begin_N = np.concatenate([[0], np.cumsum(length_N)]).astype(np.int64)
    source = np.repeat(np.arange(len(ids_N)), length_N)
    piece: IntArray = np.arange(int(begin_N[-1])) - begin_N[source]
    flat = np.concatenate([np.zeros(1, np.int64), *pieces])  # the first is never read
    first_M = 1 + np.concatenate([[0], np.cumsum(length_M)])[:-1]
    old = np.where(is_new[source], flat[np.where(is_new[source], first_M[number_N[source]] + piece, 0)], ids_N[source])
    text_N = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    at = np.flatnonzero(is_new & (length_N > 0) & (length_N <= width))
    low, high = begin_N[offsets[:-1]][text_N[at]], begin_N[offsets[1:]][text_N[at]]
    start = np.maximum(low, begin_N[at] - (width - length_N[at]) // 2)
    end = np.minimum(high, start + width)
    token = np.where(is_new[source], number_N[source], -1)
    return Contexts(old, token, piece, length_M, start, end, number_N[at], V, front)
