"""C4 lines: keep the lines that look like sentences, and drop menus, notices and citation marks.

What      Removes lines that do not end like a sentence, are short, hold an over-long word, or speak of JavaScript or of
          cookies and policies; removes Wikipedia's citation marks. Lines for which C4 drops the page stay in, for
          the filter `c4_quality` to see.
Source    Raffel et al. 2020, arXiv 1910.10683, section 2.2; clean_page of tensorflow_datasets' c4_utils, the code that
          made C4, for the order, the citation pattern and the policy phrases. Dialects: C4QualityFilter of datatrove
          0.10; c4.yaml of DCLM (Li et al. 2024, arXiv 2406.11794, commit 361714b); tagger c4_v2 with the mixer of
          configs/c4-replication of Dolma (Soldaini et al. 2024, arXiv 2402.00159, commit 669f534).
Formula   for each line, trimmed, in this order:
          drop   where a word is longer than max_word_length
          remove [digits] [] [edit] [citation needed]
          drop   where terminal_punctuation is asked and it does not end in one of . ? ! " or ends in ...
          drop   where it has fewer than min_words_per_line words
          keep   where it holds "lorem ipsum" (the page goes)
          drop   where it holds "javascript"
          keep   where it holds "{" (the page goes)
          drop   where it holds one of six policy phrases
          keep   otherwise
          dialect "paper": this; lines end where `str.splitlines` ends them, letters match in any case.
          dialect "datatrove": a line may also end in ', and words are counted before citations are removed. Its own
          min_words_per_line is 3.
          dialect "dclm": lines end at newlines, are not trimmed, may end in blanks, and stay where they are empty; the
          case of letters is ignored as `re.IGNORECASE` does.
          dialect "dolma": lines end at newlines and stay as they are; only terminal punctuation, "..." allowed, and
          min_words_per_line (its own is 3) count. Put `c4_quality` before it: Dolma looks at the whole page.
Shapes    documents_N -> texts_N.
Units     max_word_length in characters, min_words_per_line in words split at Unicode whitespace.
Fidelity  Exact: each dialect leaves the same text as its original wherever the original keeps the page, and the pages
          are kept by `c4_quality`. The original's list of bad words is no part of it. Dolma cuts at shifted places in a
          text that `str.lower` makes longer, as one with U+0130; here the lines are cut.
Errors    No text raises. A text of which no line is kept becomes empty.
"""

from __future__ import annotations

import dataclasses
from typing import Annotated, ClassVar, Literal

import numpy as np
from annotated_types import Ge

from seedbed.core import arrow
from seedbed.core.nouns import DocumentBatch
from seedbed.curate.contract import Edit, Edited
from seedbed.text import unicode
from seedbed.text.kernel import Bytes, Ints, kernel, leaf
from seedbed.text.rules.lines import trim
from seedbed.text.vectors import BLOCK, NONE, ONE, between, lowest_bit
from seedbed.text.words.phrases import phrase_end

_POLICY_PHRASES = ("terms of use", "privacy policy", "cookie policy", "uses cookies", "use of cookies", "use cookies")
_PHRASES = ("lorem ipsum", "javascript", *_POLICY_PHRASES)
_LETTERS = np.frombuffer("".join(_PHRASES).encode(), np.uint8)
_FIRST = np.cumsum([0, *map(len, _PHRASES)])
_LOREM_IPSUM, _JAVASCRIPT, _POLICIES, _N_PHRASES = 0, 1, 2, len(_PHRASES)
_MARKS = np.frombuffer(b"edit]citation needed]", np.uint8)
_MARK_BOUNDS = ((0, 5), (5, 21))

_DIALECTS = ("paper", "datatrove", "dclm", "dolma")
_PAPER, _DATATROVE, _DCLM, _DOLMA = range(4)
_NEWLINE, _STOP, _OPEN, _CLOSE, _APOSTROPHE, _BRACE = ord("\n"), ord("."), ord("["), ord("]"), ord("'"), ord("{")
_QUESTION, _EXCLAMATION, _QUOTE = ord("?"), ord("!"), ord('"')
_LARGEST = np.iinfo(np.int64).max


@dataclasses.dataclass(frozen=True)
class C4Lines(Edit):
    """Which lines stay.

    Args:
        terminal_punctuation: whether a line must end like a sentence. FineWeb turns it off.
        max_word_length: None allows any; dialect "dolma" always does.
    """

    version: ClassVar[int] = 2

    dialect: Literal["paper", "datatrove", "dclm", "dolma"] = "paper"
    terminal_punctuation: bool = True
    min_words_per_line: Annotated[int, Ge(0)] = 5
    max_word_length: Annotated[int | None, Ge(1)] = 1000

    def edit(self, documents: DocumentBatch) -> Edited:
        """The lines that stay, joined by newlines."""
        data, offsets = documents.text_buffers()
        longest = _LARGEST if self.max_word_length is None else self.max_word_length
        limits = (self.terminal_punctuation, self.min_words_per_line, longest)
        kept = np.empty(int(offsets[-1] - offsets[0]) + 1, np.uint8)
        bounds = np.zeros(len(offsets), np.int64)
        _clean(data, offsets, unicode.flags(), _DIALECTS.index(self.dialect), *limits, kept, bounds)
        return Edited(arrow.text_column(kept[: bounds[-1]], bounds))


@kernel
def _clean(
    data: Bytes,
    offsets: Ints,
    flags: Bytes,
    dialect: int,
    terminal: bool,
    min_words: int,
    longest: int,
    kept: Bytes,
    bounds: Ints,
) -> None:
    for d in range(len(offsets) - 1):
        at, stop, n_lines = offsets[d], offsets[d + 1], 0
        end = bounds[d]
        while at < stop:
            close, after = _line_end(data, at, stop, dialect < _DCLM)
            if dialect == _DOLMA:
                end = _whole_line(data, at, close, after, flags, terminal, min_words, kept, end)
            else:
                begin = end + (n_lines > 0)  # room for the newline
                found = _line(data, at, close, flags, dialect, terminal, min_words, longest, kept, begin)
                if found >= 0:
                    if n_lines > 0:
                        kept[end] = _NEWLINE
                    end = found
                    n_lines += 1
            at = after
        bounds[d + 1] = end if dialect == _DOLMA else _strip(kept, bounds[d], end, flags)


@leaf
def _line_end(data: Bytes, at: int, stop: int, everywhere: bool) -> tuple[int, int]:
    """(where the line ends, where the next begins); `everywhere`: at all that `str.splitlines` splits at."""
    while at < stop:
        if everywhere:
            ends = between(data, at, 10, 13) | between(data, at, 28, 30)
            ends |= between(data, at, 0xC2, 0xC2) | between(data, at, 0xE2, 0xE2)
        else:
            ends = between(data, at, _NEWLINE, _NEWLINE)
        while ends != NONE:
            place = at + lowest_bit(ends)
            if place >= stop:
                return stop, stop
            size = _break_size(data, place, stop)
            if size > 0:
                return place, place + size
            ends &= ends - ONE
        at += BLOCK
    return stop, stop


@leaf
def _break_size(data: Bytes, at: int, stop: int) -> int:
    """Bytes of the line break at `at`, or 0."""
    lead = data[at]
    if lead == 0xC2:
        return 2 if data[at + 1] == 0x85 else 0
    if lead == 0xE2:
        return 3 if data[at + 1] == 0x80 and (data[at + 2] | 1) == 0xA9 else 0
    return 2 if lead == 13 and at + 1 < stop and data[at + 1] == _NEWLINE else 1


@leaf
def _line(
    data: Bytes,
    begin: int,
    close: int,
    flags: Bytes,
    dialect: int,
    terminal: bool,
    min_words: int,
    longest: int,
    kept: Bytes,
    at: int,
) -> int:
    """Write a line to kept[at:]; where it ends there, or -1 where it goes."""
    if dialect != _DCLM:
        begin, close = trim(data, begin, close, flags)
    if close - begin > longest and _has_longer_word(data, begin, close, flags, longest):
        return -1
    end = _without_citations(data, begin, close, flags, kept, at)
    if dialect == _DCLM and end == at:
        return at
    if terminal and not _ends_like_sentence(kept, at, end, flags, dialect):
        return -1
    if dialect == _DATATROVE:
        has_words = _has_words(data, begin, close, flags, min_words)
    else:
        has_words = _has_words(kept, at, end, flags, min_words)
    return end if has_words and _stays(kept, at, end, dialect == _DCLM) else -1


@leaf
def _whole_line(
    data: Bytes,
    begin: int,
    close: int,
    after: int,
    flags: Bytes,
    terminal: bool,
    min_words: int,
    kept: Bytes,
    at: int,
) -> int:
    """Write a line and its newline to kept[at:] where it stays; where it ends there."""
    first, last = trim(data, begin, close, flags)
    if terminal and not _ends_like_sentence(data, first, last, flags, _DOLMA):
        return at
    if not _has_words(data, first, last, flags, min_words):
        return at
    for k in range(begin, after):
        kept[at + k - begin] = data[k]
    return at + after - begin


@leaf
def _has_longer_word(data: Bytes, at: int, close: int, flags: Bytes, longest: int) -> bool:
    n = 0
    while at < close:
        code, size = unicode.code_point(data, at)
        n = 0 if flags[code] & unicode.SPACE else n + 1
        if n > longest:
            return True
        at += size
    return False


@leaf
def _has_words(data: Bytes, at: int, close: int, flags: Bytes, min_words: int) -> bool:
    n, was_space = 0, True
    while n < min_words and at < close:
        code, size = unicode.code_point(data, at)
        is_space = flags[code] & unicode.SPACE != 0
        n += was_space and not is_space
        was_space = is_space
        at += size
    return n >= min_words


@leaf
def _without_citations(data: Bytes, begin: int, close: int, flags: Bytes, kept: Bytes, at: int) -> int:
    """Write data[begin:close] to kept[at:] without citation marks; where it ends there."""
    while begin < close:
        mark = _next_open(data, begin, close)
        for k in range(mark - begin):
            kept[at + k] = data[begin + k]
        at += mark - begin
        if mark == close:
            break
        begin = _citation_end(data, mark, close, flags)
        if begin == 0:
            kept[at] = _OPEN
            at += 1
            begin = mark + 1
    return at


@leaf
def _next_open(data: Bytes, at: int, close: int) -> int:
    """The next opening bracket, or `close`."""
    while at < close:
        marks = between(data, at, _OPEN, _OPEN)
        if marks != NONE:
            return min(close, at + lowest_bit(marks))
        at += BLOCK
    return close


@leaf
def _citation_end(data: Bytes, begin: int, close: int, flags: Bytes) -> int:
    """Where the citation mark that begins at `begin` ends, or 0."""
    at = begin + 1
    while at < close:
        code, size = unicode.code_point(data, at)
        if not flags[code] & unicode.DIGIT:
            break
        at += size
    if at < close and data[at] == _CLOSE:
        return at + 1
    for first, last in _MARK_BOUNDS:
        k = first
        while k < last and begin + 1 + k - first < close and data[begin + 1 + k - first] == _MARKS[k]:
            k += 1
        if k == last:
            return begin + 1 + last - first
    return 0


@leaf
def _ends_like_sentence(text: Bytes, begin: int, end: int, flags: Bytes, dialect: int) -> bool:
    if dialect == _DCLM:
        begin, end = trim(text, begin, end, flags)
    if begin == end:
        return False
    last = text[end - 1]
    if last == _STOP:
        is_ellipsis = end - begin >= 3 and text[end - 2] == _STOP and text[end - 3] == _STOP
        return dialect == _DOLMA or not is_ellipsis
    is_mark = last in (_QUESTION, _EXCLAMATION, _QUOTE)
    return is_mark or (dialect == _DATATROVE and last == _APOSTROPHE)


@leaf
def _stays(text: Bytes, begin: int, end: int, ignores_case: bool) -> bool:
    """The phrases, in the order in which the original looks for them."""
    has_script, has_brace, has_policy = False, False, False
    at = begin
    while at < end:
        starts = between(text, at, 0x6A, 0x6C) | between(text, at, 0x4A, 0x4C)  # j k l
        starts |= between(text, at, 0x74, 0x75) | between(text, at, 0x54, 0x55)  # t u
        starts |= between(text, at, 0x63, 0x63) | between(text, at, 0x43, 0x43)  # c
        starts |= between(text, at, 0x70, 0x70) | between(text, at, 0x50, 0x50)  # p
        starts |= between(text, at, _BRACE, _BRACE)
        while starts != NONE:
            place = at + lowest_bit(starts)
            if place >= end:
                break
            starts &= starts - ONE
            has_brace = has_brace or text[place] == _BRACE
            if place + 1 < end and _may_begin_phrase(int(text[place]) | 0x20, int(text[place + 1]) | 0x20):
                phrase = _phrase(text, place, end, ignores_case)
                if phrase == _LOREM_IPSUM:
                    return True
                has_script = has_script or phrase == _JAVASCRIPT
                has_policy = has_policy or phrase >= _POLICIES
        at += BLOCK
    return not has_script and (has_brace or not has_policy)


@leaf
def _may_begin_phrase(first: int, second: int) -> bool:
    """Whether a phrase has these two letters, so that few places need a closer look; a long s may be the second."""
    if second == 0x6F:
        return first in (0x63, 0x6C)  # co lo
    if second == 0x65:
        return first == 0x74  # te
    if second == 0x61:
        return first == 0x6A  # ja
    if second == 0x72:
        return first == 0x70  # pr
    return first == 0x75 and (second == 0x73 or second >= 0x80)  # us


@leaf
def _phrase(text: Bytes, at: int, end: int, ignores_case: bool) -> int:
    """The phrase that begins at `at`, or -1."""
    for phrase in range(_N_PHRASES):
        ignores = ignores_case and phrase != _LOREM_IPSUM
        if phrase_end(text, at, end, _LETTERS, _FIRST[phrase], _FIRST[phrase + 1], ignores) >= 0:
            return phrase
    return -1


@leaf
def _strip(kept: Bytes, begin: int, end: int, flags: Bytes) -> int:
    """Move kept[begin:end] to its front without whitespace at either end; where it ends then."""
    first, last = trim(kept, begin, end, flags)
    for k in range(first, last):
        if first > begin:
            kept[begin + k - first] = kept[k]
    return begin + last - first
