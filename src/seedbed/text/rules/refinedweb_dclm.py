"""RefinedWeb's line rules as DCLM applies them: kernels that clean texts line by line and count the words that go.

A line is what lies between newlines. The rules go over all lines one after the other; after each but the fourth the
text is stripped, so that a line that is the first or the last by now loses its outer whitespace before the next rule.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from seedbed.text import unicode
from seedbed.text.kernel import Bytes, Ints, kernel, leaf
from seedbed.text.unicode import code_point, count_characters
from seedbed.text.words.phrases import phrase_end

SPACE, UPPER, DIGIT, DECIMAL, WORD, ALNUM = (1 << bit for bit in range(6))
MAX_UPPERCASE, MAX_DIGITS, MIN_WORDS, MAX_WORDS_WITH_PHRASE = 0.5, 0.999999, 2, 10

_REACTIONS = ("likes", "shares", "comments", "retweets", "reposts", "quotes", "bookmarks", "upvotes", "downvotes")
_COUNTED = (*_REACTIONS, "downloads", "views", "followers")
_LETTERS = np.frombuffer("".join(_COUNTED).encode(), np.uint8)
_FIRST = np.cumsum([0, *map(len, _COUNTED)])
_CART, _READ_MORE, _SIGN_IN = (np.frombuffer(p, np.uint8) for p in (b"items in cart", b"read more", b"sign-in"))
_ANY_AFTER_READ_MORE = 3
"""DCLM writes "Read more..." as a regular expression, whose dots stand for any three characters."""

_UPPERCASE, _NUMERIC, _COUNTER, _SHORT, _CART_RULE, _READ_MORE_RULE, _SIGN_IN_RULE = range(7)
_NEWLINE, _COMMA, _STOP = 0x0A, 0x2C, 0x2E


class Cleaned(NamedTuple):
    """Texts that are left, and words before and after, by document."""

    data: Bytes
    offsets: Ints
    words_before: Ints
    words_after: Ints


def clean(data: Bytes, offsets: Ints) -> Cleaned:
    """What the rules leave of texts given as (bytes, offsets). Words begin with a letter or a digit, as in DCLM."""
    n = len(offsets) - 1
    kept = data[offsets[0] : offsets[-1]].copy()
    n_lines = int(np.count_nonzero(kept == _NEWLINE)) + n
    lines = np.empty((n_lines, 2), np.int64)
    bounds, words = np.zeros(n + 1, np.int64), np.zeros((2, n), np.int64)
    _clean(kept, offsets - offsets[0], kinds(), lines, bounds, words)
    return Cleaned(kept[: bounds[-1]], bounds, words[0], words[1])


@cache
def kinds() -> npt.NDArray[np.uint8]:
    """SPACE | UPPER | ... of every code point, as `str.isspace`, `str.isupper`, `str.isdigit`, `\\d`, `\\w` have it."""
    found = np.zeros(unicode.N_CODE_POINTS, np.uint8)
    known = unicode.flags()
    found[known & unicode.SPACE != 0] |= SPACE
    found[known & unicode.DIGIT != 0] |= DIGIT | DECIMAL | WORD | ALNUM
    found[known & unicode.ALPHA != 0] |= WORD | ALNUM
    for code in range(0x20000):
        character = chr(code)
        found[code] |= UPPER * character.isupper() | DIGIT * character.isdigit() | (WORD | ALNUM) * character.isalnum()
    found[ord("_")] |= WORD
    found.flags.writeable = False
    return found


@kernel
def _clean(text: Bytes, offsets: Ints, kinds: Bytes, lines: Ints, bounds: Ints, words: Ints) -> None:
    for d in range(len(offsets) - 1):
        begin, stop = offsets[d], offsets[d + 1]
        words[0, d] = count_words(text, begin, stop, kinds)
        n = _split(text, begin, stop, lines)
        for rule in range(7):
            n = _apply(text, rule, kinds, lines, n)
            if rule != _SHORT:
                n = _strip(text, kinds, lines, n)
        end = bounds[d]
        for i in range(n):
            if i > 0:
                text[end] = _NEWLINE
                end += 1
            for k in range(lines[i, 0], lines[i, 1]):
                text[end] = text[k]
                end += 1
        bounds[d + 1] = end
        words[1, d] = count_words(text, bounds[d], end, kinds)


@leaf
def count_words(text: Bytes, at: int, stop: int, kinds: Bytes) -> int:
    """Runs without ASCII whitespace and NUL, as fastText splits, that begin with a letter or a digit."""
    n, was_space = 0, True
    while at < stop:
        byte = text[at]
        is_space = byte == 32 or 9 <= byte <= 13 or byte == 0
        if was_space and not is_space:
            code, _ = code_point(text, at)
            n += kinds[code] & ALNUM != 0
        was_space = is_space
        at += 1
    return n


@leaf
def _split(text: Bytes, begin: int, stop: int, lines: Ints) -> int:
    """Bounds of all lines, also empty ones; how many they are."""
    n = 0
    for at in range(begin, stop):
        if text[at] == _NEWLINE:
            lines[n, 0], lines[n, 1] = begin, at
            begin = at + 1
            n += 1
    lines[n, 0], lines[n, 1] = begin, stop
    return n + 1


@leaf
def _apply(text: Bytes, rule: int, kinds: Bytes, lines: Ints, n: int) -> int:
    """Go over the first n lines with one rule; how many stay."""
    n_kept = 0
    for i in range(n):
        begin, end = lines[i, 0], lines[i, 1]
        stays = begin == end
        if not stays:
            if rule == _UPPERCASE:
                stays = _share(text, begin, end, kinds, UPPER) <= MAX_UPPERCASE
            elif rule == _NUMERIC:
                stays = _share(text, begin, end, kinds, DIGIT) <= MAX_DIGITS
            elif rule == _COUNTER:
                stays = not _is_counter(text, begin, end, kinds)
            elif rule == _SHORT:
                stays = _has_words(text, begin, end, kinds, MIN_WORDS)
            elif _has_words(text, begin, end, kinds, MAX_WORDS_WITH_PHRASE + 1):
                stays = True
            else:
                begin, end = _without_phrase(text, begin, end, rule, kinds)
                stays = not _is_blank(text, begin, end, kinds)
        if stays:
            lines[n_kept, 0], lines[n_kept, 1] = begin, end
            n_kept += 1
    return n_kept


@leaf
def _share(text: Bytes, at: int, end: int, kinds: Bytes, kind: int) -> float:
    """The share of characters that are of a kind."""
    n, n_kind = 0, 0
    while at < end:
        code, size = code_point(text, at)
        n_kind += kinds[code] & kind != 0
        n += 1
        at += size
    return n_kind / n


@leaf
def _is_counter(text: Bytes, at: int, end: int, kinds: Bytes) -> bool:
    """A number, perhaps with k, m or b, whitespace and one of the counted things, among nothing but punctuation."""
    at = _skip(text, at, end, kinds, WORD, False)
    if at == end:
        return False
    code, _ = code_point(text, at)
    if not kinds[code] & DECIMAL:
        return False
    while at < end:
        code, size = code_point(text, at)
        if not (kinds[code] & DECIMAL or code in (_COMMA, _STOP)):
            break
        at += size
    if at < end:
        code, size = code_point(text, at)
        at += size if code in (0x4B, 0x6B, 0x212A, 0x4D, 0x6D, 0x42, 0x62) else 0  # K and the Kelvin sign, M, B
    after = _skip(text, at, end, kinds, SPACE, True)
    if after == at:
        return False
    for word in range(len(_FIRST) - 1):
        close = phrase_end(text, after, end, _LETTERS, _FIRST[word], _FIRST[word + 1], False)
        if close >= 0 and _skip(text, close, end, kinds, WORD, False) == end:
            return True
    return False


@leaf
def _skip(text: Bytes, at: int, end: int, kinds: Bytes, kind: int, wanted: bool) -> int:
    """The next place whose character is not of that kind (or is, where `wanted` is false)."""
    while at < end:
        code, size = code_point(text, at)
        if (kinds[code] & kind != 0) != wanted:
            break
        at += size
    return at


@leaf
def _has_words(text: Bytes, at: int, end: int, kinds: Bytes, n_words: int) -> bool:
    """Whether there are at least that many words, split at Unicode whitespace."""
    n = 0
    at = _skip(text, at, end, kinds, SPACE, True)
    while at < end and n < n_words:
        n += 1
        at = _skip(text, _skip(text, at, end, kinds, SPACE, False), end, kinds, SPACE, True)
    return n >= n_words


@leaf
def _is_blank(text: Bytes, begin: int, end: int, kinds: Bytes) -> bool:
    return _skip(text, begin, end, kinds, SPACE, True) == end


@leaf
def _without_phrase(text: Bytes, begin: int, end: int, rule: int, kinds: Bytes) -> tuple[int, int]:
    """The line without the phrase of a rule, changed in place: its bounds then."""
    if rule == _SIGN_IN_RULE:
        close = phrase_end(text, begin, end, _SIGN_IN, 0, len(_SIGN_IN), True)
        return (_skip_one(text, close, end, kinds) if close >= 0 else begin), end
    at, kept, gap = begin, begin, -1  # gap: where a whitespace character stands right before `at`
    while at < end:
        code, size = code_point(text, at)
        close = -1
        if rule == _CART_RULE:
            close = phrase_end(text, at, end, _CART, 0, len(_CART), True)
        else:
            close = phrase_end(text, at, end, _READ_MORE, 0, len(_READ_MORE), True)
            if close >= 0 and count_characters(text, close, end) == _ANY_AFTER_READ_MORE:
                return begin, gap if gap >= 0 else at
            close = -1
        if close >= 0:
            kept = gap if gap >= 0 else kept
            at, gap = close, -1
            continue
        gap = kept if kinds[code] & SPACE else -1
        for k in range(size):
            text[kept + k] = text[at + k]
        kept += size
        at += size
    return begin, kept


@leaf
def _skip_one(text: Bytes, at: int, end: int, kinds: Bytes) -> int:
    """`at`, or behind the one whitespace character there."""
    if at < end:
        code, size = code_point(text, at)
        if kinds[code] & SPACE:
            return at + size
    return at


@leaf
def _strip(text: Bytes, kinds: Bytes, lines: Ints, n: int) -> int:
    """Take whitespace from both ends of the text that the lines make up; how many lines are left."""
    first = 0
    while first < n and _is_blank(text, lines[first, 0], lines[first, 1], kinds):
        first += 1
    while n > first and _is_blank(text, lines[n - 1, 0], lines[n - 1, 1], kinds):
        n -= 1
    if first == n:
        return 0
    for i in range(first, n):
        lines[i - first, 0], lines[i - first, 1] = lines[i, 0], lines[i, 1]
    n -= first
    lines[0, 0] = _skip(text, lines[0, 0], lines[0, 1], kinds, SPACE, True)
    end = lines[n - 1, 0]
    at = end
    while at < lines[n - 1, 1]:
        code, size = code_point(text, at)
        at += size
        if not kinds[code] & SPACE:
            end = at
    lines[n - 1, 1] = end
    return n
