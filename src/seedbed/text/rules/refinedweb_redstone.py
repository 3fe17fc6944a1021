"""RefinedWeb's line rules as RedStone applies them: kernels that drop lines and count the words that go.

Most rules look at a line as RedStone normalises it: NFKC, lower case, stripped, runs of blanks as one. Tables say of
every code point what becomes of it; only documents in which characters combine with the one before are normalised.
"""

from __future__ import annotations

import itertools
import unicodedata
from functools import cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from seedbed.text import unicode
from seedbed.text.kernel import Bytes, Flags, Ints, kernel, leaf
from seedbed.text.rules.refinedweb_dclm import Cleaned
from seedbed.text.unicode import code_point, skip

MAX_UPPERCASE = 0.6
SPACE, BLANK, NUMERIC, DECIMAL, LATIN, PADDED, UPPER, LETTER = (1 << bit for bit in range(8))
"""What a code point becomes: whitespace; a blank; all numbers, separators and controls; a digit; all a to z; a blank
and something else. The last two are of the code point itself."""

_STARTS = ("sign in", "sign-in", "sign up", "sign-up")
_CART, _READ_MORE, _ANY_AFTER_READ_MORE = "items in cart", "read more", 3
_PHRASES = np.frombuffer("".join((*_STARTS, _CART, _READ_MORE)).encode(), np.uint8)
_FIRST = np.cumsum([0, *map(len, (*_STARTS, _CART, _READ_MORE))])
_N_STARTS = len(_STARTS)
_NEWLINE = 0x0A


class Tables(NamedTuple):
    """By code point: SPACE | BLANK | ...; the ASCII character it becomes, or 0; how many characters it becomes."""

    kinds: Bytes
    folded: Bytes
    sizes: Bytes


def clean(data: Bytes, offsets: Ints) -> Cleaned:
    """What the rules leave of texts given as (bytes, offsets). Words are split at whitespace."""
    n = len(offsets) - 1
    kept = np.empty(int(offsets[-1] - offsets[0]), np.uint8)
    bounds, words = np.zeros(n + 1, np.int64), np.zeros((2, n), np.int64)
    _clean(data, offsets, *_composed(data, offsets), *tables(), kept, bounds, words)
    return Cleaned(kept[: bounds[-1]], bounds, words[0], words[1])


@cache
def tables() -> Tables:
    """Built once a process from the interpreter's Unicode database."""
    known = unicode.flags()
    found = Tables(*(np.zeros(unicode.N_CODE_POINTS, np.uint8) for _ in range(3)))
    found.sizes[:] = 1
    found.kinds[_numeric()] |= NUMERIC
    for code in range(0x30000):
        character = chr(code)
        if code < 0x80 or unicodedata.decomposition(character) or character.lower() != character:
            _fold(code, unicodedata.normalize("NFKC", character).lower(), found)
    plain = (known & unicode.SPACE != 0) & (found.kinds & (SPACE | PADDED) == 0)
    found.kinds[plain] |= SPACE
    found.kinds[[0x20, 0x1680]] |= BLANK
    found.kinds[(known & unicode.DIGIT != 0)] |= DECIMAL
    found.kinds[known & unicode.UPPER != 0] |= UPPER
    found.kinds[known & unicode.ALPHA != 0] |= LETTER
    return found


def _composed(data: Bytes, offsets: Ints) -> tuple[Bytes, Ints]:
    """The texts with those in NFKC in which a code point may combine with the one before: "n" and an accent, say."""
    combines = np.zeros(len(offsets) - 1, np.bool_)
    _find_combining(data, offsets, _combining(), combines)
    if not combines.any():
        return data, offsets
    texts = [data[start:end].tobytes() for start, end in itertools.pairwise(offsets)]
    for row in np.flatnonzero(combines):
        texts[row] = unicodedata.normalize("NFKC", texts[row].decode()).encode()
    lengths = np.array([0, *map(len, texts)], np.int64)
    return np.frombuffer(b"".join(texts), np.uint8), np.cumsum(lengths)


@cache
def _combining() -> npt.NDArray[np.bool_]:
    """Code points that begin, once decomposed, with one that composes with the one before."""
    second = {*range(0x1161, 0x1176), *range(0x11A8, 0x11C3)}  # vowels and finals of Hangul
    characters = [chr(code) for code in range(0x30000) if code < 0xD800 or code >= 0xE000]
    for character in characters:
        parts = unicodedata.decomposition(character).split()
        if len(parts) == 2 and not parts[0].startswith("<"):
            second.add(int(parts[1], 16))
    found = np.zeros(unicode.N_CODE_POINTS, np.bool_)
    found[[ord(c) for c in characters if ord(unicodedata.normalize("NFKD", c)[0]) in second]] = True
    return found


def _numeric() -> npt.NDArray[np.bool_]:
    """Numbers, separators, controls, private and unassigned ones, before they are normalised."""
    found = np.ones(unicode.N_CODE_POINTS, np.bool_)
    found[:0x40000] = [unicodedata.category(chr(code))[0] in "NZC" for code in range(0x40000)]
    found[0xE0100:0xE01F0] = False  # variation selectors
    return found


def _fold(code: int, becomes: str, found: Tables) -> None:
    kinds = int(found.kinds[code]) & ~NUMERIC
    if all(unicodedata.category(c)[0] in "NZC" for c in becomes):
        kinds |= NUMERIC
    if all(c.isdecimal() for c in becomes):
        kinds |= DECIMAL
    if all("a" <= c <= "z" for c in becomes):
        kinds |= LATIN
    if becomes.isspace():
        kinds |= SPACE | BLANK * all(unicodedata.category(c) == "Zs" for c in becomes)
    elif becomes[0].isspace():
        kinds |= PADDED
    found.kinds[code] = kinds
    found.folded[code] = ord(becomes) if len(becomes) == 1 and becomes < "\x80" else 0
    found.sizes[code] = len(becomes)


@kernel
def _find_combining(data: Bytes, offsets: Ints, combining: Flags, found: Flags) -> None:
    for d in range(len(offsets) - 1):
        at = offsets[d]
        while at < offsets[d + 1] and not found[d]:
            code, size = code_point(data, at)
            found[d] = combining[code]
            at += size


@kernel
def _clean(
    data: Bytes,
    offsets: Ints,
    composed: Bytes,
    composed_offsets: Ints,
    kinds: Bytes,
    folded: Bytes,
    sizes: Bytes,
    kept: Bytes,
    bounds: Ints,
    words: Ints,
) -> None:
    for d in range(len(offsets) - 1):
        at, stop, end, is_first = offsets[d], offsets[d + 1], bounds[d], True
        composed_at = composed_offsets[d]
        while at <= stop:
            close = _line_end(data, at, stop)
            composed_close = _line_end(composed, composed_at, composed_offsets[d + 1])
            n_words = _count_words(composed, composed_at, composed_close, kinds)
            words[0, d] += n_words
            goes = n_words == 1 or _is_mainly_uppercase(data, at, close, kinds)
            if not goes and not _is_furniture(composed, composed_at, composed_close, kinds, folded, sizes):
                words[1, d] += n_words
                if not is_first:
                    kept[end] = _NEWLINE
                    end += 1
                for k in range(close - at):
                    kept[end + k] = data[at + k]
                end += close - at
                is_first = False
            at, composed_at = close + 1, composed_close + 1
        bounds[d + 1] = end


@leaf
def _line_end(data: Bytes, at: int, stop: int) -> int:
    while at < stop and data[at] != _NEWLINE:
        at += 1
    return at


@leaf
def _is_furniture(data: Bytes, begin: int, end: int, kinds: Bytes, folded: Bytes, sizes: Bytes) -> bool:
    first, last = _trim(data, begin, end, kinds)
    if first == last:
        return False
    is_numeric = skip(data, first, last, kinds, NUMERIC) == last
    return is_numeric or _is_counter(data, first, last, kinds) or _has_phrase(data, first, last, kinds, folded, sizes)


@leaf
def _count_words(data: Bytes, at: int, end: int, kinds: Bytes) -> int:
    n, was_space = 0, True
    while at < end:
        code, size = code_point(data, at)
        kind = kinds[code]
        n += kind & PADDED != 0 or (was_space and not kind & SPACE)
        was_space = kind & SPACE != 0
        at += size
    return n


@leaf
def _is_mainly_uppercase(data: Bytes, at: int, end: int, kinds: Bytes) -> bool:
    n_upper, n_letters = 0, 0
    while at < end:
        code, size = code_point(data, at)
        n_upper += kinds[code] & UPPER != 0
        n_letters += kinds[code] & LETTER != 0
        at += size
    return n_letters > 0 and n_upper / n_letters > MAX_UPPERCASE


@leaf
def _trim(data: Bytes, begin: int, end: int, kinds: Bytes) -> tuple[int, int]:
    begin = skip(data, begin, end, kinds, SPACE)
    close, at = begin, begin
    while at < end:
        code, size = code_point(data, at)
        at += size
        if not kinds[code] & SPACE:
            close = at
    return begin, close


@leaf
def _is_counter(data: Bytes, begin: int, end: int, kinds: Bytes) -> bool:
    """Digits, whitespace and one word of the letters a to z."""
    number = skip(data, begin, end, kinds, DECIMAL)
    gap = skip(data, number, end, kinds, SPACE)
    return number > begin and number < gap < end and skip(data, gap, end, kinds, LATIN) == end


@leaf
def _has_phrase(data: Bytes, begin: int, end: int, kinds: Bytes, folded: Bytes, sizes: Bytes) -> bool:
    for phrase in range(_N_STARTS):
        if _phrase_end(data, begin, end, kinds, folded, phrase) >= 0:
            return True
    at = begin
    while at < end:
        code, size = code_point(data, at)
        if folded[code] == _PHRASES[_FIRST[_N_STARTS]] and _phrase_end(data, at, end, kinds, folded, _N_STARTS) >= 0:
            return True
        if folded[code] == _PHRASES[_FIRST[_N_STARTS + 1]]:
            close = _phrase_end(data, at, end, kinds, folded, _N_STARTS + 1)
            if close >= 0 and _count_characters(data, close, end, kinds, sizes) == _ANY_AFTER_READ_MORE:
                return True
        at += size
    return False


@leaf
def _phrase_end(data: Bytes, at: int, end: int, kinds: Bytes, folded: Bytes, phrase: int) -> int:
    """Where the phrase ends that begins at `at`, or -1; a run of blanks is one."""
    for k in range(_FIRST[phrase], _FIRST[phrase + 1]):
        if at >= end:
            return -1
        code, size = code_point(data, at)
        if _PHRASES[k] == 0x20 and kinds[code] & BLANK:
            at = skip(data, at, end, kinds, BLANK)
        elif folded[code] == _PHRASES[k]:
            at += size
        else:
            return -1
    return at


@leaf
def _count_characters(data: Bytes, at: int, end: int, kinds: Bytes, sizes: Bytes) -> int:
    """Characters of the normalised text; a run of blanks is one."""
    n = 0
    while at < end:
        code, size = code_point(data, at)
        if kinds[code] & BLANK:
            at = skip(data, at, end, kinds, BLANK)
            n += 1
        else:
            at += size
            n += sizes[code]
    return n
