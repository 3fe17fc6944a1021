"""A tokenizer.json, opened by the `tokenizers` library."""

from __future__ import annotations

from typing import Any

from seedbed.core.errors import SeedbedError


def opened(definition: str) -> Any:
    """The library's tokenizer, as it is defined. Raises SeedbedError where the text defines none."""
    from tokenizers import Tokenizer

    try:
        return Tokenizer.from_str(definition)
    except Exception as error:  # the library raises bare Exception
        raise SeedbedError("tokenizer.json", f"is no tokenizer's definition ({error})") from error


def tokenizer_of(definition: str) -> Any:
    """A tokenizer of whole texts: nothing is cut or filled up, and what a text says is text."""
    tokenizer = opened(definition)
    tokenizer.no_truncation()
    tokenizer.no_padding()
    tokenizer.encode_special_tokens = True
    return tokenizer
