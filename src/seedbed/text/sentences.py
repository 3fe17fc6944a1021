"""A linear count of sentences: terminal punctuation, unless what is before or after it says otherwise.

Within a line, a sentence ends at a run of sentence terminals and ellipses, with closing quotes and brackets, that is
followed by whitespace and no lower-case letter. A single full stop does not end one after an initial ("J."), letters
with stops between ("e.g.", "U.S.") or a listed abbreviation ("Dr."). Full-width terminals need no whitespace.
Every line that is not blank has one sentence at least.
"""

from __future__ import annotations

import numpy as np

from seedbed.core.nouns import DocumentBatch
from seedbed.text import unicode
from seedbed.text.kernel import Bytes, Hashes, Ints, kernel
from seedbed.text.lines import lines

ABBREVIATIONS = """
mr mrs ms dr prof rev hon sr jr st mt vs cf al ed eds fig figs vol vols pp inc ltd co corp dept gen col capt lt sgt sen
rep gov pres approx est jan feb aug sept oct nov dec
"""
_ELLIPSIS, _STOP = 0x2026, 0x2E
_WIDE = (0x3002, 0xFF01, 0xFF1F, 0xFF61)
_LONGEST = 8


def sentences(documents: DocumentBatch) -> Ints:
    """Sentences of each document; ask through `documents.derive(sentences)`."""
    data, _ = documents.text_buffers()
    found = documents.derive(lines)
    counts = np.zeros(len(documents), np.int64)
    _count(data, found.first, found.start, found.end, unicode.flags(), _abbreviation_keys(), counts)
    return counts


def _abbreviation_keys() -> Hashes:
    """Each abbreviation as its bytes in one big-endian number, sorted."""
    keys = [int.from_bytes(word.encode(), "big") for word in ABBREVIATIONS.split()]
    return np.array(sorted(keys), np.uint64)


@kernel
def _count(data: Bytes, first: Ints, start: Ints, end: Ints, flags: Bytes, abbreviations: Hashes, counts: Ints) -> None:
    for d in range(len(first) - 1):
        for s in range(first[d], first[d + 1]):
            counts[d] += 1
            at, stop = start[s], end[s]
            while at < stop:
                code, size = unicode.code_point(data, at)
                if flags[code] & unicode.TERMINAL or code == _ELLIPSIS:
                    at, ends = _sentence_end(data, start[s], at, stop, flags, abbreviations)
                    counts[d] += ends
                else:
                    at += size


@kernel
def _sentence_end(data: Bytes, begin: int, at: int, stop: int, flags: Bytes, abbreviations: Hashes) -> tuple[int, bool]:
    """(the place after the run of terminals at `at`, whether a sentence ends there and another follows)."""
    mark, run, wide = at, 0, False
    while at < stop:
        code, size = unicode.code_point(data, at)
        if flags[code] & unicode.TERMINAL or code == _ELLIPSIS:
            run += 1
            wide = wide or code in _WIDE
        elif not flags[code] & unicode.CLOSER:
            break
        at += size
    if at >= stop:
        return at, False
    code, size = unicode.code_point(data, at)
    if not flags[code] & unicode.SPACE:
        return at, wide
    while flags[code] & unicode.SPACE:  # lines are trimmed: something follows
        at += size
        code, size = unicode.code_point(data, at)
    if flags[code] & unicode.LOWER:
        return at, False
    return at, not (run == 1 and data[mark] == _STOP and _is_abbreviation(data, begin, mark, flags, abbreviations))


@kernel
def _is_abbreviation(data: Bytes, begin: int, mark: int, flags: Bytes, abbreviations: Hashes) -> bool:
    """Whether what stands before the full stop at `mark` is an initial, letters with stops, or on the list."""
    key, at, shift, inner = np.uint64(0), mark, np.uint64(0), False
    alternating = True
    while at > begin and mark - at < _LONGEST:
        byte = data[at - 1] | 0x20 if 65 <= data[at - 1] <= 90 else data[at - 1]
        is_letter = 97 <= byte <= 122
        if not is_letter and byte != _STOP:
            break
        inner = inner or byte == _STOP
        alternating = alternating and is_letter == ((mark - at) % 2 == 0)
        key |= np.uint64(byte) << shift
        shift += np.uint64(8)
        at -= 1
    n = mark - at
    if n == 0 or (at > begin and (n == _LONGEST or _ends_a_word(data, at, flags))):
        return False
    if alternating and n % 2 == 1:
        return True
    place = int(np.searchsorted(abbreviations, key))
    return not inner and place < len(abbreviations) and int(abbreviations[place]) == int(key)


@kernel
def _ends_a_word(data: Bytes, at: int, flags: Bytes) -> bool:
    """Whether the character before `at` is a letter or a digit."""
    last = at - 1
    while data[last] & 0xC0 == 0x80:
        last -= 1
    code, _ = unicode.code_point(data, last)
    return flags[code] & (unicode.ALPHA | unicode.DIGIT) != 0
