"""Punkt's decision on a short stretch of text: the word before a mark, and what follows it.

The stretch is cut into tokens, and it holds an end of a sentence where a token that ends one has another behind it. A
full stop ends none behind an abbreviation, an initial or dots, unless the word that follows mostly begins sentences;
nor behind an initial or a number, if that word mostly does not (Kiss and Strunk 2006, sections 4.1 to 4.3).
"""

from __future__ import annotations

import numpy as np

from seedbed.text.kernel import Bytes, Hashes, leaf
from seedbed.text.rules.punkt_english import (
    APART,
    BEGINS_LOWER,
    DIGIT,
    FIRST_COLLOCATION,
    INITIAL,
    LOWER,
    LOWER_SEEN,
    NO_START,
    SPACE,
    STARTER,
    STARTS_UPPER,
    UPPER,
    Model,
)
from seedbed.text.unicode import code_point, skip

_STOP, _COMMA, _HYPHEN, _NEWLINE = ord("."), ord(","), ord("-"), ord("\n")
_EXCLAMATION, _QUESTION, _COLON, _SEMICOLON = ord("!"), ord("?"), ord(":"), ord(";")
_KELVIN, _SMALL_K = 0x212A, ord("k")
"""The one character beyond ASCII whose lower case is of ASCII."""
_NOTHING, _BREAK, _ABBREVIATION, _DOTS = range(4)
_UNKNOWN, _NO, _YES = range(3)


@leaf
def holds_break(data: Bytes, at: int, limit: int, kinds: Bytes, model: Model) -> bool:
    """Whether a sentence ends within data[at:limit]."""
    before, before_end, before_mark = 0, 0, -1
    while True:
        at = skip(data, at, limit, kinds, SPACE)
        if at == limit:
            return False
        end = _token_end(data, at, limit, kinds)
        mark = _mark(data, at, end, model.abbreviations)
        if before_mark >= 0:
            if data[before_end - 1] != _STOP:
                ends = before_mark == _BREAK
            else:
                ends = _stop_ends(data, before, before_end, before_mark, at, end, mark, kinds, model)
            if ends:
                return True
        before, before_end, before_mark = at, end, mark
        at = end


@leaf
def _token_end(data: Bytes, at: int, limit: int, kinds: Bytes) -> int:
    """Where the token at `at` ends: hyphens, dots, a word, or one character."""
    end = _repeated_end(data, at, limit, kinds)
    if end > at:
        return end
    code, size = code_point(data, at)
    at += size
    if kinds[code] & NO_START:
        return at
    while at < limit:
        code, size = code_point(data, at)
        if kinds[code] & (SPACE | APART) or _repeated_end(data, at, limit, kinds) > at:
            break
        if code == _COMMA and _is_apart(data, at + 1, limit, kinds):
            break
        at += size
    return at


@leaf
def _is_apart(data: Bytes, at: int, limit: int, kinds: Bytes) -> bool:
    """Whether no word goes on here."""
    if at == limit:
        return True
    code, _ = code_point(data, at)
    return kinds[code] & (SPACE | APART) != 0 or _repeated_end(data, at, limit, kinds) > at


@leaf
def _repeated_end(data: Bytes, at: int, limit: int, kinds: Bytes) -> int:
    """Where two or more hyphens or dots end that begin here, or three or more dots in a line with whitespace between;
    `at` if there are none."""
    byte, end = data[at], at + 1
    if byte not in (_STOP, _HYPHEN):
        return at
    while end < limit and data[end] == byte:
        end += 1
    if end > at + 1:
        return end
    if byte == _HYPHEN:
        return at
    n, dot, last = 0, at, at
    while dot < limit and data[dot] == _STOP:
        n, last = n + 1, dot
        if dot + 1 == limit:
            break
        code, size = code_point(data, dot + 1)
        if not kinds[code] & SPACE or code == _NEWLINE:
            break
        dot += 1 + size
    return last + 1 if n > 2 else at


@leaf
def _mark(data: Bytes, at: int, end: int, abbreviations: Hashes) -> int:
    """What the token alone says: it ends a sentence, is an abbreviation or dots, or nothing."""
    if data[end - 1] != _STOP:
        return _BREAK if end == at + 1 and data[at] in (_EXCLAMATION, _QUESTION) else _NOTHING
    if end == at + 1:
        return _BREAK
    if data[end - 2] == _STOP:
        return _DOTS
    key, n, place = np.uint64(0), 0, end - 2
    while place >= at and data[place] != _HYPHEN:  # "vice-pres." is one if "pres." is
        byte = int(data[place])
        if n == 8 or byte >= 0x80:
            if n == 8 or place - 2 < at or code_point(data, place - 2)[0] != _KELVIN:
                return _BREAK
            byte, place = _SMALL_K, place - 2
        elif 65 <= byte <= 90:
            byte |= 0x20
        key |= np.uint64(byte) << np.uint64(8 * n)
        n, place = n + 1, place - 1
    found = int(np.searchsorted(abbreviations, key))
    return _ABBREVIATION if found < len(abbreviations) and abbreviations[found] == key else _BREAK


@leaf
def _stop_ends(
    data: Bytes, at: int, end: int, mark: int, word: int, word_end: int, word_mark: int, kinds: Bytes, model: Model
) -> bool:
    """Whether a sentence ends with the token at `at`, which has a full stop, before the word at `word`."""
    code, size = code_point(data, at)
    is_initial = at + size + 1 == end and kinds[code] & INITIAL != 0
    is_number = not is_initial and _is_number(data, at, end, kinds)
    if mark == _BREAK and not is_initial and not is_number:
        return True
    last = word_end - 1 if word_mark == _BREAK and word_end - word > 1 and data[word_end - 1] == _STOP else word_end
    known = _known(data, word, last, model)
    if known >> FIRST_COLLOCATION and known & _collocation(int(data[at]), is_number):
        return False
    word_code, _ = code_point(data, word)
    is_upper = kinds[word_code] & UPPER != 0
    begins = _begins_sentence(word_code, word_end - word, int(kinds[word_code]), known)
    if mark in (_ABBREVIATION, _DOTS) and not is_initial and (begins == _YES or (is_upper and known & STARTER)):
        return True
    is_name = is_initial and begins == _UNKNOWN and is_upper and not known & LOWER_SEEN
    if (is_initial or is_number) and (begins == _NO or is_name):
        return False
    return mark == _BREAK


@leaf
def _begins_sentence(code: int, n_bytes: int, kind: int, known: int) -> int:
    if n_bytes == 1 and code in (_STOP, _COMMA, _COLON, _SEMICOLON, _EXCLAMATION, _QUESTION):
        return _NO
    if kind & UPPER and known & STARTS_UPPER:
        return _YES
    return _NO if kind & LOWER and not known & BEGINS_LOWER else _UNKNOWN


@leaf
def _collocation(first: int, is_number: bool) -> int:
    """The bit of COLLOCATES, of an initial by its byte."""
    if is_number:
        return 1 << FIRST_COLLOCATION
    letter = first | 0x20
    if letter == 0x62:  # b
        return 2 << FIRST_COLLOCATION
    if letter == 0x69:  # i
        return 4 << FIRST_COLLOCATION
    if letter == 0x6A:  # j
        return 8 << FIRST_COLLOCATION
    return 16 << FIRST_COLLOCATION if letter == 0x6F else 0


@leaf
def _is_number(data: Bytes, at: int, end: int, kinds: Bytes) -> bool:
    """Digits with commas, dots and hyphens among them."""
    at += data[at] == _HYPHEN
    at += at < end and data[at] in (_STOP, _COMMA)
    n = 0
    while at < end:
        code, size = code_point(data, at)
        if not kinds[code] & DIGIT and (n == 0 or code not in (_COMMA, _STOP, _HYPHEN)):
            return False
        n, at = n + 1, at + size
    return n > 0


@leaf
def _known(data: Bytes, at: int, end: int, model: Model) -> int:
    """What is known of the word, in any case; 0 of one that is not in the model."""
    low, high = 0, len(model.known)
    while low < high:
        middle = (low + high) >> 1
        order = _compare(data, at, end, model.letters, model.first[middle], model.first[middle + 1])
        if order == 0:
            return int(model.known[middle])
        if order < 0:
            high = middle
        else:
            low = middle + 1
    return 0


@leaf
def _compare(data: Bytes, at: int, end: int, letters: Bytes, first: int, last: int) -> int:
    """Negative where the lower case of data[at:end] comes before letters[first:last], 0 where they are equal."""
    while at < end and first < last:
        code, size = code_point(data, at)
        if 65 <= code <= 90:
            code |= 0x20
        elif code == _KELVIN:
            code = _SMALL_K
        if code != letters[first]:
            return code - int(letters[first])
        at, first = at + size, first + 1
    return (at < end) - (first < last)
