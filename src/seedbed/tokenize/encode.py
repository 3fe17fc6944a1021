"""Encoding: batches of texts to flat ids, each document ended by the end-of-text token."""

from __future__ import annotations

import json
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt

from seedbed.core import arrow
from seedbed.tokenize.contract import END_OF_TEXT

if TYPE_CHECKING:
    from seedbed.text.kernel import Bytes, Ints
    from seedbed.tokenize.byte_pairs import BytePairs


class Encoder:
    """A tokenizer.json, ready to encode.

    Args:
        definition: the tokenizer.json as text.
        end_of_text: the token that ends every document.
    """

    def __init__(self, definition: str, end_of_text: str = END_OF_TEXT) -> None:
        self.definition, self.end_of_text = definition, end_of_text

    @classmethod
    def open(cls, folder: Path) -> Encoder:
        """From an artifact's folder."""
        told = cast("dict[str, str]", json.loads((folder / "special.json").read_text(encoding="utf-8")))
        return cls((folder / "tokenizer.json").read_text(encoding="utf-8"), told["end_of_text"])

    @cached_property
    def _tokenizer(self) -> Any:
        from tokenizers import Tokenizer

        tokenizer: Any = Tokenizer.from_str(self.definition)
        tokenizer.no_truncation()
        tokenizer.no_padding()
        return tokenizer

    @cached_property
    def _byte_pairs(self) -> BytePairs | None:
        from seedbed.tokenize.byte_pairs import BytePairs

        return BytePairs.of(self.definition)

    @cached_property
    def vocab_size(self) -> int:
        """Rows that a model needs: one more than the largest id, special tokens included."""
        return max(self._tokenizer.get_vocab(with_added_tokens=True).values()) + 1

    @cached_property
    def end_id(self) -> int:
        """The id of the end-of-text token."""
        return int(self._tokenizer.token_to_id(self.end_of_text))

    @property
    def dtype(self) -> np.dtype[Any]:
        """The smallest little-endian type that holds every id."""
        return np.dtype("<u2" if self.vocab_size <= 1 << 16 else "<u4")

    def encode(self, data: Bytes, offsets: Ints) -> tuple[npt.NDArray[np.integer[Any]], Ints]:
        """(ids, offsets) of texts given as (bytes, offsets): text i is ids[offsets[i]:offsets[i+1]], its last id the
        end-of-text token.

        A special token that occurs as text is encoded as plain text: text cannot end a document.
        """
        if self._byte_pairs is not None:
            return self._byte_pairs.encode(data, offsets, self.end_id, self.dtype)
        self._tokenizer.encode_special_tokens = True
        texts: list[str] = cast(Any, arrow.text_column(data, offsets)).to_pylist()
        pieces = self._tokenizer.encode_batch_fast(texts, add_special_tokens=False)
        bounds = np.cumsum([0, *(len(piece) + 1 for piece in pieces)], dtype=np.int64)
        ids = np.full(bounds[-1], self.end_id, self.dtype)
        for start, piece in zip(bounds.tolist(), pieces, strict=False):
            ids[start : start + len(piece)] = piece.ids
        return ids, bounds

    def decode(self, ids: list[int]) -> str:
        """The text of some ids, special tokens left out."""
        return cast(str, self._tokenizer.decode(ids, skip_special_tokens=True))
