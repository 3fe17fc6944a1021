"""Constrained word2vec: new rows as learned convex combinations of old ones, by skip-gram over text in new tokens.

What      Each new row is a softmax-weighted mean of all old rows; the weights are learned so that the row scores what
          stands around its token higher than what does not. Old rows do not move, no new row leaves their convex hull,
          and so greedy decoding does not change.
Source    Mundra et al. 2024, "An empirical comparison of vocabulary expansion and initialization approaches for
          language models", arXiv 2407.05841; code AI4Bharat/VocabAdaptation_LLM (cw2v_llama.py).
Formula   e_new = softmax(A) E,  A = A1 A2 of rank `rank`, drawn evenly from [0, 1);  output rows alike with an own A
          loss = -log s(in_centre . out_context) - SUM_k log s(-in_centre . out_negative_k),  s the logistic function
          centres are kept with chance sqrt(subsample / count), negatives drawn by count^0.75
Shapes    tables (V, C), text -> weights (M, V) -> rows (M, C)
Units     window in tokens; lr for Adam
Fidelity  Adapted: the authors' code takes the logistic of the negatives' summed scores and draws them without
          replacement; here each counts by itself, as in word2vec. Pairs of two old tokens are left out: only
          their negatives could move anything. The first `tokens` tokens are read, `pairs` pairs of them drawn at most
          and shuffled each epoch: that bounds the cost. The authors' rank of 1024 is a quarter of their width, and so
          it is here: 1024 in a small model gives weights that pick single old rows, and a higher loss than the mean's.
          Small tables that were not learned by skip-gram are soon over-fitted: watch the loss, and see fewer epochs.
          In a model that ties its tables one set of weights serves as both. A token that never occurs, or is in no
          pair on its side, keeps the mean of its old pieces.
Errors    Texts without a token raise SeedbedError.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, cast

import numpy as np
import torch
from annotated_types import Ge, Gt
from torch import Tensor
from torch.nn import functional

from seedbed.core.errors import SeedbedError
from seedbed.model.new_rows import IntArray, encoded, shares_of_pieces, tables
from seedbed.model.tensors import from_numpy
from seedbed.model.transforming import Initializer, NewTokens

_SHARES_AT_ONCE = 1 << 24
_numpy: Any = np  # searchsorted of several axes has no type


@dataclasses.dataclass(frozen=True)
class ConstrainedWord2Vec(Initializer):
    """Skip-gram inside the convex hull of the old rows.

    Args:
        window: how far from its centre a context may stand.
        negatives: tokens drawn against each pair.
        epochs: times that all pairs are seen.
        lr: rate of Adam.
        batch: pairs in a step.
        rank: of the weights before the softmax; None for a quarter of the model's width.
        subsample: count up to which no centre is left out.
        tokens: read at most.
        pairs: drawn of those at most.
    """

    needs_texts: ClassVar[bool] = True
    convex: ClassVar[bool] = True

    window: Annotated[int, Ge(1)] = 5
    negatives: Annotated[int, Ge(1)] = 5
    epochs: Annotated[int, Ge(1)] = 5
    lr: Annotated[float, Gt(0)] = 3e-4
    batch: Annotated[int, Ge(1)] = 1024
    rank: Annotated[int | None, Ge(1)] = None
    subsample: Annotated[float, Gt(0)] = 2.0
    tokens: Annotated[int, Ge(1)] = 2_000_000
    pairs: Annotated[int, Ge(1)] = 100_000

    def rows(self, new: NewTokens) -> tuple[Tensor, Tensor | None]:
        """(input rows, output rows), each (M, C)."""
        inputs, outputs = tables(new.old.decoder)
        first, second = self._learned(new)
        return first.rows(inputs), None if outputs is None else second.rows(outputs)

    def shares(self, new: NewTokens) -> tuple[Tensor, Tensor | None]:
        """The weights (M, V) of the old rows in the new ones, of input and output; in float64."""
        first, second = self._learned(new)
        return torch.cat([*first.parts()]), None if first is second else torch.cat([*second.parts()])

    def _learned(self, new: NewTokens) -> tuple[_Hull, _Hull]:
        """Weights of the input's and the output's rows; the same object where the model ties them."""
        old, M = new.old.decoder, len(new.pieces)
        inputs, outputs = tables(old)
        generator = torch.Generator().manual_seed(new.seed)
        rank = self.rank or max(1, old.shape.d_model // 4)
        first = _Hull(new.pieces, len(inputs), rank, generator)
        second = first if outputs is None else _Hull(new.pieces, len(inputs), rank, generator)
        ids, offsets = encoded(new.tokenizer_json, new.texts(), self.tokens)
        if M and not len(ids):
            mend = "Give texts in which the new tokens occur."
            raise SeedbedError(self.name(), "the texts hold no token to learn from", mend)
        rng = np.random.default_rng(new.seed)
        count = np.bincount(ids, minlength=len(inputs) + M)
        pairs_N2 = self._pairs(ids, offsets, count, len(inputs), rng)
        second.mark(pairs_N2[:, 1])
        first.mark(pairs_N2[:, 0])
        read = inputs.float(), (inputs if outputs is None else outputs).float()
        self._fit((first, second), read, pairs_N2, count, rng)
        return first, second

    def _pairs(self, ids_N: IntArray, offsets: IntArray, count: IntArray, V: int, rng: np.random.Generator) -> IntArray:
        """(centre, context) of pairs with a new token on one side or both, in random order."""
        text_N = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
        kept_N = rng.random(len(ids_N)) < np.sqrt(self.subsample / count[ids_N])
        found = [np.zeros((0, 2), np.int64)]
        for apart in range(1, self.window + 1):
            left, right = ids_N[:-apart], ids_N[apart:]
            counts = (text_N[:-apart] == text_N[apart:]) & ((left >= V) | (right >= V))
            found.append(np.stack([left, right], 1)[counts & kept_N[:-apart]])
            found.append(np.stack([right, left], 1)[counts & kept_N[apart:]])
        return rng.permutation(np.concatenate(found))[: self.pairs]

    def _fit(
        self,
        hulls: tuple[_Hull, _Hull],
        tables_VC: tuple[Tensor, Tensor],
        pairs_N2: IntArray,
        count: IntArray,
        rng: np.random.Generator,
    ) -> None:
        noise = np.cumsum(count**0.75)
        factors = {id(factor): factor for hull in hulls for factor in hull.factors}
        optimizer: Any = torch.optim.Adam(factors.values(), lr=self.lr)
        for _ in range(self.epochs):
            order = rng.permutation(len(pairs_N2))
            for at in range(0, len(order), self.batch):
                pairs_B2 = pairs_N2[order[at : at + self.batch]]
                drawn_BK = rng.random((len(pairs_B2), self.negatives)) * noise[-1]
                against_BK = cast(IntArray, _numpy.searchsorted(noise, drawn_BK, side="right"))
                in_BC = hulls[0].looked_up(tables_VC[0], pairs_B2[:, 0])
                out_BKC = hulls[1].looked_up(tables_VC[1], np.concatenate([pairs_B2[:, 1:], against_BK], 1))
                loss: Any = _loss(in_BC, out_BKC)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()


def _loss(in_BC: Tensor, out_BKC: Tensor) -> Tensor:
    """Of skip-gram: the first of each K output rows is the context, the others are drawn against it."""
    score_BK = torch.einsum("bc,bkc->bk", in_BC, out_BKC)
    sign_K = -torch.ones(score_BK.shape[1])
    sign_K[0] = 1
    return -functional.logsigmoid(score_BK * sign_K).sum(1).mean()


class _Hull:
    """Convex weights of M rows over V old ones: the softmax of a product, or the pieces' shares where none was learned.

    Args:
        pieces: of each new token.
        V: old rows.
        rank: of the product.
        generator: of its factors.
    """

    def __init__(self, pieces: tuple[IntArray, ...], V: int, rank: int, generator: torch.Generator) -> None:
        self.factors = (
            torch.rand(len(pieces), rank, generator=generator).requires_grad_(),
            torch.rand(rank, V, generator=generator).requires_grad_(),
        )
        self._pieces, self._V = pieces, V
        self._learned = torch.zeros(len(pieces), dtype=torch.bool)

    def mark(self, ids: IntArray) -> None:
        """Those of the new tokens among `ids` are learned."""
        self._learned[from_numpy(ids[ids >= self._V] - self._V)] = True

    def looked_up(self, old_VC: Tensor, ids: IntArray) -> Tensor:
        """Rows of old and new tokens, (..., C)."""
        rows = old_VC[from_numpy(np.minimum(ids, self._V - 1))]
        is_new = ids >= self._V
        which, place = np.unique(ids[is_new] - self._V, return_inverse=True)
        new_UC = torch.softmax(self.factors[0][from_numpy(which)] @ self.factors[1], 1) @ old_VC
        rows[from_numpy(is_new)] = new_UC[from_numpy(place)]
        return rows

    def parts(self) -> Iterator[Tensor]:
        """Weights (some, V) of all rows in order, in float64."""
        rows, columns = (factor.detach().double() for factor in self.factors)
        step = max(1, _SHARES_AT_ONCE // self._V)
        for at in range(0, max(1, len(rows)), step):
            share = torch.softmax(rows[at : at + step] @ columns, 1)
            kept = self._learned[at : at + step]
            yield torch.where(kept[:, None], share, shares_of_pieces(self._pieces[at : at + step], self._V))

    def rows(self, old_VC: Tensor) -> Tensor:
        """The new rows (M, C) in float32."""
        return torch.cat([share @ old_VC for share in self.parts()]).float()
