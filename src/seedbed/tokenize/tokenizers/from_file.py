"""Tokenizer file: any tokenizer.json that already exists.

What      Takes a tokenizer as it is, so that a base model can be continued or runs compared across pools.
Source    none; the tokenizer.json format of the `tokenizers` library.
Formula   none.
Shapes    a file -> one vocabulary.
Units     none.
Fidelity  Exact: the file is not changed. A missing end-of-text token is an error, never added silently.
Errors    A missing or broken file, or one without `end_of_text`, raises SeedbedError naming the file and the mend.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar, cast

from seedbed.core.errors import SeedbedError
from seedbed.core.fingerprint import hash_file
from seedbed.core.parameters import Json
from seedbed.tokenize.contract import END_OF_TEXT, TokenizerMaker


@dataclasses.dataclass(frozen=True)
class FromFile(TokenizerMaker):
    """See the module's docstring."""

    libraries: ClassVar[tuple[str, ...]] = ("tokenizers",)

    file: str = "tokenizer.json"
    end_of_text: str = END_OF_TEXT

    def needs_text(self) -> bool:
        """It reads a file, not the pool."""
        return False

    def fingerprinted(self) -> dict[str, Json]:
        """The file's content counts, not its name."""
        path = Path(self.file)
        content = hash_file(path) if path.is_file() else "missing"
        return {"content": content, "end_of_text": self.end_of_text}

    def make(self, texts: Iterator[str]) -> str:  # noqa: ARG002 - the contract's signature
        """The file's text, checked."""
        from tokenizers import Tokenizer

        path = Path(self.file)
        if not path.is_file():
            raise SeedbedError(self.file, "there is no such tokenizer file", "Name a tokenizer.json.")
        text = path.read_text(encoding="utf-8")
        try:
            tokenizer: Any = Tokenizer.from_str(text)
        except Exception as error:  # the library raises bare Exception
            raise SeedbedError(
                self.file, f"is no tokenizer.json ({error})", "Export it with `tokenizer.save`."
            ) from error
        if tokenizer.token_to_id(self.end_of_text) is None:
            special = [t["content"] for t in cast("dict[str, Any]", json.loads(text)).get("added_tokens", [])]
            mend = f"Set end_of_text to one of its special tokens: {', '.join(special) or 'it has none'}."
            raise SeedbedError(self.file, f"has no token {self.end_of_text!r}", mend)
        return text
