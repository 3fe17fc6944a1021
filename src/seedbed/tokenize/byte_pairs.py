"""Byte-level BPE by compiled kernels: the ids that `tokenizers` gives, many times as fast.

Read from a tokenizer.json. A definition that changes text before it is split, that splits otherwise than is known here,
or whose model does more than merge bytes by rank, is left to `tokenizers`. What is a letter, a number or whitespace is
asked of that library, a code point at a time and once: its Unicode is not the interpreter's.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from seedbed.text.bpe import memory, pieces
from seedbed.text.bpe.encode import Vocabulary, encode
from seedbed.text.bpe.letters import byte_letters, merges_of
from seedbed.text.bpe.merges import pair_table
from seedbed.text.bpe.wholes import Wholes, out_of_reach, whole_table
from seedbed.text.kernel import Bytes, Hashes, Ints
from seedbed.text.unicode import N_CODE_POINTS

GPT_2 = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
"""How the pre-tokenizer ByteLevel splits (Radford et al. 2019, section 2.2)."""
GPT_2_AS_RELEASED = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"

_LETTERS_AND_REST = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
CL100K = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}" + _LETTERS_AND_REST
QWEN_2 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}" + _LETTERS_AND_REST
SPLITS = {GPT_2: pieces.GPT_2, GPT_2_AS_RELEASED: pieces.GPT_2, CL100K: 3, QWEN_2: 1}
"""The kernel's name of each regular expression it can stand for."""

_KINDS = {pieces.LETTER: r"\p{L}+", pieces.NUMBER: r"\p{N}+", pieces.SPACE: r"\s+"}
_MODEL_CHANGES = ("dropout", "continuing_subword_prefix", "end_of_word_suffix")
"""What is done about unknown characters is none of them: every byte has a letter."""


class BytePairs:
    """An encoder of plain text; special tokens are text like any other. For one thread at a time."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.vocabulary = vocabulary
        vocabulary.kinds[:0x80] = _kinds_of(range(0x80))

    @classmethod
    def of(cls, definition: str) -> BytePairs | None:
        """From a tokenizer.json; None where more is asked than the kernels do."""
        told = cast("dict[str, Any]", json.loads(definition))
        split = _split(told)
        vocabulary = None if split is None else _vocabulary(told["model"], split)
        return None if vocabulary is None else cls(vocabulary)

    def encode(
        self, data: Bytes, offsets: Ints, end_id: int, dtype: np.dtype[Any]
    ) -> tuple[npt.NDArray[np.integer[Any]], Ints]:
        """(ids, offsets) of texts given as (bytes, offsets), each ended by `end_id`."""
        kinds = self.vocabulary.kinds
        codes = np.flatnonzero(pieces.unknown(data, int(offsets[0]), int(offsets[-1]), kinds))
        if len(codes):
            kinds[codes] = _kinds_of(codes.tolist())
        return encode(data, offsets, self.vocabulary, end_id, dtype)


def _split(told: dict[str, Any]) -> int | None:
    """How text is cut into pieces, or None where more than that happens."""
    if told.get("normalizer") or any(not token["special"] for token in told.get("added_tokens", [])):
        return None
    given = cast("dict[str, Any]", told.get("pre_tokenizer") or {})
    parts = cast("list[dict[str, Any]]", given["pretokenizers"] if given.get("type") == "Sequence" else [given])
    last = parts[-1] if parts else {}
    if last.get("type") != "ByteLevel" or last["add_prefix_space"]:
        return None
    if len(parts) == 1:
        return pieces.GPT_2 if last.get("use_regex", True) else None
    first = parts[0]
    is_plain = len(parts) == 2 and not last.get("use_regex", True) and first.get("type") == "Split"
    is_plain = is_plain and first["behavior"] == "Isolated" and not first["invert"]
    return SPLITS.get(first["pattern"].get("Regex", "")) if is_plain else None


def _vocabulary(model: dict[str, Any], split: int) -> Vocabulary | None:
    """What encodes, or None where the model is not the bytes and merges of them."""
    if model.get("type", "BPE") != "BPE" or any(model.get(name) for name in _MODEL_CHANGES):
        return None
    ids, letters = cast("dict[str, int]", model["vocab"]), byte_letters()
    if not letters.keys() <= ids.keys() or max(ids.values()) >> memory.ID_BITS or len(set(ids.values())) < len(ids):
        return None
    of_bytes = np.zeros(256, np.int64)
    of_bytes[list(letters.values())] = [ids[letter] for letter in letters]
    merges = merges_of(model)
    first, second = (np.array([ids[pair[side]] for pair in merges], np.int64) for side in (0, 1))
    table = pair_table(first, second, np.array([ids["".join(pair)] for pair in merges], np.int64))
    kinds = np.full(N_CODE_POINTS, pieces.UNKNOWN, np.uint8)
    wholes = _wholes(ids if model.get("ignore_merges") else {}, of_bytes, table)
    return Vocabulary(split, kinds, of_bytes, table, wholes, memory.new())


def _wholes(ids: dict[str, int], of_bytes: Ints, merges: Hashes) -> Wholes:
    """The tokens that a piece becomes though its merges would not."""
    letters = byte_letters()
    tokens = {bytes(map(letters.__getitem__, token)): key for token, key in ids.items() if letters.keys() >= set(token)}
    tokens.pop(b"", None)
    data, offsets, keys = _flat(tokens)
    found = out_of_reach(data, offsets, keys, of_bytes, merges)
    return whole_table(
        *_flat({token: key for (token, key), is_out in zip(tokens.items(), found, strict=True) if is_out})
    )


def _flat(tokens: dict[bytes, int]) -> tuple[Bytes, Ints, Ints]:
    """(bytes, offsets, ids)."""
    data = np.frombuffer(b"".join(tokens), np.uint8).copy()  # the kernels know writable arrays only
    return data, np.cumsum([0, *map(len, tokens)]).astype(np.int64), np.array(list(tokens.values()), np.int64)


def _kinds_of(codes: Sequence[int]) -> npt.NDArray[np.uint8]:
    """What `tokenizers` takes these code points for."""
    from tokenizers import Regex, pre_tokenizers

    kinds, text = np.full(len(codes), pieces.OTHER, np.uint8), "".join(map(chr, codes))
    for kind, pattern in _KINDS.items():
        is_kind = np.ones(len(codes), np.bool_)
        split: Any = pre_tokenizers.Split(Regex(pattern), "removed")
        for _, (start, end) in split.pre_tokenize_str(text):
            is_kind[start:end] = False
        kinds[is_kind] = kind
    return kinds
