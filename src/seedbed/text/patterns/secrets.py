"""Secrets in texts: private keys, access tokens of known form, JSON web tokens, passwords in URLs.

A token is one by its prefix, alphabet and length, as its issuer documents them; made-up ones (few different characters,
a long run of one, the word EXAMPLE) are none. Passwords are looked for in URLs alone, and only those with a digit or a
sign: a placeholder is a word of some language.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np

from seedbed.core.nouns import DocumentBatch
from seedbed.text.kernel import Bytes, Ints, kernel
from seedbed.text.patterns.bytes import (
    ALNUM,
    BASE64,
    COLON,
    DIGIT,
    DOT,
    HEX,
    MINUS,
    SLASH,
    TOKEN,
    UPPER,
    is_a,
    is_at,
    is_space,
    small,
    tail_before,
)
from seedbed.text.patterns.mask import Found, add


class Shape(NamedTuple):
    """How a token looks: a prefix, then least to most characters of some classes."""

    kind: str
    prefixes: str
    classes: int
    least: int
    most: int


SHAPES = (
    Shape("aws_access_key", "AKIA ASIA ABIA ACCA", UPPER | DIGIT, 16, 16),
    Shape("github_token", "ghp_ gho_ ghu_ ghs_ ghr_", ALNUM, 36, 251),
    Shape("github_token", "github_pat_", TOKEN, 82, 244),
    Shape("gitlab_token", "glpat- glrt- gldt- glptt-", TOKEN, 20, 300),
    Shape("google_api_key", "AIza", TOKEN, 35, 35),
    Shape("google_api_key", "GOCSPX-", TOKEN, 28, 28),
    Shape("slack_token", "xoxb- xoxp- xoxa- xoxr- xoxs- xoxe- xapp-", TOKEN, 24, 300),
    Shape("stripe_key", "sk_live_ rk_live_", ALNUM, 24, 247),
    Shape("model_api_key", "sk-", TOKEN, 32, 200),
    Shape("hugging_face_token", "hf_", ALNUM, 34, 40),
    Shape("npm_token", "npm_", ALNUM, 36, 36),
    Shape("pypi_token", "pypi-AgEIcHlwaS5vcmc", TOKEN, 50, 1000),
    Shape("digitalocean_token", "dop_v1_ doo_v1_ dor_v1_", HEX, 64, 64),
    Shape("shopify_token", "shpat_ shpca_ shppa_ shpss_", HEX, 32, 32),
    Shape("docker_token", "dckr_pat_", TOKEN, 27, 27),
)
TOKENS = tuple(dict.fromkeys(shape.kind for shape in SHAPES))
KINDS = ("private_key", "json_web_token", "url_password", *TOKENS)
_PRIVATE_KEY, _WEB_TOKEN, _URL_PASSWORD, _FIRST_TOKEN = range(4)
_MODEL_KEY = KINDS.index("model_api_key")

_ON_PREFIX, _ON_DASH, _ON_COLON, _ON_EYJ = 1, 2, 3, 4
_MIN_DIFFERENT, _MAX_RUN = 8, 5
_MIN_KEY_LINE, _MIN_KEY_CHARS, _MAX_KEY_GAP = 40, 64, 200
_MIN_PART, _MAX_PART = 16, 8192
_AT, _QUESTION, _NUMBER = ord("@"), ord("?"), ord("#")
_TEMPLATE_SIGNS = (0x24, 0x3C, 0x3E, 0x7B, 0x7D, 0x5B, 0x5D, 0x28, 0x29, 0x60)  # $ < > { } [ ] ( ) `
_NAME_SIGNS = (0x2D, 0x2E, 0x5F)  # - . _


class _Table(NamedTuple):
    """The shapes for the kernel: one row a prefix; `triggers` tells which bytes may begin a secret."""

    triggers: Bytes
    prefix: Bytes
    bounds: Ints
    facts: Ints


@cache
def _table() -> _Table:
    rows = [(prefix.encode(), shape) for shape in SHAPES for prefix in shape.prefixes.split()]
    triggers = np.zeros(256, np.uint8)
    triggers[[prefix[0] for prefix, _ in rows]] = _ON_PREFIX
    triggers[[MINUS, COLON, ord("e")]] = _ON_DASH, _ON_COLON, _ON_EYJ
    prefixes = np.frombuffer(b"".join(prefix for prefix, _ in rows), np.uint8)
    bounds = np.cumsum([0, *(len(prefix) for prefix, _ in rows)]).astype(np.int64)
    facts = [(KINDS.index(shape.kind), shape.classes, shape.least, shape.most) for _, shape in rows]
    return _Table(triggers, prefixes, bounds, np.array(facts, np.int64))


def secrets(documents: DocumentBatch) -> Found:
    """The secrets of a batch; ask through `documents.derive(secrets)`."""
    return find(*documents.text_buffers())


def find(data: Bytes, offsets: Ints) -> Found:
    """The secrets of texts given as (bytes, offsets)."""
    table = _table()
    found, n = _scan(data, offsets, table.triggers, table.prefix, table.bounds, table.facts)
    return Found.of(KINDS, found[:n])


@kernel
def _scan(data: Bytes, offsets: Ints, triggers: Bytes, prefix: Bytes, bounds: Ints, facts: Ints) -> tuple[Ints, int]:
    found, n = np.empty((64, 4), np.int64), 0
    for d in range(len(offsets) - 1):
        begin, stop = offsets[d], offsets[d + 1]
        at, free = begin, begin
        while at < stop:
            trigger = triggers[data[at]]
            if trigger == 0:
                at += 1
                continue
            kind, start, end = -1, at, -1
            if trigger == _ON_COLON:
                kind = _URL_PASSWORD
                start, end = _url_password(data, at, stop)
            elif trigger == _ON_DASH:
                kind, end = _PRIVATE_KEY, _private_key(data, at, stop)
            elif _begins_word(data, free, at):
                if trigger == _ON_EYJ:
                    kind, end = _WEB_TOKEN, _web_token(data, at, stop)
                else:
                    kind, end = _token(data, at, stop, prefix, bounds, facts)
            if end >= 0:
                found, n = add(found, n, d, start - begin, end - begin, kind)
                at = free = end
            else:
                at += 1
    return found, n


@kernel
def _begins_word(data: Bytes, begin: int, at: int) -> bool:
    """Whether no token reaches over `at` from the left; an escape such as \\n before it is none of it."""
    if at == begin or not is_a(data[at - 1], TOKEN):
        return True
    return at - 2 >= begin and data[at - 2] == 0x5C and data[at - 1] in (0x6E, 0x72, 0x74)


@kernel
def _starts_with(data: Bytes, at: int, stop: int, prefix: Bytes, first: int, last: int) -> bool:
    if at + last - first > stop:
        return False
    k = first
    while k < last and data[at + k - first] == prefix[k]:
        k += 1
    return k == last


@kernel
def _token(data: Bytes, at: int, stop: int, prefix: Bytes, bounds: Ints, facts: Ints) -> tuple[int, int]:
    """(kind, end) of the token at `at`; end -1 for none."""
    for p in range(len(facts)):
        if not _starts_with(data, at, stop, prefix, bounds[p], bounds[p + 1]):
            continue
        body = at + int(bounds[p + 1] - bounds[p])
        end = body
        while is_at(data, end, stop, facts[p, 1]):
            end += 1
        while end > body and not is_a(data[end - 1], ALNUM):
            end -= 1
        if (
            not facts[p, 2] <= end - body <= facts[p, 3]
            or is_at(data, end, stop, ALNUM)
            or _is_made_up(data, body, end)
        ):
            continue
        kind = int(facts[p, 0])
        if kind != _MODEL_KEY or _is_mixed(data, body, end):
            return kind, end
    return -1, -1


@kernel
def _is_made_up(data: Bytes, start: int, end: int) -> bool:
    """Whether the characters are too few, repeat too long, or say EXAMPLE: nobody drew them by chance."""
    seen, run = np.zeros(256, np.uint8), 1
    for at in range(start, end):
        seen[data[at]] = 1
        run = run + 1 if at > start and data[at] == data[at - 1] else 1
        if run > _MAX_RUN:
            return True
        if (
            data[at] == 0x58
            and at + 5 <= end
            and data[at + 1] == 0x41
            and data[at + 2] == 0x4D
            and data[at + 4] == 0x4C
        ):
            return True  # X A M . L
    return int(seen.sum()) < _MIN_DIFFERENT


@kernel
def _is_mixed(data: Bytes, start: int, end: int) -> bool:
    """Whether there are digits and capitals, or hexadecimal digits alone: no name of words with hyphens."""
    digits, capitals, others = 0, 0, 0
    for at in range(start, end):
        digits += is_a(data[at], DIGIT)
        capitals += is_a(data[at], UPPER)
        others += not is_a(data[at], HEX)
    return digits > 0 and (capitals > 0 or others == 0)


@kernel
def _web_token(data: Bytes, at: int, stop: int) -> int:
    """The end of header.payload.signature (RFC 7519), where both header and payload are JSON objects, or -1."""
    for part in range(3):
        if part < 2 and not (
            at + 3 <= stop and data[at] == 0x65 and data[at + 1] == 0x79 and data[at + 2] == 0x4A
        ):  # eyJ
            return -1
        start = at
        while is_at(data, at, stop, TOKEN):
            at += 1
        if not _MIN_PART <= at - start <= _MAX_PART:
            return -1
        if part < 2:
            if at >= stop or data[at] != DOT:
                return -1
            at += 1
    return at


@kernel
def _private_key(data: Bytes, at: int, stop: int) -> int:
    """The end of the block that -----BEGIN ... PRIVATE KEY----- opens at `at`, or -1 where it holds no key.

    A block without an end line goes to the last line of base64.
    """
    if at + 11 > stop or data[at + 1] != MINUS or data[at + 5] != 0x42 or data[at + 6] != 0x45:  # B E
        return -1
    line = at + 11
    while line < stop and line - at < 80 and data[line] != MINUS and data[line] >= 0x20:
        line += 1
    body = _after_dashes(data, line, stop)
    if body - line != 5 or not _ends_in_key(data, at, line):
        return -1
    end, run, chars, last = body, 0, 0, body
    while end < stop and end - last < _MAX_KEY_GAP:
        run = run + 1 if is_a(data[end], BASE64) else 0
        end += 1
        if run >= _MIN_KEY_LINE:
            chars, last = chars + (run if run == _MIN_KEY_LINE else 1), end
        elif run == 0 and data[end - 1] == MINUS and _is_end(data, end - 1, stop):
            last = _after_dashes(data, end - 1, stop)
            while last < stop and data[last] != MINUS and data[last] >= 0x20:
                last += 1
            last = _after_dashes(data, last, stop)
            break
    else:
        last = _short_line(data, last, stop)
    return last if chars >= _MIN_KEY_CHARS else -1


@kernel
def _short_line(data: Bytes, at: int, stop: int) -> int:
    """The end of a last, shorter line of base64 behind `at`, or `at` where none follows."""
    start = at
    while start < stop and start - at < 8 and not is_a(data[start], BASE64):
        start += 1
    end = start
    while is_at(data, end, stop, BASE64):
        end += 1
    return end if end - start >= _MIN_PART else at


@kernel
def _after_dashes(data: Bytes, at: int, stop: int) -> int:
    while at < stop and data[at] == MINUS:
        at += 1
    return at


@kernel
def _is_end(data: Bytes, at: int, stop: int) -> bool:
    """Whether -----END stands at `at`."""
    return at + 8 <= stop and _after_dashes(data, at, stop) == at + 5 and data[at + 5] == 0x45 and data[at + 6] == 0x4E


@kernel
def _ends_in_key(data: Bytes, at: int, line: int) -> bool:
    """Whether "PRIVATE KEY", perhaps with " BLOCK", ends at `line`."""
    if tail_before(data, at, line, 5) == 0x626C6F636B:  # block
        line -= 6
    return tail_before(data, at, line, 3) == 0x6B6579 and tail_before(data, at, line - 4, 7) == 0x70726976617465


@kernel
def _url_password(data: Bytes, at: int, stop: int) -> tuple[int, int]:
    """(start, end) of the password in the URL whose "://" stands at `at`, or (-1, -1)."""
    if at + 3 >= stop or data[at + 1] != SLASH or data[at + 2] != SLASH:
        return -1, -1
    start, end, colon = at + 3, at + 3, -1
    while end < stop and end - start < 256 and data[end] != _AT:
        byte = data[end]
        if is_space(byte) or byte in (SLASH, _QUESTION, _NUMBER):
            return -1, -1
        if byte == COLON and colon < 0:
            colon = end
        end += 1
    if end >= stop or data[end] != _AT or colon < 0 or not _is_drawn(data, colon + 1, end):
        return -1, -1
    same = colon - start == end - colon - 1
    for k in range(start, colon):
        same = same and data[k] == data[k + colon + 1 - start]
    if same or _is_local(data, end + 1, stop):
        return -1, -1
    return colon + 1, end


@kernel
def _is_drawn(data: Bytes, start: int, end: int) -> bool:
    """Whether a password is no word and no gap to be filled: it has a digit or a sign, and none of a template."""
    digits, signs, different = 0, 0, 0
    for at in range(start, end):
        byte = data[at]
        if byte in _TEMPLATE_SIGNS:
            return False
        digits += is_a(byte, DIGIT)
        signs += byte < 0x80 and not is_a(byte, ALNUM) and byte not in _NAME_SIGNS
        different += at > start and byte != data[at - 1]
    return digits + signs > 0 and different > 2


@kernel
def _is_local(data: Bytes, at: int, stop: int) -> bool:
    """Whether a host is this machine or an example."""
    key = np.uint64(0)
    while at < stop and (is_a(data[at], ALNUM) or data[at] == DOT or data[at] == MINUS):
        key = key << np.uint64(8) | np.uint64(small(data[at]))
        if key == 0x6C6F63616C686F73 or key & np.uint64(0xFFFFFFFFFFFFFF) == 0x6578616D706C65:  # localhos, example
            return True
        at += 1
    return False
