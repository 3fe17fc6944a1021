"""Addresses in a text: e-mail, IPv4, IPv6. Kernels that judge one candidate each; `personal` finds candidates.

What is reserved for documentation or of no person is none: example.com and its like (RFC 2606), networks that IANA
keeps for private, local, test or multicast use (RFC 6890), git@host of a remote repository, a password in a URL
(that is a secret, not an address), a handle such as @name@host.
"""

from __future__ import annotations

import itertools
from functools import cache
from pathlib import Path

import numpy as np

from seedbed.text.hashing import extend
from seedbed.text.kernel import Bytes, Hashes, kernel
from seedbed.text.patterns.bytes import (
    ALNUM,
    COLON,
    DIGIT,
    DOT,
    HEX,
    LOCAL,
    MINUS,
    SLASH,
    SPACE,
    is_a,
    is_at,
    is_known,
    packed,
    scheme_before,
    small,
    tail_before,
)

_MAX_LOCAL, _MAX_LABEL = 64, 63
_AT, _UNDERSCORE, _PARENTHESIS, _EQUALS, _NEWLINE = ord("@"), ord("_"), ord("("), ord("="), ord("\n")
_EXAMPLE = int.from_bytes(b"example", "big")
_XN = int.from_bytes(b"xn--", "big")
_GIT = int.from_bytes(b"git", "big")

_SPECIAL_IPV4 = """
0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24 192.0.2.0/24 192.88.99.0/24
192.168.0.0/16 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 224.0.0.0/4 240.0.0.0/4
"""
_VERSION_WORDS = packed(
    "version versions ver vers v release releases rel rev revision build builds firmware section sections sec "
    "chapter clause table figure fig update updates upgrade upgraded kernel patch paragraph para annex appendix "
    "article item step sdk api oid oids identifier identifiers driver module"
)
_VERSION_SIGNS = (0x3D, 0x7E, 0x21, 0x5E)  # = ~ ! ^


def _networks(listed: str) -> tuple[Hashes, Hashes]:
    """(network, mask) of each."""
    pairs = [one.split("/") for one in listed.split()]
    bases = [int.from_bytes(bytes(map(int, base.split("."))), "big") for base, _ in pairs]
    masks = [0xFFFFFFFF << 32 - int(bits) & 0xFFFFFFFF for _, bits in pairs]
    return np.array(bases, np.uint64), np.array(masks, np.uint64)


_BASES, _MASKS = _networks(_SPECIAL_IPV4)


@cache
def top_level_domains() -> Hashes:
    """The keys of all ASCII top-level domains, sorted."""
    lines = Path(__file__).with_name("top_level_domains.txt").read_text(encoding="ascii").splitlines()
    names = [name.encode() for line in lines if not line.startswith("#") for name in line.split()]
    data, bounds = np.frombuffer(b"".join(names), np.uint8), np.cumsum([0, *map(len, names)])
    return np.sort(np.array([_key(data, a, b) for a, b in itertools.pairwise(bounds)], np.uint64))


@kernel
def _key(data: Bytes, start: int, stop: int) -> np.uint64:
    state = np.uint64(stop - start)
    for at in range(start, stop):
        state = extend(state, np.uint64(small(data[at])))
    return state


@kernel
def email(data: Bytes, begin: int, at: int, stop: int, domains: Hashes) -> tuple[int, int]:
    """(start, end) of the address around the @ at `at`, or (-1, -1)."""
    start = _local_start(data, begin, at)
    if start == at or at - start > _MAX_LOCAL or data[at - 1] == DOT:
        return -1, -1
    end = _domain_end(data, at + 1, stop, domains)
    if end < 0 or (end < stop and (data[end] == _PARENTHESIS or data[end] == _AT)):
        return -1, -1
    if start > begin and data[start - 1] == _AT:
        return -1, -1
    if at - start == 3 and tail_before(data, begin, at, 3) == _GIT:
        return -1, -1
    if start > begin and (data[start - 1] == COLON or data[start - 1] == SLASH) and _is_userinfo(data, begin, start):
        return -1, -1
    return start, end


@kernel
def _local_start(data: Bytes, begin: int, at: int) -> int:
    """Where the part before the @ begins; accented Latin letters (U+00C0 to U+027F) belong to it."""
    start = at
    while start > begin and at - start <= _MAX_LOCAL:
        byte = data[start - 1]
        if is_a(byte, LOCAL):
            start -= 1
        elif byte & 0xC0 == 0x80 and start - 2 >= begin and 0xC3 <= data[start - 2] <= 0xC9:
            start -= 2
        else:
            break
    while start < at and is_a(data[start], LOCAL) and not is_a(data[start], ALNUM) and data[start] != _UNDERSCORE:
        start += 1
    return start


@kernel
def _domain_end(data: Bytes, at: int, stop: int, domains: Hashes) -> int:
    """The end of the host name at `at` with a known top-level domain, or -1; labels that follow one are left out."""
    end, dots, label = at, 0, at
    while end < stop and (is_a(data[end], ALNUM) or data[end] == DOT or data[end] == MINUS):
        if data[end] == DOT:
            if end == label or end - label > _MAX_LABEL:
                break
            dots += 1
            label = end + 1
        end += 1
    while dots > 0:
        while end > at and (data[end - 1] == DOT or data[end - 1] == MINUS):
            dots -= data[end - 1] == DOT
            end -= 1
        dot = end - 1
        while dot > at and data[dot] != DOT:
            dot -= 1
        if dot <= at:
            return -1
        if _is_top_level(data, dot + 1, end, domains):
            return -1 if _is_reserved(data, at, dot) or data[at] == MINUS else end
        end, dots = dot, dots - 1
    return -1


@kernel
def _is_top_level(data: Bytes, start: int, end: int, domains: Hashes) -> bool:
    if end - start > 4 and end - start <= _MAX_LABEL:
        prefix = 0
        for at in range(start, start + 4):
            prefix = prefix << 8 | small(data[at])
        if prefix == _XN:
            return True
    return end - start >= 2 and is_known(_key(data, start, end), domains)


@kernel
def _is_reserved(data: Bytes, at: int, dot: int) -> bool:
    """Whether the name before the top-level domain is `example`."""
    named = dot - at >= 7 and tail_before(data, at, dot, 7) == _EXAMPLE
    return named and (dot - at == 7 or data[dot - 8] == DOT)


@kernel
def _is_userinfo(data: Bytes, begin: int, start: int) -> bool:
    """Whether what begins at `start` is the part before the @ of a URL's host."""
    scheme = scheme_before(data, begin, start)
    for at in range(scheme + 3, start):
        if data[at] == SLASH or data[at] == ord("?") or data[at] == ord("#"):
            return False
    return scheme >= 0


@kernel
def ipv4(data: Bytes, begin: int, at: int, stop: int) -> int:
    """The end of the public IPv4 address at `at`, or -1. Version and section numbers are told apart by what is around.

    Four numbers below 20, or three below 10 behind any first, are read as a version or a section: one address in 11,000
    looks so. A last number of 0 names a network.
    """
    end, value = _quad(data, at, stop)
    if end < 0 or value & 0xFF == 0:
        return -1
    largest = max(value >> 16 & 0xFF, value >> 8 & 0xFF, value & 0xFF)
    if largest < 10 or max(largest, value >> 24) < 20:
        return -1
    for k in range(len(_BASES)):
        if np.uint64(value) & _MASKS[k] == _BASES[k]:
            return -1
    if is_at(data, end, stop, ALNUM) or (end < stop and data[end] == _UNDERSCORE):
        return -1
    if end + 1 < stop and data[end] == DOT and data[end + 1] == SPACE and (at == begin or data[at - 1] == _NEWLINE):
        return -1  # the number of a heading
    follows = is_at(data, end + 1, stop, ALNUM)
    if follows and (data[end] == DOT or (data[end] == MINUS and _quad(data, end + 1, stop)[0] < 0)):
        return -1
    return -1 if _is_version(data, begin, at) else end


@kernel
def _quad(data: Bytes, at: int, stop: int) -> tuple[int, int]:
    """(end, value) of four numbers from 0 to 255 without leading zeros, or (-1, 0)."""
    value = 0
    for part in range(4):
        if part > 0:
            if at >= stop or data[at] != DOT:
                return -1, 0
            at += 1
        first, number = at, 0
        while is_at(data, at, stop, DIGIT) and at - first < 4:
            number = number * 10 + int(data[at]) - 48
            at += 1
        if at == first or number > 255 or (at - first > 1 and data[first] == 48):
            return -1, 0
        value = value << 8 | number
    return at, value


@kernel
def _is_version(data: Bytes, begin: int, at: int) -> bool:
    """Whether what stands before four numbers says that they are no address."""
    if at == begin:
        return False
    before = data[at - 1]
    if is_a(before, ALNUM) or before in (DOT, _UNDERSCORE):
        return True
    if before == MINUS:  # name-1.2.3.4, but not 8.8.8.8-8.8.4.4
        return not is_at(data, at - 2, at, DIGIT) if at - 2 >= begin else False
    if before == SLASH:
        return at - 2 < begin or (data[at - 2] != SLASH and not is_a(data[at - 2], DIGIT))
    if before in _VERSION_SIGNS and not (before == _EQUALS and at - 2 >= begin and is_a(data[at - 2], ALNUM)):
        return True
    word = at
    while word > begin and at - word < 3 and data[word - 1] in (SPACE, COLON, _EQUALS, 0xC2, 0xA0):  # or no-break space
        word -= 1
    return is_known(tail_before(data, begin, word, 8), _VERSION_WORDS)


@kernel
def ipv6(data: Bytes, begin: int, at: int, stop: int) -> int:
    """The end of the public IPv6 address whose first digit, a 2 or a 3, is at `at`, or -1.

    Global unicast (2000::/3), not for documentation or protocols; a shortened one needs three groups at least.
    """
    if at > begin and (is_a(data[at - 1], ALNUM) or data[at - 1] == COLON or data[at - 1] == DOT):
        return -1
    groups, gap, end = 0, False, at
    first, second = 0, 0
    while True:
        group, digits = 0, 0
        while is_at(data, at, stop, HEX) and digits < 5:
            group = group << 4 | _hex_value(data[at])
            digits += 1
            at += 1
        if digits == 0 or digits > 4 or (groups == 0 and digits != 4):
            break
        groups += 1
        first = group if groups == 1 else first
        second = group if groups == 2 and not gap else second
        end = at
        if at >= stop or data[at] != COLON:
            break
        at += 1
        if at < stop and data[at] == COLON:
            if gap:
                return -1
            gap = True
            at += 1
            end = at
    if not (3 <= groups < 8 if gap else groups == 8):
        return -1
    if is_at(data, end, stop, ALNUM) or (end < stop and data[end] == COLON):
        return -1
    if (first == 0x2001 and (second < 0x200 or second == 0xDB8)) or first == 0x2002:
        return -1
    return -1 if first == 0x3FFF and second < 0x1000 else end


@kernel
def _hex_value(byte: int) -> int:
    return byte - 48 if is_a(byte, DIGIT) else (byte & 0xDF) - 55
