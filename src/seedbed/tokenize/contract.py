"""The question the tokenize room asks: how does this text become ids?

A method is a recipe for a tokenizer; what it gives is one `tokenizers.Tokenizer` definition (a tokenizer.json), which
is data, travels with the model, and is what encodes.
"""

from __future__ import annotations

from collections.abc import Iterator

from seedbed.core.method import Method


class TokenizerMaker(Method):
    """Makes a tokenizer definition, from the pool's text or from a file."""

    def needs_text(self) -> bool:
        """Whether `make` reads the pool."""
        return True

    def make(self, texts: Iterator[str]) -> str:
        """A tokenizer.json as text. It has the special token END_OF_TEXT and loses no byte of any text."""
        raise NotImplementedError


END_OF_TEXT = "<|endoftext|>"
"""Ends every document; also the first token of context when a document is scored alone."""
