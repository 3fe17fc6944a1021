"""A linear count of sentences as NLTK's Punkt finds them in English, without its trained statistics.

A sentence ends at a full stop, question mark or exclamation mark that whitespace and something more, or an opening or
closing mark, follows: at the last such mark of a word; newlines alone end none. A full stop ends none behind an
abbreviation, an initial or dots, unless a capitalised word follows that mostly begins sentences; nor behind a number
that a lower-case letter follows.
Kiss and Strunk 2006, Unsupervised Multilingual Sentence Boundary Detection, section 4; the trained model knows from
20,000 words of newspaper text how each is capitalised, this module has a short list.
"""

from __future__ import annotations

import numpy as np

from seedbed.core.nouns import DocumentBatch
from seedbed.text import unicode
from seedbed.text.kernel import Bytes, Hashes, Ints, kernel, leaf

ABBREVIATIONS = """
adm ala ariz aug ave bros calif chg cie co col colo conn corp cos ct dec dr feb fla fri ft ga gen ill inc jan jr kan ky
lt ltd maj messrs mg mich mr mrs ms nev nov oct ok okla ore pa prof rep reps sen sep sept sr st sw tenn tues va vs vt
wash wed wis yr d.h u.s u.k u.n u.s.a p.m a.m ph.d d.c n.y
"""
STARTERS = """
a according after all although among an and as at both but by despite even for he her his how however i if in indeed
instead it its many meanwhile moreover most nevertheless nonetheless nor of on one or our separately she similarly since
so some that the their there these they this those though thus to under we what when where which while who why
with yet you your no not
"""
_STOP, _EXCLAMATION, _QUESTION, _NEWLINE, _BLANK = 0x2E, 0x21, 0x3F, 0x0A, 0x20
_LONGEST = 8


def line_sentences(documents: DocumentBatch) -> Ints:
    """Sentences in the lines of each document; ask through `documents.derive(line_sentences)`."""
    return _counts(documents, by_line=True)


def page_sentences(documents: DocumentBatch) -> Ints:
    """Sentences of each document, whose lines may share one; ask through `documents.derive(page_sentences)`."""
    return _counts(documents, by_line=False)


def _counts(documents: DocumentBatch, by_line: bool) -> Ints:
    counts = np.zeros(len(documents), np.int64)
    _count(*documents.text_buffers(), unicode.flags(), _keys(ABBREVIATIONS), _keys(STARTERS), by_line, counts)
    return counts


def _keys(words: str) -> Hashes:
    """Words of up to 8 bytes, each as one big-endian number, sorted; longer ones are cut."""
    return np.array(sorted({int.from_bytes(word.encode()[:_LONGEST], "big") for word in words.split()}), np.uint64)


@kernel
def _count(
    data: Bytes, offsets: Ints, flags: Bytes, abbreviations: Hashes, starters: Hashes, by_line: bool, counts: Ints
) -> None:
    for d in range(len(offsets) - 1):
        begin, stop = offsets[d], offsets[d + 1]
        while begin < stop:
            close = stop
            if by_line:
                close = begin
                while close < stop and data[close] != _NEWLINE:
                    close += 1
            counts[d] += _skip_space(data, begin, close, flags) < close
            mark = -1  # the last in this word that may end a sentence
            for at in range(begin, close):
                byte = data[at]
                if byte in (_STOP, _EXCLAMATION, _QUESTION) and _may_end(data, at, close, flags):
                    mark = at
                elif byte <= _BLANK and mark >= 0:
                    counts[d] += _ends_sentence(data, begin, mark, close, flags, abbreviations, starters)
                    mark = -1
            if mark >= 0:
                counts[d] += _ends_sentence(data, begin, mark, close, flags, abbreviations, starters)
            begin = close + 1


@leaf
def _skip_space(data: Bytes, at: int, close: int, flags: Bytes) -> int:
    while at < close:
        code, size = unicode.code_point(data, at)
        if not flags[code] & unicode.SPACE:
            break
        at += size
    return at


@leaf
def _may_end(data: Bytes, at: int, close: int, flags: Bytes) -> bool:
    """Whether whitespace and something more, or a mark, follows the mark at `at`."""
    following = _skip_space(data, at + 1, close, flags)
    return following < close and (following > at + 1 or _is_mark(int(data[following])))


@leaf
def _ends_sentence(
    data: Bytes, begin: int, at: int, close: int, flags: Bytes, abbreviations: Hashes, starters: Hashes
) -> bool:
    """Whether a sentence ends at the mark at `at`, and another one follows."""
    following = _skip_space(data, at + 1, close, flags)
    is_spaced = following > at + 1
    rest = following
    while not is_spaced and rest < close and _closes(int(data[rest])):  # closing marks stay with their sentence
        rest += 1
    if _skip_space(data, rest, close, flags) == close:
        return False
    if data[at] != _STOP:
        return True
    code, _ = unicode.code_point(data, following)
    if at > begin and data[at - 1] == _STOP:
        return is_spaced and _is_starter(data, following, close, starters)
    kind = _before(data, begin, at, flags, abbreviations)
    if kind == 0:
        return True
    if kind == 1:
        return flags[code] & unicode.LOWER == 0
    return is_spaced and _is_starter(data, following, close, starters)


@leaf
def _is_mark(byte: int) -> bool:
    """One of ) " ; } ] * : @ ' ( { [ ! ? (Punkt's NonWord)."""
    return byte in (0x29, 0x22, 0x3B, 0x7D, 0x5D, 0x2A, 0x3A, 0x40, 0x27, 0x28, 0x7B, 0x5B, 0x21, 0x3F)


@leaf
def _closes(byte: int) -> bool:
    """One of " ' ) ] }"""
    return byte in (0x22, 0x27, 0x29, 0x5D, 0x7D)


@leaf
def _before(data: Bytes, begin: int, at: int, flags: Bytes, abbreviations: Hashes) -> int:
    """What stands before the full stop at `at`: 1 a number, 2 an initial or an abbreviation, 0 anything else."""
    key, start, shift, n_digits, n_letters = np.uint64(0), at, np.uint64(0), 0, 0
    while start > begin:
        last = start - 1
        while data[last] & 0xC0 == 0x80:
            last -= 1
        code, size = unicode.code_point(data, last)
        is_letter = flags[code] & unicode.ALPHA != 0
        is_digit = 0x30 <= code <= 0x39
        if not (is_letter or is_digit or code == _STOP or (n_digits > 0 and code == 0x2C)):
            break
        n_digits += is_digit
        n_letters += is_letter
        if at - last > 2 * _LONGEST:
            return 0
        byte = int(data[last]) | 0x20 if 65 <= data[last] <= 90 else int(data[last])
        key = key | np.uint64(byte) << shift if shift < np.uint64(64) and size == 1 else np.uint64(0)
        shift += np.uint64(8)
        start = last
    if n_letters == 0:
        return 1 if n_digits > 0 else 0
    if n_letters == 1 and n_digits == 0 and data[start] != _STOP:
        return 2
    place = int(np.searchsorted(abbreviations, key))
    return 2 if place < len(abbreviations) and abbreviations[place] == key else 0


@leaf
def _is_starter(data: Bytes, at: int, close: int, starters: Hashes) -> bool:
    """Whether the word at `at` is capitalised and mostly begins sentences."""
    if not 65 <= data[at] <= 90:
        return False
    key, n = np.uint64(0), 0
    while at < close and (65 <= data[at] <= 90 or 97 <= data[at] <= 122):
        if n < _LONGEST:
            key = key << np.uint64(8) | np.uint64(data[at] | 0x20)
        n += 1
        at += 1
    place = int(np.searchsorted(starters, key))
    return place < len(starters) and starters[place] == key
