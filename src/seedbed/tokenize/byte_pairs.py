"""Byte-level BPE through tiktoken's core: the ids that `tokenizers` gives, several times as fast.

tiktoken merges the adjacent pair whose bytes together have the lowest id; `tokenizers` merges the adjacent pair that
stands first in its list of merges. The two agree where ids rise along that list, no two merges give the same token,
and every merged token, encoded alone, is itself: then, when a token is the lowest that any pair could make, the pair
in the list is the only one that can lie there. A definition that does not meet this, or that changes text before it
is split, is left to `tokenizers`.
"""

from __future__ import annotations

import json
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import tiktoken

GPT_2 = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
"""How the pre-tokenizer ByteLevel splits (Radford et al. 2019, section 2.2)."""

_LETTERS_AND_REST = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
CL100K = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}" + _LETTERS_AND_REST
QWEN_2 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}" + _LETTERS_AND_REST
PATTERNS = (CL100K, QWEN_2)
"""Splits that leave no character out and that the two libraries' regular expressions are known to read alike."""

Ids = npt.NDArray[np.uint32]


class BytePairs:
    """An encoder of plain text; special tokens are text like any other."""

    def __init__(self, pattern: str, ranks: dict[bytes, int]) -> None:
        self._core = tiktoken.Encoding("byte_pairs", pat_str=pattern, mergeable_ranks=ranks, special_tokens={})

    @classmethod
    def of(cls, definition: str) -> BytePairs | None:
        """From a tokenizer.json; None where tiktoken's ids could differ."""
        told = cast("dict[str, Any]", json.loads(definition))
        pattern, ranks = _pattern(told), byte_ranks(told)
        return cls(pattern, ranks) if pattern and ranks and _merges_reach(told) else None

    def encode(self, text: str) -> Ids:
        """The ids of a text."""
        return self._core.encode_to_numpy(text, disallowed_special=())


def byte_ranks(told: dict[str, Any]) -> dict[bytes, int]:
    """The id of every byte and of every merged token; empty where tiktoken would merge in another order."""
    model = told["model"]
    changes = ("dropout", "unk_token", "continuing_subword_prefix", "end_of_word_suffix", "byte_fallback")
    if model.get("type") != "BPE" or any(model.get(name) for name in changes):
        return {}
    vocabulary, bytes_of = cast("dict[str, int]", model["vocab"]), _byte_letters()
    merged = ["".join(pair) for pair in _merges(told)]
    ids = [vocabulary.get(token, -1) for token in merged]
    letters = {letter: vocabulary.get(letter, -1) for letter in bytes_of}
    if any(a >= b for a, b in zip([-1, *ids], ids, strict=False)) or min(letters.values()) < 0:
        return {}
    tokens = {**letters, **dict(zip(merged, ids, strict=True))}
    if model.get("ignore_merges") and len(tokens) < len(vocabulary):
        return {}
    return {bytes(bytes_of[letter] for letter in token): key for token, key in tokens.items()}


def _pattern(told: dict[str, Any]) -> str:
    """The regular expression that splits text, or empty where more than that happens."""
    if told.get("normalizer") or any(not token["special"] for token in told.get("added_tokens", [])):
        return ""
    split = cast("dict[str, Any]", told.get("pre_tokenizer") or {})
    parts = cast("list[dict[str, Any]]", split["pretokenizers"] if split.get("type") == "Sequence" else [split])
    last = parts[-1]
    if last.get("type") != "ByteLevel" or last["add_prefix_space"]:
        return ""
    if len(parts) == 1:
        return GPT_2 if last.get("use_regex", True) else ""
    first = parts[0]
    is_plain = len(parts) == 2 and not last.get("use_regex", True) and first.get("type") == "Split"
    pattern = str(first["pattern"].get("Regex", "")) if is_plain else ""
    is_known = pattern in PATTERNS and first["behavior"] == "Isolated" and not first["invert"]
    return pattern if is_known else ""


def _merges_reach(told: dict[str, Any]) -> bool:
    """Whether every merged token, encoded alone, is itself."""
    from tokenizers import Tokenizer

    model: dict[str, Any] = {**told["model"], "ignore_merges": False}
    bare: Any = Tokenizer.from_str(json.dumps({**told, "model": model, "pre_tokenizer": None, "added_tokens": []}))
    merged = ["".join(pair) for pair in _merges(told)]
    vocabulary = model["vocab"]
    encoded = bare.encode_batch_fast(merged, add_special_tokens=False)
    return all(item.ids == [vocabulary[token]] for item, token in zip(encoded, merged, strict=True))


def _merges(told: dict[str, Any]) -> list[tuple[str, str]]:
    """The pairs in order; older files write a pair as one text."""
    given = cast("list[list[str] | str]", told["model"]["merges"])
    pairs = [pair.split(" ") if isinstance(pair, str) else pair for pair in given]
    return [(first, second) for first, second in pairs]


def _byte_letters() -> dict[str, int]:
    """The letter that stands for each byte in a byte-level vocabulary: itself where it can be seen, or from U+0100."""
    seen = [*range(33, 127), *range(161, 173), *range(174, 256)]
    hidden = [byte for byte in range(256) if byte not in seen]
    return {chr(byte): byte for byte in seen} | {chr(256 + i): byte for i, byte in enumerate(hidden)}
