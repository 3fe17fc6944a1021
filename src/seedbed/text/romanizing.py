"""Romanizing: text of any script in Latin letters, by `uroman` (Hermjakob, May and Knight 2018, ACL demonstrations).

It is one-way and depends on the text alone. Needs the extra "transmi". Some 50,000 characters a second; the tables take
two seconds to read, once a process.
"""

from __future__ import annotations

from functools import cache
from typing import Any, cast

from seedbed.core import optional


def romanized(text: str, language: str | None = None) -> str:
    """The text in Latin letters, ends of lines kept.

    Args:
        text: of any script, or of several; what is in plain Latin letters stays as it is.
        language: ISO 639-3 code of a language whose letters sound otherwise than in most of their script ("ukr").

    Raises:
        SeedbedError: where the library is missing.
    """
    table = _table()
    return "\n".join(cast(str, table.romanize_string(line, lcode=language)) for line in text.split("\n"))


@cache
def _table() -> Any:
    return optional.load("uroman", "transmi", "romanizing text").Uroman()
