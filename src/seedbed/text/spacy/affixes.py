"""Where spaCy's English tokenizer cuts a run of non-whitespace: kernels for its prefixes, suffixes, infixes and URLs.

Each answers what the published regular expression answers on data[begin:close], with the same lookaround limits: no
rule sees beyond these bounds. The expressions are those of spaCy 3.8.18 (MIT License); scripts/build_spacy_rules.py
checks that they are the ones known here.
"""

from __future__ import annotations

import numpy as np

from seedbed.text.kernel import Bytes, Hashes, leaf
from seedbed.text.spacy.tables import (
    ACTIVE,
    ASCII_DIGIT,
    BEFORE_STOP,
    DIGIT,
    INFIX,
    IS_AFTER_DIGIT,
    LETTER,
    LOWER,
    PREFIX,
    QUOTE,
    SUFFIX,
    UPPER,
    WORD,
    Kinds,
    find_name,
)
from seedbed.text.unicode import code_point

_STOP, _PLUS, _MINUS, _COMMA, _COLON, _SLASH, _AT = 0x2E, 0x2B, 0x2D, 0x2C, 0x3A, 0x2F, 0x40
_DOLLAR, _UNDERSCORE, _QUESTION, _NUMBER_SIGN, _APOSTROPHE = 0x24, 0x5F, 0x3F, 0x23, 0x27
_ELLIPSIS, _RIGHT_QUOTE, _EN_DASH, _EM_DASH, _TILDE, _DEGREE = 0x2026, 0x2019, 0x2013, 0x2014, 0x7E, 0xB0
_STAR, _CARET, _LESS, _EQUAL, _GREATER, _SMALL_S = 0x2A, 0x5E, 0x3C, 0x3D, 0x3E, 0x73
_OTHER_DIGIT = 15
_LONGEST_AFTER_DIGIT = 12
"""Bytes of the longest unit or currency sign that is cut off behind a digit."""


@leaf
def start_before(data: Bytes, close: int) -> int:
    """Where the code point that ends at `close` begins."""
    close -= 1
    while data[close] & 0xC0 == 0x80:
        close -= 1
    return close


@leaf
def prefix(data: Bytes, begin: int, close: int, kinds: Kinds) -> int:
    """Bytes to cut off at the front, or 0."""
    code, size = code_point(data, begin)
    after = begin + size
    if kinds[code] & PREFIX:
        is_sign = code == _PLUS and after < close and kinds[data[after]] & ASCII_DIGIT != 0
        return 0 if is_sign else size
    if code == _STOP:
        while after < close and data[after] == _STOP:
            after += 1
        return after - begin if after - begin > 1 else 0
    if (code == 0x41 or code == 0x43) and after < close and data[after] == _DOLLAR:  # A$ C$
        return 2
    if code == 0x55 and after + 1 < close and data[after] == 0x53 and data[after + 1] == _DOLLAR:  # US$
        return 3
    return 0


@leaf
def suffix(data: Bytes, begin: int, close: int, has_digit: bool, kinds: Kinds, names: Hashes) -> int:
    """Bytes to cut off at the back, or 0: the longest that a rule allows. `has_digit`: one of 0-9 may be there."""
    if begin >= close:
        return 0
    last = start_before(data, close)
    code, size = code_point(data, last)
    kind = kinds[code]
    if code == _STOP:
        return _full_stop(data, begin, last, kinds)
    best = size if kind & SUFFIX else 0
    if last > begin:
        previous = start_before(data, last)
        before, before_size = code_point(data, previous)
        is_possessive = (code | 0x20) == _SMALL_S and (before in (_APOSTROPHE, _RIGHT_QUOTE))
        if is_possessive or (code == _ELLIPSIS and before == _ELLIPSIS):
            best = before_size + size
        elif code == _PLUS and kinds[before] & ASCII_DIGIT:
            best = max(best, 1)
        if has_digit and not kind & ASCII_DIGIT:
            best = max(best, _after_digit(data, begin, close, kinds, names))
    return best


@leaf
def _full_stop(data: Bytes, begin: int, last: int, kinds: Kinds) -> int:
    """What to cut where the text ends in a full stop at `last`."""
    first = last
    while first > begin and data[first - 1] == _STOP:
        first -= 1
    if first < last:
        return last + 1 - first
    if last == begin:
        return 0
    previous = start_before(data, last)
    code, _ = code_point(data, previous)
    if kinds[code] & BEFORE_STOP:
        return 1
    if previous > begin:
        before, _ = code_point(data, start_before(data, previous))
        if kinds[code] & UPPER and kinds[before] & UPPER:
            return 1
        if before == _DEGREE and (code == 0x43 or code == 0x46 or code == 0x4B):  # lower case is BEFORE_STOP
            return 1
    return 0


@leaf
def _after_digit(data: Bytes, begin: int, close: int, kinds: Kinds, names: Hashes) -> int:
    """Bytes of a unit or a currency that stands behind a digit at the end, or 0."""
    at = close - 1
    while at > begin and close - at <= _LONGEST_AFTER_DIGIT and not kinds[data[at - 1]] & ASCII_DIGIT:
        at -= 1
    if at == begin or close - at > _LONGEST_AFTER_DIGIT:
        return 0
    return close - at if find_name(data, at, close, names) & IS_AFTER_DIGIT else 0


@leaf
def next_infix(data: Bytes, begin: int, close: int, at: int, kinds: Kinds) -> tuple[int, int]:
    """The bounds of the first infix that begins at `at` or later; (close, close) where there is none."""
    before = np.uint16(0)
    if at > begin:
        code, _ = code_point(data, start_before(data, at))
        before = kinds[code]
    while at < close:
        code, size = code_point(data, at)
        kind = kinds[code]
        if kind & ACTIVE:
            length = _infix(data, at, close, before, kinds)
            if length:
                return at, at + length
        before = kind
        at += size
    return close, close


@leaf
def _infix(data: Bytes, at: int, close: int, before: np.uint16, kinds: Kinds) -> int:
    """Bytes of the infix at `at`, behind a code point of kind `before`, or 0."""
    code, size = code_point(data, at)
    after = at + size
    if kinds[code] & INFIX:
        return size
    if code == _STOP and after < close and data[after] == _STOP:
        while after < close and data[after] == _STOP:
            after += 1
        return after - at
    if after == close or before == 0:
        return 0
    following, _ = code_point(data, after)
    follows = kinds[following]
    if code == _STOP:
        return 1 if before & (LOWER | QUOTE) and follows & (UPPER | QUOTE) else 0
    is_sign = code in (_PLUS, _MINUS, _STAR, _CARET)
    if is_sign and before & ASCII_DIGIT and (follows & ASCII_DIGIT or following == _MINUS):
        return 1
    if code == _COMMA:
        return 1 if before & LETTER and follows & LETTER else 0
    if not before & (LETTER | ASCII_DIGIT):
        return 0
    if code in (_COLON, _LESS, _GREATER, _EQUAL, _SLASH):
        return 1 if follows & LETTER else 0
    if code in (_MINUS, _EN_DASH, _EM_DASH, _TILDE):
        return _hyphen(data, at, after, close, kinds)
    return 0


@leaf
def _hyphen(data: Bytes, at: int, after: int, close: int, kinds: Kinds) -> int:
    """Bytes of the dashes at `at` (up to three -, one or two em dashes, one of the others) before a letter, or 0."""
    code, size = code_point(data, at)
    most = 3 if code == _MINUS else 2 if code == _EM_DASH else 1
    for _ in range(most):
        if after >= close:
            return 0
        following, _size = code_point(data, after)
        if kinds[following] & LETTER:
            return after - at
        if following != code:
            return 0
        after += size
    return 0


@leaf
def is_url(data: Bytes, begin: int, close: int, kinds: Kinds) -> bool:
    """Whether all of it is a URL or an e-mail address: [protocol://][user@]host[:port][/path]."""
    if _is_host(data, begin, close, kinds):
        return True
    at, n_protocol, is_protocol = begin, 0, True
    while at < close:
        code, size = code_point(data, at)
        if is_protocol and not (kinds[code] & WORD or code in (_PLUS, _MINUS, _STOP)):
            is_protocol = False
            marked = code == _COLON and at + 2 < close and data[at + 1] == _SLASH and data[at + 2] == _SLASH
            if n_protocol >= 2 and marked and _is_host(data, at + 3, close, kinds):
                return True
        n_protocol += 1
        at += size
        if code == _AT and at > begin + 1 and _is_host(data, at, close, kinds):
            return True
    return False


@leaf
def _is_host(data: Bytes, at: int, close: int, kinds: Kinds) -> bool:
    """Whether data[at:close] is a host name or a public IPv4 address, with or without port and path."""
    if at >= close:
        return False
    if kinds[data[at]] & ASCII_DIGIT and _is_address(data, at, close, kinds):
        return True
    n_labels = 0
    while True:
        count, first_is_edge, last_is_edge, is_label, is_top = 0, False, False, True, True
        while at < close:
            code, size = code_point(data, at)
            if code in (_STOP, _COLON, _SLASH, _QUESTION, _NUMBER_SIGN):
                break
            last_is_edge = _is_edge(code)
            first_is_edge = first_is_edge or (count == 0 and last_is_edge)
            is_label = is_label and first_is_edge and (last_is_edge or code in (_MINUS, _UNDERSCORE))
            is_top = is_top and kinds[code] & LOWER != 0
            count += 1
            if count > 64 or not (is_label or is_top):
                return False
            at += size
        if at < close and data[at] == _STOP:
            if count == 0 or not is_label or not last_is_edge:
                return False
            n_labels += 1
            at += 1
            continue
        return n_labels > 0 and is_top and 2 <= count <= 63 and _is_rest(data, at, close, kinds)


@leaf
def _is_edge(code: int) -> bool:
    """Whether a label of a host name may begin and end with it."""
    return 0x61 <= code | 0x20 <= 0x7A or 0x30 <= code <= 0x39 or 0xA1 <= code <= 0xFFFF


@leaf
def _is_rest(data: Bytes, at: int, close: int, kinds: Kinds) -> bool:
    """Whether data[at:close] is nothing, a port, a path, or both."""
    if at < close and data[at] == _COLON:
        n = 0
        at += 1
        while at < close and n <= 5:
            code, size = code_point(data, at)
            if not kinds[code] & DIGIT:
                break
            n += 1
            at += size
        if n < 2 or n > 5:
            return False
    return at == close or data[at] == _SLASH or data[at] == _QUESTION or data[at] == _NUMBER_SIGN


@leaf
def _is_address(data: Bytes, at: int, close: int, kinds: Kinds) -> bool:
    """Whether data[at:close] begins with an IPv4 address that spaCy's expression takes, and goes on as a URL can."""
    first, second = 0, 0
    for k in range(4):
        octet, n = 0, 0
        while at < close and n < 3:
            code, size = code_point(data, at)
            if not kinds[code] & DIGIT:
                break
            digit = code - 0x30 if code < 0x80 else _OTHER_DIGIT
            octet = octet << 4 | digit
            n += 1
            at += size
        if n == 0 or not _is_octet(octet, n, k) or (k < 3 and (at >= close or data[at] != _STOP)):
            return False
        if k < 3:
            at += 1
        if k == 0:
            first = octet
        elif k == 1:
            second = octet
    return not _is_private(first, second) and _is_rest(data, at, close, kinds)


@leaf
def _is_octet(octet: int, n: int, k: int) -> bool:
    """Whether n digits (four bits each) can be octet k of an address; digits of other scripts only where any may be."""
    a, b, c = octet >> 8, octet >> 4 & 15, octet & 15
    if n < 3:
        return k == 1 or k == 2 or 1 <= octet >> 4 * (n - 1) <= 9
    if a != 2:
        return a == 1
    if k == 0:
        return b <= 1 or (b == 2 and c <= 3)
    return b <= 4 or (b == 5 and c <= (4 if k == 3 else 5))


@leaf
def _is_private(first: int, second: int) -> bool:
    """10/8, 127/8, 169.254/16, 192.168/16, 172.16/12."""
    if first == 0x10 or first == 0x127:
        return True
    if first == 0x172:
        return 0x16 <= second <= 0x19 or 0x20 <= second <= 0x2F or second == 0x30 or second == 0x31
    return (first == 0x169 and second == 0x254) or (first == 0x192 and second == 0x168)
