"""The questions the tokenize room asks.

TokenizerMaker   how does this text become ids?
Exporter         how do these ids look to another trainer?

A maker is a recipe for a tokenizer; what it gives is one `tokenizers.Tokenizer` definition (a tokenizer.json), which
is data, travels with the model, and is what encodes.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from seedbed.core.method import Method


class TokenizerMaker(Method):
    """Makes a tokenizer definition, from the pool's text or from a file."""

    def needs_text(self) -> bool:
        """Whether `make` reads the pool."""
        return True

    def make(self, texts: Iterator[str]) -> str:
        """A tokenizer.json as text. It has the special token END_OF_TEXT and loses no byte of any text."""
        raise NotImplementedError


@dataclasses.dataclass(frozen=True)
class TokenShard:
    """The tokens of some documents: document d is ids[offsets[d]:offsets[d + 1]], its last id the end-of-text token.

    Args:
        ids: flat, uint16 or uint32, perhaps mapped from disk.
        offsets: documents + 1.
    """

    ids: npt.NDArray[np.integer[Any]]
    offsets: npt.NDArray[np.int64]


class Exporter(Method):
    """Writes tokens in the format of another trainer."""

    def export(self, shards: Iterable[TokenShard], dtype: np.dtype[Any], folder: Path) -> dict[str, int]:
        """Write the files into an empty folder; gives counts worth telling (sequences, tokens, left_over_tokens)."""
        raise NotImplementedError


END_OF_TEXT = "<|endoftext|>"
"""Ends every document; also the first token of context when a document is scored alone."""
