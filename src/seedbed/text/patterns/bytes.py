"""What the finders of patterns ask of single bytes. ASCII only: a digit is 0 to 9, whatever a regex engine's \\d is."""

from __future__ import annotations

import numpy as np

from seedbed.text.kernel import Bytes, Hashes, kernel

DIGIT, UPPER, LOWER, HEX, LOCAL, BASE64, TOKEN = (1 << bit for bit in range(7))
ALNUM = DIGIT | UPPER | LOWER
DOT, MINUS, SLASH, COLON, SPACE = ord("."), ord("-"), ord("/"), ord(":"), ord(" ")


def _classes() -> Bytes:
    members = {
        DIGIT: "0123456789",
        UPPER: "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
        LOWER: "abcdefghijklmnopqrstuvwxyz",
        HEX: "0123456789abcdefABCDEF",
    }
    alnum = members[DIGIT] + members[UPPER] + members[LOWER]
    members |= {LOCAL: alnum + "._%+-'", BASE64: alnum + "+/=", TOKEN: alnum + "_-"}
    table = np.zeros(256, np.uint8)
    for flag, characters in members.items():
        table[np.frombuffer(characters.encode(), np.uint8)] |= flag
    return table


CLASSES = _classes()
"""byte -> DIGIT | UPPER | ...; LOCAL: before the @ of an e-mail address; TOKEN: URL-safe base64."""


@kernel
def is_a(byte: int, flags: int) -> bool:
    """Whether a byte is of one of the classes."""
    return CLASSES[byte] & flags != 0


@kernel
def is_space(byte: int) -> bool:
    """Space, tab, line feed, carriage return and the other ASCII controls."""
    return byte <= SPACE


@kernel
def is_at(data: Bytes, at: int, stop: int, flags: int) -> bool:
    """Whether there is a byte at `at`, of one of the classes."""
    return at < stop and CLASSES[data[at]] & flags != 0


@kernel
def small(byte: int) -> int:
    """An ASCII letter in lower case; any other byte as it is."""
    return byte | 0x20 if CLASSES[byte] & UPPER else byte


@kernel
def tail_before(data: Bytes, begin: int, at: int, width: int) -> np.uint64:
    """The last `width` bytes (up to 8) of the word that ends at `at`, lower-cased and packed; 0 for none.

    A word is a run of ASCII letters and letters of two bytes (Latin, Greek, Cyrillic), or of characters of three bytes.
    """
    start, is_wide = at, at - 3 >= begin and data[at - 3] >= 0xE0
    while start > begin and at - start < width:
        byte = data[start - 1]
        if is_wide:
            belongs = byte >= 0x80
        elif 0x80 <= byte < 0xC0:
            belongs = start - 2 >= begin and 0xC3 <= data[start - 2] < 0xE0
        else:
            belongs = CLASSES[byte] & (UPPER | LOWER) != 0 or 0xC3 <= byte < 0xE0
        if not belongs:
            break
        start -= 1
    key = np.uint64(0)
    for k in range(start, at):
        key = key << np.uint64(8) | np.uint64(small(data[k]))
    return key


def packed(words: str, width: int = 8) -> Hashes:
    """The words of a list as `tail_before` packs them, sorted."""
    return np.unique(np.array([int.from_bytes(w.encode()[-width:], "big") for w in words.split()], np.uint64))


@kernel
def is_known(key: np.uint64, sorted_keys: Hashes) -> bool:
    """Whether the key is among them."""
    low, high = 0, len(sorted_keys)
    while low < high:
        middle = (low + high) // 2
        if sorted_keys[middle] < key:
            low = middle + 1
        else:
            high = middle
    return low < len(sorted_keys) and sorted_keys[low] == key


@kernel
def scheme_before(data: Bytes, begin: int, at: int) -> int:
    """Where "://" stands in the run of visible bytes that ends at `at`, at most 512 back; -1 where it does not."""
    lowest = max(begin, at - 512)
    while at > lowest and not is_space(data[at - 1]):
        at -= 1
        if data[at] == COLON and at + 2 < len(data) and data[at + 1] == SLASH and data[at + 2] == SLASH:
            return at
    return -1
