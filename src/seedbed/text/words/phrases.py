"""Phrases of lower-case ASCII letters in text of any case."""

from __future__ import annotations

from seedbed.text.kernel import Bytes, leaf


@leaf
def letter_size(text: Bytes, at: int, letter: int, ignores_case: bool) -> int:
    """Bytes of the character at `at` where `letter` is its lower case, else 0.

    `str.lower` makes a k of the Kelvin sign; `ignores_case` says that, as for `re.IGNORECASE`, the long s is an s, and
    an i may be without its dot or a capital with one.
    """
    byte = text[at]
    if byte < 0x80:
        return byte == letter or (65 <= byte <= 90 and byte | 0x20 == letter)
    if letter == 0x6B:
        return 3 if byte == 0xE2 and text[at + 1] == 0x84 and text[at + 2] == 0xAA else 0
    if ignores_case and letter == 0x73:
        return 2 if byte == 0xC5 and text[at + 1] == 0xBF else 0
    if ignores_case and letter == 0x69:
        return 2 if byte == 0xC4 and (text[at + 1] | 1) == 0xB1 else 0
    return 0


@leaf
def phrase_end(text: Bytes, at: int, end: int, letters: Bytes, first: int, last: int, ignores_case: bool) -> int:
    """Where the phrase letters[first:last] ends that begins at `at`, or -1 where it does not."""
    for k in range(first, last):
        size = letter_size(text, at, int(letters[k]), ignores_case) if at < end else 0
        if size == 0:
            return -1
        at += size
    return at
