"""Sentences as NLTK's Punkt counts them with its English model, in one pass over the bytes.

A full stop, question mark or exclamation mark may end a sentence if whitespace and something more, or an opening or
closing mark, follows: of those in a word the last, and from NLTK 3.6.6 on also the first where the word begins with it.
The word and what follows are then looked at (see `punkt_words`). Closing marks behind an end stay with the sentence
before it, and a sentence of which nothing is left does not count. Newlines alone end none.
Kiss and Strunk 2006, Unsupervised Multilingual Sentence Boundary Detection; the model is in punkt_english.txt.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np

from seedbed.core.nouns import DocumentBatch
from seedbed.text import unicode
from seedbed.text.kernel import Bytes, Ints, kernel, leaf
from seedbed.text.rules.lines import Segments, describe, trim
from seedbed.text.rules.punkt_english import APART, CLOSES, SPACE, Model, NltkVersion, kinds, model
from seedbed.text.rules.punkt_words import holds_break
from seedbed.text.unicode import code_point, skip
from seedbed.text.vectors import BLOCK, NONE, ONE, between, lowest_bit

_STOP, _EXCLAMATION, _QUESTION, _NEWLINE, _HYPHEN = ord("."), ord("!"), ord("?"), ord("\n"), ord("-")


@cache
def line_sentences(nltk: NltkVersion) -> Callable[[DocumentBatch], Ints]:
    """Sentences in the lines of each document; ask through `documents.derive(line_sentences(nltk))`."""
    return lambda documents: _counts(documents, nltk, by_line=True)


@cache
def page_sentences(nltk: NltkVersion) -> Callable[[DocumentBatch], Ints]:
    """Sentences of each document, whose lines may share one; ask through `documents.derive(page_sentences(nltk))`."""
    return lambda documents: _counts(documents, nltk, by_line=False)


def sentences_of_lines(documents: DocumentBatch) -> Segments:
    """The sentences themselves, by NLTK 3.4; ask through `documents.derive(sentences_of_lines)`."""
    first = np.zeros(len(documents) + 1, np.int64)
    np.cumsum(documents.derive(line_sentences("3.4")), out=first[1:])
    start, end, chars = (np.empty(int(first[-1]), np.int64) for _ in range(3))
    hashes = np.empty(int(first[-1]), np.uint64)
    data, offsets = documents.text_buffers()
    _find(
        data,
        offsets,
        unicode.flags(),
        kinds("3.4"),
        model(),
        True,
        True,
        np.zeros(len(documents), np.int64),
        start,
        end,
    )
    describe(data, start, end, chars, hashes)
    return Segments(first, start, end, chars, hashes)


def _counts(documents: DocumentBatch, nltk: NltkVersion, by_line: bool) -> Ints:
    counts = np.zeros(len(documents), np.int64)
    nowhere = np.empty(0, np.int64)
    _find(
        *documents.text_buffers(),
        unicode.flags(),
        kinds(nltk),
        model(),
        nltk == "3.4",
        by_line,
        counts,
        nowhere,
        nowhere,
    )
    return counts


@kernel
def _find(
    data: Bytes,
    offsets: Ints,
    flags: Bytes,
    kinds: Bytes,
    model: Model,
    is_old: bool,
    by_line: bool,
    counts: Ints,
    starts: Ints,
    ends: Ints,
) -> None:
    """Counts a document; and the bounds of sentences, as many as there is room for."""
    n = 0
    for d in range(len(offsets) - 1):
        begin, stop, before = offsets[d], offsets[d + 1], n
        while begin < stop:
            close = _next_of(data, begin, stop, _NEWLINE, _NEWLINE) if by_line else stop
            n = _sentences(data, begin, close, flags, kinds, model, is_old, n, starts, ends)
            begin = close + 1
        counts[d] = n - before


@leaf
def _next_of(data: Bytes, at: int, close: int, low: int, high: int) -> int:
    """The next byte from `low` to `high`, or `close`."""
    while at < close:
        found = between(data, at, low, high)
        if found != NONE:
            return min(close, at + lowest_bit(found))
        at += BLOCK
    return close


@leaf
def _sentences(
    data: Bytes,
    begin: int,
    close: int,
    flags: Bytes,
    kinds: Bytes,
    model: Model,
    is_old: bool,
    n: int,
    starts: Ints,
    ends: Ints,
) -> int:
    """Write down the sentences of data[begin:close] behind the `n` there are; how many there are then."""
    first, end = trim(data, begin, close, flags)
    if first == end:
        return n
    earlier, earlier_end = -1, -1  # the sentence before this one, which may take marks from its start
    sentence, mark = first, _next_mark(data, begin, close, kinds)
    start = _word_start(data, begin, mark, begin, kinds, is_old)
    while mark < close:
        following = _next_mark(data, mark + 1, close, kinds)
        following_start = _word_start(data, mark, following, start, kinds, is_old)
        if following == close or mark < following_start or (mark == following_start and not is_old):
            after = skip(data, mark + 1, close, kinds, SPACE)
            if holds_break(data, start, _stretch_end(data, mark + 1, after, close, kinds), kinds, model):
                own, taken = _taken(data, sentence, mark + 1, kinds) if earlier >= 0 else (0, 0)
                n = _write(earlier, sentence + own if taken > 0 else earlier_end, n, starts, ends)
                earlier, earlier_end = sentence + taken, mark + 1
                sentence = after
        mark, start = following, following_start
    own, taken = _taken(data, sentence, end, kinds) if earlier >= 0 else (0, 0)
    n = _write(earlier, sentence + own if taken > 0 else earlier_end, n, starts, ends)
    return _write(sentence + taken, end, n, starts, ends)


@leaf
def _write(begin: int, end: int, n: int, starts: Ints, ends: Ints) -> int:
    """How many sentences there are with this one, which counts if it is not empty."""
    if begin >= end:
        return n
    if n < len(starts):
        starts[n], ends[n] = begin, end
    return n + 1


@leaf
def _next_mark(data: Bytes, at: int, close: int, kinds: Bytes) -> int:
    """The next mark that may end a sentence, or `close`."""
    while at < close:
        marks = between(data, at, _STOP, _STOP) | between(data, at, _QUESTION, _QUESTION)
        marks |= between(data, at, _EXCLAMATION, _EXCLAMATION)
        while marks != NONE:
            place = at + lowest_bit(marks)
            if place >= close:
                return close
            marks &= marks - ONE
            if place + 1 < close:
                code, _ = code_point(data, place + 1)
                kind = kinds[code]
                if kind & APART or (kind & SPACE and skip(data, place + 1, close, kinds, SPACE) < close):
                    return place
        at += BLOCK
    return close


@leaf
def _word_start(data: Bytes, before: int, mark: int, otherwise: int, kinds: Bytes, is_old: bool) -> int:
    """Where the word of `mark` begins, as far as it lies behind `before`; `otherwise` if it does not begin there.

    From NLTK 3.6.6 on words are apart by ASCII whitespace alone.
    """
    at = mark
    while at > before + 1:
        at -= 1
        byte = data[at]
        if byte == 0x20 or 0x09 <= byte <= 0x0D:
            return at + 1
        if is_old and byte & 0xC0 != 0x80 and kinds[code_point(data, at)[0]] & SPACE:
            return at + code_point(data, at)[1]
    return otherwise


@leaf
def _stretch_end(data: Bytes, behind: int, after: int, close: int, kinds: Bytes) -> int:
    """Where what is looked at ends: with the word at `after`, or with one character directly `behind` the mark."""
    if after == behind:
        return behind + code_point(data, behind)[1]
    while after < close:
        code, size = code_point(data, after)
        if kinds[code] & SPACE:
            break
        after += size
    return after


@leaf
def _taken(data: Bytes, begin: int, end: int, kinds: Bytes) -> tuple[int, int]:
    """How many bytes from `begin` are closing marks of the sentence before, and how many with the whitespace behind."""
    at = begin
    while at < end:
        code, size = code_point(data, at)
        if not kinds[code] & CLOSES:
            break
        at += size
        if at == end or (at + 1 < end and data[at] == _HYPHEN and data[at + 1] == _HYPHEN):
            return at - begin, at - begin
        space_end = skip(data, at, end, kinds, SPACE)
        if space_end > at:
            return at - begin, space_end - begin
    return 0, 0
