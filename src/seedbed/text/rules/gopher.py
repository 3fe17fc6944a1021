"""What the Gopher quality rules count: symbols, lines with marks, words of some kinds. Pure functions over a batch."""

from __future__ import annotations

import dataclasses

import numpy as np

from seedbed.text import unicode
from seedbed.text.kernel import Bytes, Flags, Hashes, Ints, kernel
from seedbed.text.rules.lines import Segments
from seedbed.text.rules.segments import Bounds
from seedbed.text.vectors import ALL, BLOCK, NONE, ONE, between, count_bits, load, lowest_bit
from seedbed.text.words.whitespace import Words

CHARACTER, DOTS, SPACED_DOTS = 1, 2, 4
"""Spellings of an ellipsis: "…", "..." and ". . ."."""

_HASH, _DOT, _SPACE, _LEAD = ord("#"), ord("."), ord(" "), 0xE2  # U+2026 is E2 80 A6
_LOWER_CASE = np.uint64(0x2020202020202020)
_LENGTH_SHIFT = np.uint64(56)


@dataclasses.dataclass(frozen=True)
class WordCounts:
    """Per document.

    Args:
        counted: words that are not all punctuation (all words where no set of it is given).
        chars: their code points.
        alphabetic: words with a letter, of all words.
        stops: occurrences of stop words.
        distinct_stops: how many different stop words occur.
    """

    counted: Ints
    chars: Ints
    alphabetic: Ints
    stops: Ints
    distinct_stops: Ints


def count_symbols(data: Bytes, offsets: Ints) -> tuple[Ints, Ints, Ints, Ints]:
    """(#, …, ..., . . .) of each document; each spelling is counted as `str.count` does."""
    counts = np.zeros((4, len(offsets) - 1), np.int64)
    _count_symbols(data, offsets, counts)
    return counts[0], counts[1], counts[2], counts[3]


def count_symbol_words(data: Bytes, words: Words) -> Ints:
    """Words of each document with a # or a … in them."""
    counts = np.zeros(len(words.first) - 1, np.int64)
    _count_symbol_words(data, words.first, words.start, words.end, counts)
    return counts


def count_marked_lines(data: Bytes, lines: Segments | Bounds, bullets: str, ellipses: int) -> tuple[Ints, Ints]:
    """Lines that begin with one of `bullets`, and lines that end in one of the spellings of an ellipsis."""
    marked = np.zeros((2, len(lines.first) - 1), np.int64)
    codes = np.array([ord(bullet) for bullet in bullets], np.int64)
    _count_marked_lines(data, lines.first, lines.start, lines.end, codes, ellipses, marked)
    return marked[0], marked[1]


def count_words(
    data: Bytes, words: Words, stop_words: tuple[str, ...], *, ignore_case: bool, punctuation: Flags | None = None
) -> WordCounts:
    """Counts of words; stop words are two to four bytes in lower case, `punctuation` is a flag a code point."""
    fold = _LOWER_CASE if ignore_case else NONE
    keys = [(int.from_bytes(word.encode(), "little") | int(fold)) ^ len(word) << 56 for word in stop_words]
    counts = np.zeros((5, len(words.first) - 1), np.int64)
    given = np.zeros(0, np.bool_) if punctuation is None else punctuation
    _count_words(data, words.first, words.start, words.end, words.chars, words.alphabetic,
                 np.array(keys, np.uint64), fold, given, counts)  # fmt: skip
    return WordCounts(*counts)


def double_median_length(words: Words) -> Ints:
    """Twice the median of the words' lengths in code points, of each document; 0 without words."""
    doubled = np.zeros(len(words.first) - 1, np.int64)
    _find_medians(words.first, words.chars, np.zeros(int(words.chars.max(initial=0)) + 1, np.int64), doubled)
    return doubled


def count_fasttext_words(data: Bytes, offsets: Ints, alphanumeric: Flags) -> Ints:
    """Runs without ASCII whitespace or NUL that begin with a letter or digit, as DCLM counts fastText's tokens."""
    counts = np.zeros(len(offsets) - 1, np.int64)
    _count_fasttext_words(data, offsets, alphanumeric, counts)
    return counts


@kernel
def _ellipsis_at(data: Bytes, at: int, stop: int) -> int:
    """Which spelling of an ellipsis begins at `at`, or 0."""
    if at + 3 > stop:
        return 0
    if data[at] == _LEAD:
        return CHARACTER if data[at + 1] == 0x80 and data[at + 2] == 0xA6 else 0
    if data[at] != _DOT:
        return 0
    if data[at + 1] == _DOT:
        return DOTS if data[at + 2] == _DOT else 0
    if at + 5 > stop or data[at + 1] != _SPACE or data[at + 2] != _DOT or data[at + 3] != _SPACE:
        return 0
    return SPACED_DOTS if data[at + 4] == _DOT else 0


@kernel
def _inside(at: int, stop: int) -> np.uint64:
    """Bits of the block at `at` that lie before `stop`."""
    return ALL if stop - at >= BLOCK else (ONE << np.uint64(stop - at)) - ONE


@kernel
def _count_symbols(data: Bytes, offsets: Ints, counts: Ints) -> None:
    for d in range(len(offsets) - 1):
        stop, dots_until, spaced_until = offsets[d + 1], offsets[d], offsets[d]
        for at in range(offsets[d], stop, BLOCK):
            inside = _inside(at, stop)
            counts[0, d] += count_bits(between(data, at, _HASH, _HASH) & inside)
            possible = (between(data, at, _DOT, _DOT) | between(data, at, _LEAD, _LEAD)) & inside
            while possible != NONE:
                place = at + lowest_bit(possible)
                possible &= possible - ONE
                kind = _ellipsis_at(data, place, stop)
                if kind == CHARACTER:
                    counts[1, d] += 1
                elif kind == DOTS and place >= dots_until:
                    counts[2, d] += 1
                    dots_until = place + 3
                elif kind == SPACED_DOTS and place >= spaced_until:
                    counts[3, d] += 1
                    spaced_until = place + 5


@kernel
def _count_symbol_words(data: Bytes, first: Ints, start: Ints, end: Ints, counts: Ints) -> None:
    for d in range(len(first) - 1):
        w, last = first[d], first[d + 1]
        if w == last:
            continue
        stop = int(end[last - 1])
        for at in range(start[w], stop, BLOCK):
            possible = (between(data, at, _HASH, _HASH) | between(data, at, _LEAD, _LEAD)) & _inside(at, stop)
            while possible != NONE:
                place = at + lowest_bit(possible)
                possible &= possible - ONE
                while w < last and end[w] <= place:
                    w += 1
                if w < last and start[w] <= place and (data[place] == _HASH or _ellipsis_at(data, place, stop) != 0):
                    counts[d] += 1
                    w += 1


@kernel
def _count_marked_lines(
    data: Bytes, first: Ints, start: Ints, end: Ints, bullets: Ints, ellipses: int, marked: Ints
) -> None:
    for d in range(len(first) - 1):
        for s in range(first[d], first[d + 1]):
            at, stop = start[s], end[s]
            if at == stop:
                continue
            code, _ = unicode.code_point(data, at)
            for bullet in bullets:
                marked[0, d] += code == bullet
            found = _ellipsis_at(data, stop - 3, stop) & (CHARACTER | DOTS) if at <= stop - 3 else 0
            found |= _ellipsis_at(data, stop - 5, stop) & SPACED_DOTS if at <= stop - 5 else 0
            marked[1, d] += found & ellipses != 0


@kernel
def _count_words(
    data: Bytes,
    first: Ints,
    start: Ints,
    end: Ints,
    chars: Ints,
    alphabetic: Flags,
    stop_keys: Hashes,
    fold: np.uint64,
    punctuation: Flags,
    counts: Ints,
) -> None:
    for d in range(len(first) - 1):
        n, n_chars, n_alphabetic, n_stops, seen = 0, 0, 0, 0, NONE
        for w in range(first[d], first[d + 1]):
            n_alphabetic += alphabetic[w]
            if alphabetic[w] or len(punctuation) == 0 or not _is_all(data, start[w], end[w], punctuation):
                n += 1
                n_chars += chars[w]
            size = end[w] - start[w]
            if size < 2 or size > 4:
                continue
            key = (load(data, start[w], end[w]) | fold) ^ np.uint64(size) << _LENGTH_SHIFT
            for k in range(len(stop_keys)):
                if key == stop_keys[k]:
                    n_stops += 1
                    seen |= ONE << np.uint64(k)
        counts[0, d], counts[1, d], counts[2, d], counts[3, d] = n, n_chars, n_alphabetic, n_stops
        counts[4, d] = count_bits(seen)


@kernel
def _is_all(data: Bytes, at: int, stop: int, kind: Flags) -> bool:
    """Whether every code point is of this kind."""
    while at < stop:
        code, size = unicode.code_point(data, at)
        if not kind[code]:
            return False
        at += size
    return True


@kernel
def _find_medians(first: Ints, chars: Ints, histogram: Ints, doubled: Ints) -> None:
    for d in range(len(first) - 1):
        n, longest = first[d + 1] - first[d], 0
        for w in range(first[d], first[d + 1]):
            histogram[chars[w]] += 1
            longest = max(longest, chars[w])
        below, length = 0, 0
        for rank in ((n - 1) // 2, n // 2):  # the two middle ones, the same where n is odd
            while n > 0 and below + histogram[length] <= rank:
                below += histogram[length]
                length += 1
            doubled[d] += length
        histogram[: longest + 1] = 0


@kernel
def _count_fasttext_words(data: Bytes, offsets: Ints, alphanumeric: Flags, counts: Ints) -> None:
    for d in range(len(offsets) - 1):
        stop, before = offsets[d + 1], ONE
        for at in range(offsets[d], stop, BLOCK):
            separators = between(data, at, 9, 13) | between(data, at, 32, 32) | between(data, at, 0, 0)
            begins = ~separators & (separators << ONE | before) & _inside(at, stop)
            before = separators >> np.uint64(BLOCK - 1)
            while begins != NONE:
                code, _ = unicode.code_point(data, at + lowest_bit(begins))
                counts[d] += alphanumeric[code]
                begins &= begins - ONE
