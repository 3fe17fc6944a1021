"""Sentences as datatrove counts them for English: spaCy's rule-based sentencizer over its blank English tokenizer.

A sentence ends at a token that is one full stop, question mark or the like (not "...", nor an abbreviation), and the
next begins at the first token that is no punctuation; whitespace that is a token (all but a single blank) is none.
Each line is taken as a text of its own, and has one sentence at least.
"""

from __future__ import annotations

import numpy as np

from seedbed.core.nouns import DocumentBatch
from seedbed.text.kernel import Bytes, Ints, kernel, leaf
from seedbed.text.spacy.tables import PUNCTUATION, SENTENCE_END, Kinds, rules
from seedbed.text.spacy.words import spacy_words
from seedbed.text.unicode import code_point

_NEWLINE, _BLANK = 0x0A, 0x20


def spacy_sentences(documents: DocumentBatch) -> Ints:
    """Sentences in the lines of each document; ask through `documents.derive(spacy_sentences)`."""
    data, offsets = documents.text_buffers()
    found = documents.derive(spacy_words)
    counts = np.zeros(len(documents), np.int64)
    _count(data, offsets, found.first, found.start, found.end, rules().kinds, counts)
    return counts


@kernel
def _count(data: Bytes, offsets: Ints, first: Ints, start: Ints, end: Ints, kinds: Kinds, counts: Ints) -> None:
    for d in range(len(offsets) - 1):
        at, stop = offsets[d], offsets[d + 1]
        count, has_ended, is_first = int(at < stop), False, True
        for w in range(first[d], first[d + 1] + 1):
            following = start[w] if w < first[d + 1] else stop
            begin = at
            while at < following:
                if data[at] == _NEWLINE:
                    count += 1 + (has_ended and not is_first and _is_token(data, begin, at))
                    has_ended, is_first, begin = False, True, at + 1
                at += 1
            if has_ended and not is_first and _is_token(data, begin, following):
                count += 1
                has_ended = False
            if w == first[d + 1]:
                break
            is_mark, is_end = _kind(data, start[w], end[w], kinds)
            if has_ended and not is_mark:
                count += 1
                has_ended = False
            has_ended = has_ended or is_end
            is_first = False
            at = end[w]
        counts[d] = count


@leaf
def _is_token(data: Bytes, begin: int, close: int) -> bool:
    """Whether this whitespace is a token, as all but a single blank is."""
    return close - begin > 1 or (close > begin and data[begin] != _BLANK)


@leaf
def _kind(data: Bytes, begin: int, close: int, kinds: Kinds) -> tuple[bool, bool]:
    """(whether the word is all punctuation or ends a sentence, whether it ends a sentence)."""
    code, size = code_point(data, begin)
    if begin + size == close and kinds[code] & SENTENCE_END:
        return True, True
    while kinds[code] & PUNCTUATION:
        begin += size
        if begin == close:
            return True, False
        code, size = code_point(data, begin)
    return False, False
