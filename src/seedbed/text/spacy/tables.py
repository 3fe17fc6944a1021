"""spaCy's English tokenizer rules as arrays for kernels: what each code point can do, and a table of special strings.

The rules are data of spaCy 3.8.18 (MIT License; see `rules.json`, which scripts/build_spacy_rules.py writes);
whitespace, digits, letters and punctuation are those of the interpreter's Unicode database, as in spaCy itself.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
import numpy.typing as npt

from seedbed.text import unicode
from seedbed.text.hashing import hash_range, table_mask
from seedbed.text.kernel import Bytes, Hashes, Ints, kernel, leaf

PREFIX, SUFFIX, INFIX, LETTER, LOWER, UPPER, QUOTE, BEFORE_STOP = (1 << bit for bit in range(8))
SPACE, PUNCTUATION, WORD, DIGIT, ALPHA, ASCII_DIGIT, ACTIVE, SENTENCE_END = (1 << bit for bit in range(8, 16))

_CLASSES = {
    "prefix": PREFIX | ACTIVE,
    "suffix": SUFFIX | ACTIVE,
    "infix": INFIX | ACTIVE,
    "letter": LETTER,
    "lower": LOWER,
    "upper": UPPER,
    "quote": QUOTE,
    "before_stop": BEFORE_STOP,
}
_ACTIVE_IN_CONTEXT = "'’.+-*^,–—~:<>=/$"
"""Code points that a rule can cut at because of their neighbours; all others are in a class above."""

_LONGEST_NAME = 63
"""Bytes; so that lengths of names fit into a mask."""

_N_LENGTHS = 1 << 16
SEED = np.uint64(0)
"""Words are hashed as in `seedbed.text.words.whitespace`."""

Kinds = npt.NDArray[np.uint16]

# What is known of a name is one number. From its lowest bit: whether it is cut off behind a digit (1 bit), its symbol
# in phrases plus 1 (15 bits), the bytes of the up to four pieces it is cut into (8 bits each; 0 where none).
IS_AFTER_DIGIT = 1
_SYMBOL_SHIFT, PIECES_SHIFT, PIECE_BITS, MAX_PIECES = 1, 16, 8, 4
_SYMBOL_MASK = (1 << 15) - 1
_KNOWN_MASK = (1 << 48) - 1


class Rules(NamedTuple):
    """All tables.

    Args:
        kinds: PREFIX | SUFFIX | ... of every code point.
        names: exceptions, tokens of phrases and what follows digits. The first 65,536 numbers say by first byte * 256 +
            last byte which lengths there are (bit k: k bytes); then come pairs of a hash and what is known of that
            name, an open-addressed table.
        phrases: row s, column t: the state of a phrase in state s after symbol t, or -1; it begins in state 0. The
            last column holds the pieces that the phrase ending in s is replaced by, as above, or 0.
    """

    kinds: Kinds
    names: Hashes
    phrases: Ints


@cache
def rules() -> Rules:
    """The tables, built once a process."""
    stored = cast("dict[str, Any]", json.loads(Path(__file__).with_name("rules.json").read_text("ascii")))
    exceptions = {
        entry.replace(" ", ""): _pack([len(piece.encode()) for piece in entry.split(" ")])
        for entry in cast("list[str]", stored["exceptions"])
    }
    phrases = [entry.split(" ") for entry in cast("list[str]", stored["phrases"])]
    symbols = {token: s for s, token in enumerate(sorted({token for phrase in phrases for token in phrase}))}
    known = {name: pieces << PIECES_SHIFT for name, pieces in exceptions.items()}
    for token, symbol in symbols.items():
        known[token] = known.get(token, 0) | (symbol + 1) << _SYMBOL_SHIFT
    for tail in cast("list[str]", stored["after_digit"]):
        known[tail] = known.get(tail, 0) | IS_AFTER_DIGIT
    kinds = _kinds(cast("dict[str, str]", stored["classes"]), cast(str, stored["sentence_ends"]))
    return Rules(kinds, _names(known), _phrases(phrases, symbols, exceptions))


def _pack(lengths: list[int]) -> int:
    assert len(lengths) <= MAX_PIECES
    assert max(lengths) < 1 << PIECE_BITS
    return sum(length << PIECE_BITS * k for k, length in enumerate(lengths))


def _kinds(classes: dict[str, str], sentence_ends: str) -> Kinds:
    kinds = np.zeros(unicode.N_CODE_POINTS, np.uint16)
    for name, runs in classes.items():
        for run in runs.split():
            first, _, last = run.partition("-")
            kinds[int(first, 16) : int(last or first, 16) + 1] |= _CLASSES[name]
    known = unicode.flags()
    for flag, kind in ((unicode.SPACE, SPACE), (unicode.ALPHA, ALPHA | WORD), (unicode.DIGIT, DIGIT | WORD)):
        kinds[known & flag != 0] |= kind
    other = np.flatnonzero(known & (unicode.ALPHA | unicode.DIGIT) == 0)
    kinds[_those(lambda c: c.isalnum() or c == "_", other[other < 0x20000])] |= WORD
    marks = np.flatnonzero(known & unicode.PUNCTUATION)
    kinds[_those(lambda c: unicodedata.category(c)[0] == "P", marks)] |= PUNCTUATION
    kinds[ord("0") : ord("9") + 1] |= ASCII_DIGIT
    kinds[[ord(c) for c in _ACTIVE_IN_CONTEXT]] |= ACTIVE
    kinds[[ord(c) for c in sentence_ends]] |= SENTENCE_END
    kinds.flags.writeable = False
    return kinds


def _those(test: Callable[[str], bool], codes: npt.NDArray[np.int64]) -> list[int]:
    return [code for code in codes.tolist() if test(chr(code))]


def _names(known: dict[str, int]) -> Hashes:
    mask = table_mask(2 * len(known))
    names = np.zeros(_N_LENGTHS + 2 * (mask + 1), np.uint64)
    encoded = [name.encode() for name in known]
    for name in encoded:
        assert len(name) <= _LONGEST_NAME
        names[name[0] << 8 | name[-1]] |= np.uint64(1 << len(name))
    offsets = np.cumsum([0, *map(len, encoded)]).astype(np.int64)
    _insert(np.frombuffer(b"".join(encoded), np.uint8), offsets, np.array([*known.values()], np.uint64), names)
    names.flags.writeable = False
    return names


@kernel
def _insert(data: Bytes, offsets: Ints, values: Hashes, names: Hashes) -> None:
    for name in range(len(offsets) - 1):
        key = hash_range(data, offsets[name], offsets[name + 1], SEED)
        place = _place(names, key)
        names[place], names[place + 1] = key, values[name]


@leaf
def _place(names: Hashes, key: np.uint64) -> int:
    """Where the pair of `key` lies, or would lie."""
    mask = (len(names) - _N_LENGTHS) // 2 - 1
    at = int(key >> np.uint64(32)) & mask
    while names[_N_LENGTHS + 2 * at + 1] != 0 and names[_N_LENGTHS + 2 * at] != key:
        at = (at + 1) & mask
    return _N_LENGTHS + 2 * at


@leaf
def find_name(data: Bytes, begin: int, close: int, names: Hashes) -> int:
    """What is known of data[begin:close]; 0 where it is no name."""
    n = close - begin
    if n < 1 or n > _LONGEST_NAME:
        return 0
    lengths = names[int(data[begin]) << 8 | int(data[close - 1])]
    if not lengths >> np.uint64(n) & np.uint64(1):
        return 0
    return int(names[_place(names, hash_range(data, begin, close, SEED)) + 1]) & _KNOWN_MASK


@leaf
def is_exception(data: Bytes, begin: int, close: int, names: Hashes) -> bool:
    """Whether the list says what to do with data[begin:close]."""
    return find_name(data, begin, close, names) >> PIECES_SHIFT != 0


@leaf
def symbol_of(known: int) -> int:
    """The number of a name among the tokens of phrases, or -1."""
    return (known >> _SYMBOL_SHIFT & _SYMBOL_MASK) - 1


def _phrases(phrases: list[list[str]], symbols: dict[str, int], exceptions: dict[str, int]) -> Ints:
    rows = [[-1] * len(symbols) + [0]]
    for phrase in phrases:
        state = 0
        for token in phrase:
            if rows[state][symbols[token]] < 0:
                rows[state][symbols[token]] = len(rows)
                rows.append([-1] * len(symbols) + [0])
            state = rows[state][symbols[token]]
        rows[state][-1] = exceptions["".join(phrase)]
    return np.array(rows, np.int64)
