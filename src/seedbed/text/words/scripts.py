"""Words in scripts that are written without spaces.

Chinese, Japanese, Thai, Lao, Khmer and Burmese put no space between words, so that a whole sentence is one run without
whitespace. Dictionaries that cut it into words disagree and are slow. Here every smallest unit of writing is a word, as
in the default word boundaries of Unicode (UAX 29): an ideograph, a hiragana letter, and in the scripts of South-East
Asia a letter with its vowels and marks, about a syllable. Katakana stays together, as do the letters of all other
scripts, and digits. What is no letter belongs to the word before it, as punctuation does between spaces. A text without
such scripts comes out as it went in. Peers that use dictionaries (FineWeb-2) count 1.5 to 3 such words as one.
"""

from __future__ import annotations

import unicodedata
from functools import cache

import numpy as np

from seedbed.core.nouns import DocumentBatch
from seedbed.text import unicode
from seedbed.text.kernel import Bytes, Ints, kernel
from seedbed.text.words.whitespace import Words, describe, words

_ATTACHED, _LETTER, _UNIT, _KATAKANA, _LEADING, _JOINER, _WHITESPACE = range(7)
_BLANK = 32

# Unicode 16. Han and Hiragana, and the blocks whose letters have Line_Break=SA (UAX 14).
_UNIT_BLOCKS = """
E00-E7F E80-EFF 1000-109F 1780-17FF 1950-197F 1980-19DF 1A20-1AAF 3005-3007 3021-3029 3041-309F 3400-4DBF 4E00-9FFF
A9E0-A9FF AA60-AA7F AA80-AADF F900-FAFF 11700-1174F 1B000-1B167 20000-323AF
"""
_KATAKANA_BLOCKS = "30A1-30FA 30FD-30FF 31F0-31FF FF66-FF9D 1AFF0-1AFFE"
_LEADING_VOWELS = "E40-E44 EC0-EC4 19B5-19B7 19BA AAB5-AAB6 AAB9 AABB-AABC"  # Logical_Order_Exception
_FOLLOWERS = "E30 E32-E33 E45 EB0 EB2-EB3 EBD 30FC FF70 FF9E-FF9F"  # vowels after their letter; lengthening and voicing
_JOINERS = "1039 17D2 1A60"  # the next letter is written below the last


def script_words(documents: DocumentBatch) -> Words:
    """The words of a batch in any script; ask through `documents.derive(script_words)`."""
    data, offsets = documents.text_buffers()
    found = documents.derive(words)
    spaces = _spaces(data, offsets)
    if not spaces.any():
        return found
    n = len(found.start) + int(spaces.sum())
    first, start, end = np.zeros(len(offsets), np.int64), np.empty(n, np.int64), np.empty(n, np.int64)
    _cut(data, found.first, found.start, found.end, _classes(), first, start, end)
    return describe(data, first, start, end)


def spaced(documents: DocumentBatch) -> tuple[Bytes, Ints]:
    """(bytes, offsets) of the texts with a space between words of scripts that have none; ask through `derive`."""
    data, offsets = documents.text_buffers()
    spaces = _spaces(data, offsets)
    if not spaces.any():
        return data, offsets
    longer = offsets - offsets[0] + np.cumsum(spaces)
    out = np.empty(longer[-1], np.uint8)
    _copy(data, offsets, _classes(), longer, out)
    return out, longer


def _spaces(data: Bytes, offsets: Ints) -> Ints:
    """spaces[d + 1]: how many borders between words without whitespace document d has."""
    spaces = np.zeros(len(offsets), np.int64)
    _count_spaces(data, offsets, _classes(), spaces)
    return spaces


@cache
def _classes() -> Bytes:
    """How each code point sits in a word."""
    flags = unicode.flags()
    found = np.where(flags & (unicode.ALPHA | unicode.DIGIT) != 0, _LETTER, _ATTACHED).astype(np.uint8)
    units = [code for code in _codes(_UNIT_BLOCKS) if unicodedata.category(chr(code)) in ("Lo", "Lm", "Nl")]
    found[units] = _UNIT
    found[_codes(_KATAKANA_BLOCKS)] = _KATAKANA
    found[_codes(_LEADING_VOWELS)] = _LEADING
    found[_codes(_FOLLOWERS)] = _ATTACHED
    found[_codes(_JOINERS)] = _JOINER
    found[flags & unicode.SPACE != 0] = _WHITESPACE
    found.flags.writeable = False
    return found


def _codes(blocks: str) -> list[int]:
    runs = [[int(end, 16) for end in run.split("-")] for run in blocks.split()]
    return [code for run in runs for code in range(run[0], run[-1] + 1)]


@kernel
def _step(word: int, kind: int) -> tuple[bool, int]:
    """A character of this kind after a word that is open as `word`: (does it begin another word, what is open then).

    An open word is what its last letter was; _ATTACHED where it has none yet, _WHITESPACE where there is none.
    """
    if kind == _WHITESPACE or word == _WHITESPACE:
        return False, kind
    if kind == _ATTACHED:
        return False, word
    if kind == _JOINER or word == _ATTACHED or (word in (_LEADING, _JOINER) and kind == _UNIT):
        return False, kind
    return kind != word or kind in (_UNIT, _LEADING), kind


@kernel
def _has_unspaced(data: Bytes, begin: int, end: int) -> bool:
    """Whether some character may belong to such a script: UTF-8 above U+07FF, without the symbols of U+2000-U+2FFF."""
    at = begin
    while at < end and (data[at] < 0xE0 or data[at] == 0xE2):
        at += 1
    return at < end


@kernel
def _count_spaces(data: Bytes, offsets: Ints, classes: Bytes, spaces: Ints) -> None:
    for d in range(len(offsets) - 1):
        if not _has_unspaced(data, offsets[d], offsets[d + 1]):
            continue
        at, n, word = offsets[d], 0, _WHITESPACE
        while at < offsets[d + 1]:
            code, size = unicode.code_point(data, at)
            begins, word = _step(word, classes[code])
            n += begins
            at += size
        spaces[d + 1] = n


@kernel
def _copy(data: Bytes, offsets: Ints, classes: Bytes, longer: Ints, out: Bytes) -> None:
    for d in range(len(offsets) - 1):
        at, to, word = offsets[d], longer[d], _WHITESPACE
        if longer[d + 1] - longer[d] == offsets[d + 1] - offsets[d]:
            out[to : longer[d + 1]] = data[at : offsets[d + 1]]
            continue
        while at < offsets[d + 1]:
            code, size = unicode.code_point(data, at)
            begins, word = _step(word, classes[code])
            if begins:
                out[to] = _BLANK
                to += 1
            out[to : to + size] = data[at : at + size]
            at += size
            to += size


@kernel
def _cut(
    data: Bytes, first: Ints, start: Ints, end: Ints, classes: Bytes, cut_first: Ints, cut_start: Ints, cut_end: Ints
) -> None:
    """Cuts words at the borders inside them."""
    n = 0
    for d in range(len(first) - 1):
        for w in range(first[d], first[d + 1]):
            cut_start[n], at, word = start[w], start[w], _ATTACHED
            while at < end[w]:
                code, size = unicode.code_point(data, at)
                begins, word = _step(word, classes[code])
                if begins:
                    cut_end[n] = at
                    n += 1
                    cut_start[n] = at
                at += size
            cut_end[n] = end[w]
            n += 1
        cut_first[d + 1] = n
