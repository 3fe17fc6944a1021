"""Pieces: how byte-level tokenizers cut text before they merge, read off the bytes without a regular expression.

    GPT-2     '(?:[sdmt]|ll|ve|re)| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+
    cl100k    (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}
              | ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+

GPT-2: Radford et al. 2019, section 2.2, as released. cl100k: tiktoken's encoding of that name; Llama 3 uses it too, and
Qwen 2 with one digit a piece. Every alternative begins with another kind of character, so one look decides.
"""

from __future__ import annotations

import numpy as np

from seedbed.text.kernel import Bytes, Flags, kernel, leaf
from seedbed.text.unicode import N_CODE_POINTS, code_point
from seedbed.text.vectors import BLOCK, NONE, ONE, between, lowest_bit, within

OTHER, LETTER, NUMBER, SPACE, UNKNOWN = range(5)
"""What a code point is: \\p{L}, \\p{N}, \\s, none of them, or not known yet."""

GPT_2 = 0
"""The split of GPT-2; 1 to 3 name the split of cl100k with so many digits a piece."""

_BLANK, _QUOTE, _RETURN, _NEWLINE, _CASE = 0x20, 0x27, 0x0D, 0x0A, 0x20
_LONG_S = 0x17F
"""The one character beyond ASCII that is an "s", "t", "r", "v", "m", "l" or "d" where case is ignored."""


@kernel
def unknown(data: Bytes, start: int, stop: int, kinds: Bytes) -> Flags:
    """Whether each code point comes in data[start:stop] and is UNKNOWN; those of ASCII are not looked at."""
    found = np.zeros(N_CODE_POINTS, np.bool_)
    for at in range(start, stop, BLOCK):
        leads = between(data, at, 0xC2, 0xF4) & within(at, stop)
        while leads != NONE:
            code, _ = code_point(data, at + lowest_bit(leads))
            if kinds[code] == UNKNOWN:
                found[code] = True
            leads &= leads - ONE
    return found


@leaf
def piece_end(data: Bytes, at: int, stop: int, kinds: Bytes, split: int) -> int:
    """Where the piece that begins at `at` ends, in a text that ends at `stop` and has no UNKNOWN code point."""
    if split == GPT_2:
        return _gpt_2_end(data, at, stop, kinds)
    return _cl100k_end(data, at, stop, kinds, split)


@leaf
def _gpt_2_end(data: Bytes, at: int, stop: int, kinds: Bytes) -> int:
    kind, size = _kind(data, at, kinds)
    if data[at] == _QUOTE:
        short = _contraction(data, at, stop, 0)
        if short:
            return at + short
    start = at
    if data[at] == _BLANK and at + 1 < stop:
        after, after_size = _kind(data, at + 1, kinds)
        if after != SPACE:
            kind, size, start = after, after_size, at + 1
    if kind == SPACE:
        return _space_end(data, at, stop, kinds, False)
    return _run_end(data, start + size, stop, kinds, kind)


@leaf
def _cl100k_end(data: Bytes, at: int, stop: int, kinds: Bytes, digits: int) -> int:
    kind, size = _kind(data, at, kinds)
    if kind == LETTER:
        return _run_end(data, at + size, stop, kinds, LETTER)
    if kind == NUMBER:
        return _number_end(data, at + size, stop, kinds, digits - 1)
    if data[at] == _QUOTE:
        short = _contraction(data, at, stop, _CASE)
        if short:
            return at + short
    after, after_size = OTHER, 0
    if at + size < stop:
        after, after_size = _kind(data, at + size, kinds)
    if after == LETTER and data[at] != _RETURN and data[at] != _NEWLINE:
        return _run_end(data, at + size + after_size, stop, kinds, LETTER)
    if kind != SPACE or (data[at] == _BLANK and after == OTHER and after_size):
        return _lines_end(data, _run_end(data, at + size, stop, kinds, OTHER), stop)
    return _space_end(data, at, stop, kinds, True)


@leaf
def _kind(data: Bytes, at: int, kinds: Bytes) -> tuple[int, int]:
    """(kind, bytes) of the code point at `at`."""
    if data[at] < 0x80:
        return int(kinds[data[at]]), 1
    code, size = code_point(data, at)
    return int(kinds[code]), size


@leaf
def _run_end(data: Bytes, at: int, stop: int, kinds: Bytes, kind: int) -> int:
    while at < stop:
        found, size = _kind(data, at, kinds)
        if found != kind:
            return at
        at += size
    return at


@leaf
def _number_end(data: Bytes, at: int, stop: int, kinds: Bytes, more: int) -> int:
    while more > 0 and at < stop:
        kind, size = _kind(data, at, kinds)
        if kind != NUMBER:
            return at
        at += size
        more -= 1
    return at


@leaf
def _lines_end(data: Bytes, at: int, stop: int) -> int:
    while at < stop and (data[at] == _RETURN or data[at] == _NEWLINE):
        at += 1
    return at


@leaf
def _space_end(data: Bytes, at: int, stop: int, kinds: Bytes, ends_lines: bool) -> int:
    """A run of whitespace leaves its last character to what follows; with `ends_lines` it ends at its last newline."""
    end, last, line = at, at, -1
    while end < stop:
        kind, size = _kind(data, end, kinds)
        if kind != SPACE:
            break
        last = end
        end += size
        if data[last] == _RETURN or data[last] == _NEWLINE:
            line = end
    if ends_lines and line >= 0:
        return line
    return end if end == stop or last == at else last


@leaf
def _contraction(data: Bytes, at: int, stop: int, case: int) -> int:
    """Bytes of 's, 't, 're, 've, 'm, 'll or 'd at `at`, or 0; `case` is the bit that small letters have and capitals
    may lack."""
    if at + 1 >= stop:
        return 0
    first = data[at + 1] | case
    if first == ord("s") or first == ord("t") or first == ord("m") or first == ord("d"):
        return 2
    if at + 2 >= stop:
        return 0
    if case and data[at + 1] >= 0xC0 and code_point(data, at + 1)[0] == _LONG_S:
        return 3
    second = data[at + 2] | case
    is_long = (second == ord("e") and (first == ord("r") or first == ord("v"))) or (
        second == ord("l") and first == ord("l")
    )
    return 3 if is_long else 0
