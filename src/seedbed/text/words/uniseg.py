"""Words by Unicode's word boundaries (UAX 29), those that begin with a letter or digit: what uniseg 0.10.1 finds.

Ideographs, and letters of scripts that are written without spaces, are words of one character each. Properties are
those of Unicode 16.0.0, from `word_break.txt`; what is a letter or digit (`str.isalnum`) is the running Python's.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np

from seedbed.core.nouns import DocumentBatch
from seedbed.text import unicode
from seedbed.text.kernel import Bytes, Flags, Ints, kernel
from seedbed.text.words.whitespace import Words, describe

CLASSES: tuple[str, ...] = (
    "Other", "ALetter", "Hebrew_Letter", "Numeric", "Katakana", "ExtendNumLet", "MidNumLet", "Single_Quote",
    "MidLetter", "MidNum", "Double_Quote", "Extend", "Format", "ZWJ", "CR", "LF", "Newline", "Regional_Indicator",
    "WSegSpace",
)  # fmt: skip
"""Values of Word_Break, in an order that makes each set the rules speak of one range."""

_OTHER, _LETTER, _HEBREW, _NUMERIC, _KATAKANA, _EXTEND_NUM_LET = range(6)
_SINGLE_QUOTE, _MID_LETTER, _MID_NUM, _DOUBLE_QUOTE, _EXTEND, _ZWJ = 7, 8, 9, 10, 11, 13
_CR, _LF, _NEWLINE, _REGIONAL, _SPACE = 14, 15, 16, 17, 18
_MAYBE_NUMBERS = range(0x20000)
"""What is a number and no letter lies here."""
_CLASS, _PICTOGRAPH, _ALPHANUMERIC = 0x1F, 0x20, 0x40
_MID_NUM_LET = 6


def uniseg_words(documents: DocumentBatch) -> Words:
    """The words of a batch: ask through `documents.derive(uniseg_words)`."""
    data, offsets = documents.text_buffers()
    first = np.zeros(len(offsets), np.int64)
    bound = 2 * int(offsets[-1] - offsets[0]) // 3 + len(offsets)  # no two ASCII words touch, others have two bytes
    start, end = np.empty(bound, np.int64), np.empty(bound, np.int64)
    n = _find(data, offsets, properties(), first, start, end)
    return describe(data, first, start[:n], end[:n])


@cache
def properties() -> Bytes:
    """Of every code point: its place in CLASSES, and whether it is a pictograph and whether alphanumeric."""
    found = np.zeros(unicode.N_CODE_POINTS, np.uint8)
    name = ""
    for line in Path(__file__).with_name("word_break.txt").read_text(encoding="utf-8").splitlines():
        if not line.startswith(" "):
            name = line
            continue
        for run in line.split():
            first, _, last = run.partition("-")
            codes = slice(int(first, 16), int(last or first, 16) + 1)
            found[codes] |= _PICTOGRAPH if name == "Extended_Pictographic" else CLASSES.index(name)
    found[alphanumeric()] |= _ALPHANUMERIC
    found.flags.writeable = False
    return found


@cache
def alphanumeric() -> Flags:
    """Of every code point: `str.isalnum`."""
    found = unicode.flags() & unicode.ALPHA != 0
    found[[code for code in _MAYBE_NUMBERS if chr(code).isalnum()]] = True
    found.flags.writeable = False
    return found


@kernel
def _find(data: Bytes, offsets: Ints, table: Bytes, first: Ints, start: Ints, end: Ints) -> int:
    """Bounds of the segments that begin with a letter or digit.

    `touching` is the class of the character right before; `before` and `earlier` are those of the last two characters
    that are not skipped (rule WB4).
    """
    n = 0
    for d in range(len(offsets) - 1):
        at, stop = offsets[d], offsets[d + 1]
        touching, before, earlier = _NEWLINE, _OTHER, _OTHER
        inside, open_flag = False, False
        while at < stop:
            code, size = unicode.code_point(data, at)
            kind = int(table[code])
            this = kind & _CLASS
            skipped = _EXTEND <= this <= _ZWJ
            joined = _joins_touching(touching, this, kind, skipped)
            if not joined and not skipped and not _CR <= touching <= _NEWLINE:
                joined = _joins(data, at + size, stop, table, earlier, before, this, open_flag)
            if not joined:
                if inside:
                    end[n] = at
                    n += 1
                inside = kind & _ALPHANUMERIC != 0
                if inside:
                    start[n] = at
            at += size
            touching = this
            if not skipped:
                open_flag = this == _REGIONAL and not (before == _REGIONAL and open_flag)
                earlier, before = before, this
            while this == _LETTER and at < stop and data[at] < 0x80 and table[data[at]] & _CLASS == _LETTER:
                earlier = _LETTER  # only to be faster: letters join
                at += 1
        if inside:
            end[n] = stop
            n += 1
        first[d + 1] = n
    return n


@kernel
def _joins_touching(before: int, this: int, kind: int, skipped: bool) -> bool:
    """Rules WB3 to WB4: what is decided by two neighbouring characters, nothing skipped."""
    if _CR <= before <= _NEWLINE or _CR <= this <= _NEWLINE:
        return before == _CR and this == _LF
    if before == _ZWJ and kind & _PICTOGRAPH:
        return True
    return skipped or (before == _SPACE and this == _SPACE)


@kernel
def _joins(
    data: Bytes, after: int, stop: int, table: Bytes, earlier: int, before: int, this: int, open_flag: bool
) -> bool:
    """Rules WB5 to WB16: whether there is no boundary before `this`."""
    if before == _OTHER or this == _OTHER or before > _DOUBLE_QUOTE:
        return before == _REGIONAL and this == _REGIONAL and open_flag
    if this <= _EXTEND_NUM_LET:
        if before <= _EXTEND_NUM_LET:
            if before == _KATAKANA or this == _KATAKANA:
                return before in (this, _EXTEND_NUM_LET) or this == _EXTEND_NUM_LET
            return True
        if this <= _HEBREW and before <= _MID_LETTER:
            return _LETTER <= earlier <= _HEBREW
        if this == _HEBREW and before == _DOUBLE_QUOTE:
            return earlier == _HEBREW
        return this == _NUMERIC and earlier == _NUMERIC and _is_within_number(before)
    if before <= _HEBREW and this <= _MID_LETTER:
        if before == _HEBREW and this == _SINGLE_QUOTE:
            return True
        return _LETTER <= _next_class(data, after, stop, table) <= _HEBREW
    if before == _HEBREW and this == _DOUBLE_QUOTE:
        return _next_class(data, after, stop, table) == _HEBREW
    if before == _NUMERIC and _is_within_number(this):
        return _next_class(data, after, stop, table) == _NUMERIC
    return False


@kernel
def _is_within_number(kind: int) -> bool:
    return kind == _MID_NUM or _MID_NUM_LET <= kind <= _SINGLE_QUOTE


@kernel
def _next_class(data: Bytes, at: int, stop: int, table: Bytes) -> int:
    """The class of the next character that is not skipped."""
    while at < stop:
        code, size = unicode.code_point(data, at)
        kind = int(table[code]) & _CLASS
        if not _EXTEND <= kind <= _ZWJ:
            return kind
        at += size
    return _OTHER
