"""What initializers share: a model's tables of rows, means of them in float64, and texts as ids of a tokenizer."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from tokenizers import Tokenizer
from torch import Tensor

from seedbed.model.tensors import from_numpy

if TYPE_CHECKING:
    from seedbed.model.transformer import Decoder

IntArray = npt.NDArray[np.int64]

_TEXTS_AT_ONCE = 256


def tables(old: Decoder) -> tuple[Tensor, Tensor | None]:
    """(input rows, output rows), each (V, C) in float64, none of them the model's own memory; None where tied."""
    heads = None if old.lm_head is None else _exact(old.lm_head.weight)
    return _exact(old.model.embed_tokens.weight), heads


def per_table(old: Decoder, made: Callable[[Tensor], Tensor]) -> tuple[Tensor, Tensor | None]:
    """(input rows, output rows) in float32, made of each table by itself, the input's first."""
    inputs, outputs = tables(old)
    first = made(inputs).float()
    return first, None if outputs is None else made(outputs).float()


def _exact(weight: Tensor) -> Tensor:
    return weight.detach().to(device="cpu", dtype=torch.float64, copy=True)


def means_of_pieces(table_VC: Tensor, pieces: Sequence[IntArray]) -> Tensor:
    """rows_MC: of each token the mean of its pieces' rows, a piece that comes twice counted twice.

    A token without pieces gets the mean of the table.
    """
    owner, flat, length_M = _flat(pieces)
    rows = torch.zeros(len(pieces), table_VC.shape[1], dtype=table_VC.dtype)
    rows.index_add_(0, owner, table_VC[flat])
    rows /= length_M.clamp(min=1)[:, None]
    rows[length_M == 0] = table_VC.mean(0)
    return rows


def shares_of_pieces(pieces: Sequence[IntArray], V: int) -> Tensor:
    """share_MV in float64: the weights of the old rows in `means_of_pieces`."""
    owner, flat, length_M = _flat(pieces)
    share = torch.zeros(len(pieces), V, dtype=torch.float64)
    share.index_put_((owner, flat), 1 / length_M[owner].double(), accumulate=True)
    share[length_M == 0] = 1 / V
    return share


def _flat(pieces: Sequence[IntArray]) -> tuple[Tensor, Tensor, Tensor]:
    """(token of each piece, piece, pieces of each token)."""
    length_M = np.array([len(ids) for ids in pieces], np.int64)
    owner = np.repeat(np.arange(len(pieces)), length_M)
    return from_numpy(owner), from_numpy(np.concatenate([np.zeros(0, np.int64), *pieces])), from_numpy(length_M)


def encoded(tokenizer_json: str, texts: Iterable[str], most: int) -> tuple[IntArray, IntArray]:
    """(ids, offsets) of the first texts that come to `most` tokens or more together; the last text is cut there.

    What is written like a special token is text.
    """
    tokenizer: Any = Tokenizer.from_str(tokenizer_json)
    tokenizer.no_truncation()
    tokenizer.no_padding()
    tokenizer.encode_special_tokens = True
    found: list[IntArray] = []
    total, reading = 0, iter(texts)
    while total < most and (batch := list(itertools.islice(reading, _TEXTS_AT_ONCE))):
        found += [np.array(one.ids, np.int64) for one in tokenizer.encode_batch_fast(batch, add_special_tokens=False)]
        total = sum(map(len, found))
    offsets = np.minimum(np.cumsum([0, *map(len, found)]), most).astype(np.int64)
    return np.concatenate([np.zeros(0, np.int64), *found])[:most], offsets
