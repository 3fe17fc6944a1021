"""Tokens that two models both know: by their strings where the tokenizers differ, by their numbers where none does."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from seedbed.model.tokenizer import opened
from seedbed.model.transforming import Checkpoint

IntArray = npt.NDArray[np.int64]


def shared_tokens(old: Checkpoint, new: Checkpoint) -> IntArray:
    """new_V: of each of the old model's ids, the new model's id of the same token; -1 where it does not know it.

    The same tokenizer, or none on either side, leaves every number what it is: then rows that no token is named for
    (padding of a vocabulary to a round size) correspond too. Between different tokenizers they do not.
    """
    V, W = old.decoder.shape.vocab_size, new.decoder.shape.vocab_size
    first, second = old.tokenizer_json, new.tokenizer_json
    if first is None or second is None or first == second:
        return np.where(np.arange(V) < W, np.arange(V), -1).astype(np.int64)
    new_V = np.full(V, -1, np.int64)
    known = tokens_of(second)
    for token, number in tokens_of(first).items():
        there = known.get(token, -1)
        if number < V and there < W:
            new_V[number] = there
    return new_V


def tokens_of(tokenizer_json: str) -> dict[str, int]:
    """Token -> id, added tokens among them. Raises SeedbedError where this defines no tokenizer."""
    return dict(opened(tokenizer_json).get_vocab(with_added_tokens=True))
