"""Words as datatrove counts them for English: the tokens of spaCy's blank English tokenizer, without whitespace.

Between runs of whitespace, in this order: an exception of the language's list stays or is cut as the list says ("don't"
into "do" "n't"); else prefixes and suffixes come off one by one; what is left is an exception, a URL, or is cut at its
infixes. At last the list is looked for again among neighbouring tokens (":" ")" become ":)").
The same tokens as spaCy 3.8.18 with the same Python's Unicode database. One difference: spaCy may lose the word
"IS_ALPHA", a name of its own, depending on what it read before; here it is a word as any other.
"""

from __future__ import annotations

import numpy as np

from seedbed.core.nouns import DocumentBatch
from seedbed.text.kernel import Bytes, Hashes, Ints, kernel, leaf
from seedbed.text.spacy.affixes import is_url, next_infix, prefix, suffix
from seedbed.text.spacy.phrases import END, START, SYMBOL, add, add_pieces, begins_phrase, join_phrases
from seedbed.text.spacy.tables import (
    ACTIVE,
    ASCII_DIGIT,
    PIECES_SHIFT,
    SPACE,
    Kinds,
    find_name,
    is_exception,
    rules,
    symbol_of,
)
from seedbed.text.unicode import code_point, skip
from seedbed.text.words.whitespace import Words, describe

_BLANK = 0x20
_BYTES_PER_WORD = 4
"""For a first guess at how many words there are; more room is made where it is too low."""


def spacy_words(documents: DocumentBatch) -> Words:
    """The words of a batch: ask through `documents.derive(spacy_words)`, so that all methods share them."""
    return split(*documents.text_buffers())


def split(data: Bytes, offsets: Ints) -> Words:
    """The words of texts given as (bytes, offsets)."""
    first = np.zeros(len(offsets), np.int64)
    tokens = np.empty((int(offsets[-1] - offsets[0]) // _BYTES_PER_WORD + 64, 3), np.int64)
    d = 0
    while (d := _fill(data, offsets, d, *rules(), first, tokens)) < len(offsets) - 1:
        most = int(first[d] + offsets[-1] - offsets[d])  # a word has a byte at least
        larger = np.empty((min(most, 2 * len(tokens)), 3), np.int64)
        larger[: first[d]] = tokens[: first[d]]
        tokens = larger
    n = int(first[-1])
    return describe(data, first, tokens[:n, START].copy(), tokens[:n, END].copy())


@kernel
def _fill(
    data: Bytes, offsets: Ints, d: int, kinds: Kinds, names: Hashes, phrases: Ints, first: Ints, tokens: Ints
) -> int:
    """The words of document d and those after it; the first document for which there was no room."""
    while d < len(offsets) - 1:
        w = _document(data, offsets[d], offsets[d + 1], kinds, names, phrases, tokens, first[d])
        if w < 0:
            break
        first[d + 1] = w
        d += 1
    return d


@kernel
def _document(data: Bytes, at: int, stop: int, kinds: Kinds, names: Hashes, phrases: Ints, tokens: Ints, w: int) -> int:
    """The words of data[at:stop] from w on; the number of words then, or -1 where there is no room."""
    while at < stop and w >= 0:
        block = w
        at, w, has_phrase = _block(data, at, stop, kinds, names, phrases, tokens, w)
        if has_phrase and w > 0:
            w = join_phrases(data, block, w, names, phrases, tokens)
    return w


@leaf
def _block(
    data: Bytes, at: int, stop: int, kinds: Kinds, names: Hashes, phrases: Ints, tokens: Ints, w: int
) -> tuple[int, int, bool]:
    """Words up to the next whitespace that spaCy makes a token of, as it does of all but a single blank.

    Phrases do not reach over it. (the place then, the number of words then or -1, whether there may be phrases.)
    """
    block, has_phrase = w, False
    while at < stop:
        gap = at
        at = skip(data, at, stop, kinds, SPACE)
        if at == stop or ((at - gap > 1 or (at > gap and data[gap] != _BLANK)) and w > block):
            break
        begin, all_kinds, last = at, np.uint16(0), np.uint16(0)
        while at < stop:
            code, size = code_point(data, at)
            if kinds[code] & SPACE:
                break
            last = kinds[code]
            all_kinds |= last
            at += size
        if w + at - begin > len(tokens):
            return at, -1, False
        old = w
        if all_kinds & ACTIVE or (all_kinds & ASCII_DIGIT and not last & ASCII_DIGIT):
            w = _cut(data, begin, at, all_kinds & ASCII_DIGIT != 0, kinds, names, tokens, w)
        else:
            w = _add_known(data, begin, at, find_name(data, begin, at, names), names, tokens, w)
        has_phrase = has_phrase or begins_phrase(max(old, block + 1), w, phrases, tokens)
    return at, w, has_phrase


@leaf
def _add_known(data: Bytes, begin: int, close: int, known: int, names: Hashes, tokens: Ints, w: int) -> int:
    """One word, or the pieces of an exception."""
    if known >> PIECES_SHIFT:
        return add_pieces(data, begin, known >> PIECES_SHIFT, names, tokens, w)
    tokens[w, START], tokens[w, END], tokens[w, SYMBOL] = begin, close, symbol_of(known)
    return w + 1


@leaf
def _cut(
    data: Bytes, begin: int, close: int, has_digit: bool, kinds: Kinds, names: Hashes, tokens: Ints, w: int
) -> int:
    """A run of non-whitespace: its prefixes, what is left, its suffixes."""
    far = w + close - begin  # suffixes are found from the last to the first, and wait at the far end
    waiting, size_before = far, -1
    is_known = is_exception(data, begin, close, names)
    while not is_known and begin < close and close - begin != size_before:
        size_before = close - begin
        front = prefix(data, begin, close, kinds)
        if front > 0 and is_exception(data, begin + front, close, names):
            w = add(data, begin, begin + front, names, tokens, w)
            begin += front
            break
        back = suffix(data, begin + front, close, has_digit, kinds, names)
        if back > 0:
            waiting -= 1
            tokens[waiting, START], tokens[waiting, END] = close - back, close
            close -= back
            if is_exception(data, begin, close, names):
                break
        if front > 0:
            w = add(data, begin, begin + front, names, tokens, w)
            begin += front
            is_known = back > 0 and is_exception(data, begin, close, names)
    if begin < close:
        w = _middle(data, begin, close, kinds, names, tokens, w)
    for s in range(waiting, far):
        w = add(data, tokens[s, START], tokens[s, END], names, tokens, w)
    return w


@leaf
def _middle(data: Bytes, begin: int, close: int, kinds: Kinds, names: Hashes, tokens: Ints, w: int) -> int:
    """What no prefix or suffix is left on: an exception, a URL, or cut at infixes."""
    known = find_name(data, begin, close, names)
    if known >> PIECES_SHIFT:
        return add_pieces(data, begin, known >> PIECES_SHIFT, names, tokens, w)
    start, end = next_infix(data, begin, close, begin, kinds)
    if start == begin:  # an infix at the front stays with what follows
        start, end = next_infix(data, begin, close, end, kinds)
    if start == close or is_url(data, begin, close, kinds):
        return _add_known(data, begin, close, known, names, tokens, w)
    at = begin
    while start < close:
        if start > at:
            w = add(data, at, start, names, tokens, w)
        w = add(data, start, end, names, tokens, w)
        at = end
        start, end = next_infix(data, begin, close, end, kinds)
    return add(data, at, close, names, tokens, w) if at < close else w
