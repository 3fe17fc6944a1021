"""How byte-level vocabularies are written down: a letter for every byte, and merges as pairs of such words."""

from __future__ import annotations

from typing import Any, cast


def byte_letters() -> dict[str, int]:
    """The letter that stands for each byte in a byte-level vocabulary: itself where it can be seen, or from U+0100."""
    seen = [*range(33, 127), *range(161, 173), *range(174, 256)]
    hidden = [byte for byte in range(256) if byte not in seen]
    return {chr(byte): byte for byte in seen} | {chr(256 + i): byte for i, byte in enumerate(hidden)}


def merges_of(model: dict[str, Any]) -> list[tuple[str, str]]:
    """The pairs in order; older files write a pair as one text."""
    given = cast("list[list[str] | str]", model["merges"])
    pairs = [pair.split(" ") if isinstance(pair, str) else pair for pair in given]
    return [(first, second) for first, second in pairs]
