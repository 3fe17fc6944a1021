"""Domain signals: how much math, code, pictures, questions and answers a document holds, for corpora of one domain.

What      Counts formulas, code blocks, picture slots, questions, answers and choices in a text as `rich_content` spells
          them, and tells whether the page's host is one that is known for the domain.
Source    Chang et al., RedStone, arXiv 2412.03398, section 3 (pages of code, math and questions are told by their
          content); Han et al., InfiMM-WebMath-40B, arXiv 2409.12568, section 3 (URL and content together).
Formula   formula: $...$ or $$...$$, not beginning or ending in white space, on at most 20 lines; code: lines between
          two lines that begin with ```; question: a line outside code that ends in "?"; answer: a line that begins
          with A:, Ans, Answer or Solution; choice: a line that begins with (a) or A. up to E
Shapes    N documents -> ten numbers each
Units     counts; formula_bytes and code_bytes: fraction of the UTF-8 bytes of the text
Fidelity  Partial: both papers go on with trained classifiers, which are not published with the rules; a scorer takes
          their place here. The thresholds of the recipes are this project's.
Errors    None: an empty text has no formula. A document of a known host breaks no rule where `hosts_suffice`.
"""

from __future__ import annotations

import dataclasses
from typing import Annotated, ClassVar
from urllib.parse import urlsplit

import numpy as np
import pyarrow as pa
from annotated_types import Ge, Le

from seedbed.core import arrow
from seedbed.core.nouns import DocumentBatch, Signal
from seedbed.curate.contract import BoolArray, Filter, Rule
from seedbed.text.kernel import Bytes, Ints, kernel

_NAMES = ("formulas", "formula_bytes", "code_blocks", "code_bytes", "images", "questions", "answers", "choices")
_FORMULAS, _FORMULA_BYTES, _CODE_BLOCKS, _CODE_BYTES, _IMAGES, _QUESTIONS, _ANSWERS, _CHOICES = range(8)
_DOLLAR, _TICK, _NEWLINE, _SPACE, _QUESTION = 36, 96, 10, 32, 63
_MAX_FORMULA_LINES = 20


@dataclasses.dataclass(frozen=True)
class DomainSignals(Filter):
    """Thresholds; None switches one off.

    Args:
        hosts: hosts known for the domain; a host below one of them counts too.
        hosts_suffice: whether a document of such a host breaks no rule.
    """

    columns: ClassVar[tuple[str, ...]] = ("url",)
    signals: ClassVar[tuple[Signal, ...]] = (
        *(Signal(name, "fraction of bytes", low=0, high=1) if "bytes" in name else Signal(name, name, "int", low=0)
          for name in _NAMES),
        Signal("known_host", "0 or 1", "int", low=0, high=1),
    )  # fmt: skip
    rules: ClassVar[tuple[Rule, ...]] = (
        Rule("min_formulas", "formulas", "min"),
        Rule("max_formula_bytes", "formula_bytes", "max"),
        Rule("min_code_blocks", "code_blocks", "min"),
        Rule("min_code_bytes", "code_bytes", "min"),
        Rule("min_questions", "questions", "min"),
        Rule("min_answers", "answers", "min"),
    )

    min_formulas: Annotated[int | None, Ge(0)] = None
    max_formula_bytes: Annotated[float | None, Ge(0), Le(1)] = None
    min_code_blocks: Annotated[int | None, Ge(0)] = None
    min_code_bytes: Annotated[float | None, Ge(0), Le(1)] = None
    min_questions: Annotated[int | None, Ge(0)] = None
    min_answers: Annotated[int | None, Ge(0)] = None
    hosts: tuple[str, ...] = ()
    hosts_suffice: bool = True

    def measure(self, documents: DocumentBatch) -> pa.Table:
        """The counts of every document."""
        data, offsets = documents.text_buffers()
        counts = np.zeros((len(_NAMES), len(documents)), np.int64)
        _count(data, offsets, counts)
        n_bytes = np.maximum(np.diff(offsets), 1)
        columns = {name: counts[i] / n_bytes if "bytes" in name else counts[i] for i, name in enumerate(_NAMES)}
        known = np.array([_is_known(url, self.hosts) for url in documents.column("url")], np.int64)
        return self.table({**columns, "known_host": known})

    def failures(self, signals: pa.Table) -> dict[str, BoolArray]:
        """Rule -> which rows break it."""
        known_N = (arrow.numpy(signals, "known_host") == 1) & self.hosts_suffice
        return {name: np.asarray(breaks_N & ~known_N, np.bool_) for name, breaks_N in super().failures(signals).items()}


def _is_known(url: str, hosts: tuple[str, ...]) -> bool:
    try:
        host = urlsplit(url).hostname or "" if hosts else ""
    except ValueError:
        return False
    return any(host == known or host.endswith("." + known) for known in hosts)


@kernel
def _count(data: Bytes, offsets: Ints, counts: Ints) -> None:
    for d in range(len(offsets) - 1):
        at, stop, code_from = offsets[d], offsets[d + 1], -1
        formula_until = at
        while at < stop:
            end = at
            while end < stop and data[end] != _NEWLINE:
                end += 1
            fence = end - at >= 3 and data[at] == _TICK and data[at + 1] == _TICK and data[at + 2] == _TICK
            if fence and code_from < 0:
                code_from = end
            elif fence:
                counts[_CODE_BLOCKS, d] += 1
                counts[_CODE_BYTES, d] += at - code_from
                code_from = -1
            elif code_from < 0:
                _count_line(data, at, end, counts[:, d])
                formula_until = _count_formulas(data, max(at, formula_until), end, stop, counts[:, d])
            at = end + 1


@kernel
def _count_line(data: Bytes, start: int, end: int, counts: Ints) -> None:
    """What kind of line it is, and the picture slots in it."""
    for at in range(start, end - 1):
        counts[_IMAGES] += data[at] == 33 and data[at + 1] == 91  # ![
    while end > start and data[end - 1] <= _SPACE:
        end -= 1
    while start < end and data[start] <= _SPACE:
        start += 1
    if start == end:
        return
    wide = end - start >= 3 and data[end - 3] == 0xEF and data[end - 2] == 0xBC and data[end - 1] == 0x9F
    counts[_QUESTIONS] += data[end - 1] == _QUESTION or wide
    counts[_ANSWERS] += _begins(data, start, end, _ANSWER_WORDS)
    at = start + (data[start] == 40)
    letter = end - at >= 3 and 97 <= data[at] | 32 <= 101
    counts[_CHOICES] += letter and (data[at + 1] == 41 or data[at + 1] == 46) and data[at + 2] == _SPACE


@kernel
def _begins(data: Bytes, start: int, end: int, words: Bytes) -> bool:
    """Whether a line begins with one of the words, which stand apart by zeros, in any case."""
    at, fits = start, True
    for byte in words:
        if byte == 0:
            if fits:
                return True
            at, fits = start, True
        elif fits:
            lower = data[at] | 32 if at < end and 65 <= data[at] <= 90 else data[at] if at < end else 0
            fits = lower == byte
            at += 1
    return False


@kernel
def _count_formulas(data: Bytes, at: int, end: int, stop: int, counts: Ints) -> int:
    """Count the formulas that begin before `end`; gives where the last one ends."""
    while at < end:
        if data[at] != _DOLLAR or (at > 0 and data[at - 1] == 92):
            at += 1
            continue
        width = 2 if at + 1 < stop and data[at + 1] == _DOLLAR else 1
        close = _closing(data, at + width, stop, width)
        if close < 0:
            at += width
            continue
        counts[_FORMULAS] += 1
        counts[_FORMULA_BYTES] += close - at - width
        at = close + width
    return at


@kernel
def _closing(data: Bytes, start: int, stop: int, width: int) -> int:
    """Where the dollars stand that close a formula, or -1."""
    lines, at = 0, start
    if start >= stop or data[start] <= _SPACE:
        return -1
    while at < stop and lines < (_MAX_FORMULA_LINES if width == 2 else 1):
        lines += data[at] == _NEWLINE
        if data[at] == _DOLLAR and data[at - 1] != 92:
            double = at + 1 < stop and data[at + 1] == _DOLLAR
            closes = at > start and (double if width == 2 else data[at - 1] > _SPACE)
            return at if closes else -1
        at += 1
    return -1


_ANSWER_WORDS = np.frombuffer(b"a:\0ans:\0ans.\0answer\0solution\0", np.uint8)
