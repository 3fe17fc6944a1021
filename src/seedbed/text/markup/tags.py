"""The tags of a page in bytes, cut as the tokenizer of WHATWG HTML, 13.2.5, cuts them. The bytes are valid UTF-8."""

from __future__ import annotations

from typing import Any

import numpy as np

from seedbed.text.kernel import Bytes, Ints, leaf
from seedbed.text.vectors import ALL, BLOCK, NONE, ONE, between, count_bits, load, lowest_bit

OPEN, CLOSE, EMPTY, OTHER = 0, 1, 2, 3
"""A start tag, an end tag, a start tag that ends with a slash, markup that is no tag."""
FORMATTING, FLAT, RAW, VOID, SVG, MATH, ANCHOR, OPTION, ROOT = 1, 2, 4, 8, 16, 32, 64, 128, 256
BREAKOUT, SVG_POINT, MATH_POINT, SCRIPT, PARAGRAPH, FONT = 512, 1024, 2048, 4096, 8192, 16384
"""What is known of an element, from its name."""

LT, GT, SLASH = 60, 62, 47
_BANG, _DASH, _ASK, _EQUALS = 33, 45, 63, 61
_PLACES, _PLACE_SHIFT = 512, np.uint64(55)
_EIGHT = np.uint64(8)
_HASH_FACTOR, _HALF = np.uint64(0x9E3779B97F4A7C15), np.uint64(32)
_LOW_SEVEN, _HIGH_BIT = np.uint64(0x7F7F7F7F7F7F7F7F), np.uint64(0x8080808080808080)
_FROM_A, _ABOVE_Z, _CASE_SHIFT = np.uint64(0x3F3F3F3F3F3F3F3F), np.uint64(0x2525252525252525), np.uint64(2)
_COMMENT, _CDATA = (np.uint64(int.from_bytes(start, "little")) for start in (b"<!--", b"<![CDATA"))

_BYTES = np.arange(256)
_BLANK = np.isin(_BYTES, (9, 10, 12, 13, 32))
_ENDS_WORD, _ENDS_NAME, _IS_BLANK = 1, 2, 4
_ENDS = (
    (_BLANK | (_BYTES == GT)) * _ENDS_WORD + (_BLANK | np.isin(_BYTES, (GT, SLASH))) * _ENDS_NAME + _BLANK * _IS_BLANK
).astype(np.uint8)
"""What a byte ends: an attribute's value without quotes, an element's name; and whether it is white space."""


@leaf
def find(data: Bytes, at: int, byte: int) -> int:
    """Where the byte stands first, from `at`; the end of the data where it does not."""
    while at < len(data):
        found = between(data, at, byte, byte)
        if found != NONE:
            return at + lowest_bit(found)
        at += BLOCK
    return len(data)


@leaf
def tag(data: Bytes, at: int) -> tuple[int, int, int, int, int]:
    """The tag at data[at] == '<': (its end, which of the four, name as a number, end of the name, attributes)."""
    n, i, written = len(data), at + 1, OPEN
    if i < n and data[i] == SLASH:
        written, i = CLOSE, i + 1
    if i >= n or not (65 <= data[i] <= 90 or 97 <= data[i] <= 122):
        return at + 1, OTHER, 0, 0, 0
    blanks, slashes, ends = between(data, at, 0, 32), between(data, at, SLASH, SLASH), between(data, at, GT, GT)
    name_ends = (blanks | slashes | ends) >> np.uint64(i - at)
    name_end = i + lowest_bit(name_ends) if name_ends != NONE else i + 1
    while name_end < n and not _ENDS[data[name_end]] & _ENDS_NAME:
        name_end += 1
    name = _name(data, i, name_end)
    if name_end < n and data[name_end] == GT:
        return name_end + 1, written, name, name_end, 0
    end, count, closed = _quoted_attributes(data, at, name_end, blanks | slashes, ends)
    if end < 0:
        end, count, closed = _attributes(data, name_end)
    if written == OPEN and closed and end < n:
        written = EMPTY
    return min(end + 1, n), written, name, name_end, count


@leaf
def _quoted_attributes(data: Bytes, at: int, name_end: int, gaps: np.uint64, ends: np.uint64) -> tuple[int, int, bool]:
    """What `_attributes` gives, for a tag within one block whose values stand in double quotes; else an end below 0."""
    from_name = ALL << np.uint64(name_end - at) if name_end - at < BLOCK else NONE
    quotes, equals = between(data, at, 34, 34) & from_name, between(data, at, _EQUALS, _EQUALS)
    within = _odd_so_far(quotes)
    ends &= from_name & ~within
    if ends == NONE:
        return -1, 0, False
    end = lowest_bit(ends)
    outside = from_name & ~within & ~(ALL << np.uint64(end))
    openings = quotes & within & ~(ALL << np.uint64(end))
    equals &= outside
    no_names = (gaps | quotes) << ONE & equals  # an equals sign with no name before it begins a name
    if equals << ONE != openings or no_names != NONE or between(data, at, 39, 39) & outside != NONE:
        return -1, 0, False
    words = outside & ~gaps & ~quotes
    return at + end, count_bits(words & ~(words << ONE)), data[at + end - 1] == SLASH


@leaf
def _odd_so_far(bits: np.uint64) -> np.uint64:
    """Bit i: whether the number of bits set up to and with i is odd."""
    for shift in (1, 2, 4, 8, 16, 32):
        bits ^= bits << np.uint64(shift)
    return bits


@leaf
def _name(data: Bytes, start: int, end: int) -> Any:
    """A name in lower case as a number: of up to 8 bytes no two are alike, as 0xFF is in no UTF-8; a hash of more."""
    word, at = _letters(data, start, end), start + 8
    while at < end:
        word = _mixed(word, _letters(data, at, end))
        at += 8
    return np.int64(word)


@leaf
def _letters(data: Bytes, at: int, end: int) -> np.uint64:
    word = _lower(load(data, at, end))
    return word | ALL << _EIGHT * np.uint64(end - at) if end - at < 8 else word


@leaf
def _lower(word: np.uint64) -> np.uint64:
    """Eight bytes with A to Z in lower case."""
    low = word & _LOW_SEVEN
    upper = ((low + _FROM_A) ^ (low + _ABOVE_Z)) & ~word & _HIGH_BIT
    return word | upper >> _CASE_SHIFT


@leaf
def _mixed(value: np.uint64, word: np.uint64) -> np.uint64:
    value = (value ^ word) * _HASH_FACTOR
    return value ^ value >> _HALF


@leaf
def hashed(data: Bytes, start: int, end: int, value: int) -> Any:
    """A hash of data[start:end] and a number."""
    word = np.uint64(value)
    while start < end:
        word = _mixed(word, load(data, start, end))
        start += 8
    return np.int64(word)


@leaf
def _attributes(data: Bytes, at: int) -> tuple[int, int, bool]:
    """The attributes of a tag, from behind its name: (where its ">" stands, how many, whether "/" closes it)."""
    n, i, count, closed = len(data), at, 0, False
    while i < n and data[i] != GT:
        closed = data[i] == SLASH
        if closed or _ENDS[data[i]]:
            i += 1
            continue
        count += 1
        i = _attribute_name_end(data, i + 1)  # whatever begins a name belongs to it, "=" too
        j = i
        while j < n and _ENDS[data[j]] & _IS_BLANK:
            j += 1
        if j >= n or data[j] != _EQUALS:
            continue
        i = j + 1
        while i < n and _ENDS[data[i]] & _IS_BLANK:
            i += 1
        if i < n and (data[i] == 34 or data[i] == 39):
            i = min(find(data, i + 1, data[i]) + 1, n)
        else:
            while i < n and not _ENDS[data[i]] & _ENDS_WORD:
                i += 1
    return i, count, closed


@leaf
def _attribute_name_end(data: Bytes, at: int) -> int:
    """Where white space, "/", ">" or "=" comes first, by blocks: a loop over bytes is mispredicted once a name."""
    while at < len(data):
        blank = between(data, at, 9, 10) | between(data, at, 12, 13) | between(data, at, 32, 32)
        found = blank | between(data, at, _EQUALS, GT) | between(data, at, SLASH, SLASH)
        if found != NONE:
            return at + lowest_bit(found)
        at += BLOCK
    return len(data)


@leaf
def markup_end(data: Bytes, at: int, is_foreign: bool) -> int:
    """The end of a comment, doctype or the like that begins at data[at] == '<', or at + 1.

    Args:
        is_foreign: within SVG or MathML, where CDATA is known.
    """
    n = len(data)
    if at + 1 >= n or (data[at + 1] != _BANG and data[at + 1] != _ASK and data[at + 1] != SLASH):
        return at + 1
    if load(data, at, min(at + 4, n)) == _COMMENT:
        return _comment_end(data, at + 4)
    if is_foreign and at + 8 < n and load(data, at, at + 8) == _CDATA and data[at + 8] == 91:
        i = find(data, at + 9, GT)
        while i < n and not (data[i - 1] == 93 and data[i - 2] == 93 and i >= at + 11):
            i = find(data, i + 1, GT)
        return min(i + 1, n)
    return min(find(data, at + 2, GT) + 1, n)


@leaf
def _comment_end(data: Bytes, at: int) -> int:
    """The end of a comment whose content begins at `at`: behind "-->" or "--!>", or ">" or "->" at once."""
    n = len(data)
    if at < n and data[at] == GT:
        return at + 1
    i = find(data, at, GT)
    while i < n:
        bang = 1 if data[i - 1] == _BANG and i - 3 >= at else 0
        if data[i - 1 - bang] == _DASH and data[i - 2 - bang] == _DASH:
            return i + 1
        i = find(data, i + 1, GT)
    return n


@leaf
def raw_end(data: Bytes, at: int, name: int, is_script: bool) -> int:
    """Where the closing tag of a raw text element begins whose content begins at `at`.

    A script holds "<!--" and "<script" like a comment and an element, and its end tag within both is text.
    """
    n, i, comment_end, within = len(data), find(data, at, LT), 0, False
    while i < n:
        if i >= comment_end:
            within = False
        if is_script and i >= comment_end and load(data, i, min(i + 4, n)) == _COMMENT:
            comment_end = _script_comment_end(data, i + 4)
        elif i + 1 < n and (data[i + 1] == SLASH or (is_script and i < comment_end)):
            start = i + 2 if data[i + 1] == SLASH else i + 1
            end = start
            while end < n and end - start < 9 and (65 <= data[end] <= 90 or 97 <= data[end] <= 122):
                end += 1
            if end > start and end < n and _ENDS[data[end]] & _ENDS_NAME and _name(data, start, end) == name:
                if start == i + 2 and not within:
                    return i
                within = start == i + 1
        i = find(data, i + 1, LT)
    return n


@leaf
def _script_comment_end(data: Bytes, at: int) -> int:
    """Behind the "-->" that ends a comment within a script; its dashes may be those of "<!--"."""
    n, i = len(data), find(data, at, GT)
    while i < n and not (data[i - 1] == _DASH and data[i - 2] == _DASH):
        i = find(data, i + 1, GT)
    return min(i + 1, n)


def _table() -> tuple[Ints, Ints]:
    """(name as `_name` makes it, what is known of the element), open addressing; 0 is a free place."""
    known: dict[int, int] = {}
    for kind, words in _ELEMENTS:
        for word in words.split():
            value = _python_name(word.encode())
            known[value] = known.get(value, 0) | kind
    names, kinds = np.zeros(_PLACES, np.uint64), np.zeros(_PLACES, np.int64)
    for name, kind in known.items():
        at = name * int(_HASH_FACTOR) % (1 << 64) >> int(_PLACE_SHIFT)
        while names[at] != 0:
            at = (at + 1) % _PLACES
        names[at], kinds[at] = name, kind
    return names.view(np.int64), kinds


def _python_name(word: bytes) -> int:
    """What `_name` makes of a word in lower case."""
    value = int.from_bytes(word[:8].ljust(8, b"\xff"), "little")
    for at in range(8, len(word), 8):
        value = (value ^ int.from_bytes(word[at : at + 8].ljust(8, b"\xff"), "little")) * int(_HASH_FACTOR) % (1 << 64)
        value ^= value >> int(_HALF)
    return value


_VOID_NAMES = "area base basefont bgsound br col embed frame hr image img input keygen link meta param source track wbr"
_ELEMENTS = (
    (FORMATTING, "a b big code em font i nobr s small strike strong tt u"),
    (VOID, _VOID_NAMES),
    # elements that end the one before them, so that leaving them open does not nest
    (FLAT, _VOID_NAMES),
    (FLAT, "p li dd dt option optgroup rt rp tr td th tbody thead tfoot caption colgroup html head body"),
    (RAW, "script style textarea title xmp iframe noembed noframes"),
    (SCRIPT, "script"),
    (SVG, "svg"),
    (MATH, "math"),
    (ANCHOR, "a"),
    (OPTION, "option"),
    (ROOT, "body html"),
    (PARAGRAPH, "p br"),
    (FONT, "font"),
    # WHATWG HTML, 13.2.6.5: what ends SVG and MathML where it begins; and where HTML begins within them
    (
        BREAKOUT,
        "b big blockquote body br center code dd div dl dt em embed h1 h2 h3 h4 h5 h6 head hr i img li listing menu "
        "meta nobr ol p pre ruby s small span strong strike sub sup table tt u ul var",
    ),
    (SVG_POINT, "foreignobject desc title"),
    (MATH_POINT, "mi mo mn ms mtext annotation-xml"),
)
_NAMES, _KINDS = _table()


@leaf
def kind_of(name: int) -> int:
    """What is known of an element from its name."""
    at = np.int64((np.uint64(name) * _HASH_FACTOR) >> _PLACE_SHIFT)
    while _NAMES[at] != name:
        if _NAMES[at] == 0:
            return 0
        at = (at + 1) & (_PLACES - 1)
    return _KINDS[at]
