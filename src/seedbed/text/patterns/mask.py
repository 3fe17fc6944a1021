"""Passages of known form in texts: where they stand, of which kind, and the texts with something else instead."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import TypeAlias

import numpy as np
import pyarrow as pa

from seedbed.core import arrow
from seedbed.core.nouns import SPANS
from seedbed.text.kernel import Bytes, Flags, Ints, kernel
from seedbed.text.rows import noted


@dataclasses.dataclass(frozen=True)
class Found:
    """P passages in the order of the text; none lies over another.

    Args:
        kinds: names of the kinds.
        row, start, end: the document of each passage, and its bytes within that document.
        kind: the index of its kind in `kinds`.
    """

    kinds: tuple[str, ...]
    row: Ints
    start: Ints
    end: Ints
    kind: Ints

    @classmethod
    def of(cls, kinds: tuple[str, ...], found_P4: Ints) -> Found:
        """From rows of (row, start, end, kind)."""
        return cls(kinds, *(np.ascontiguousarray(column) for column in found_P4.T))

    def __len__(self) -> int:
        return len(self.row)

    def counts(self, n_documents: int) -> dict[str, Ints]:
        """Kind -> passages of it in each document."""
        flat = np.bincount(self.kind * n_documents + self.row, minlength=len(self.kinds) * n_documents)
        return dict(zip(self.kinds, flat.astype(np.int64).reshape(len(self.kinds), n_documents), strict=True))

    def is_like(self, other: Found) -> bool:
        """Whether the passages stand at the same places."""
        pairs = ((self.row, other.row), (self.start, other.start), (self.end, other.end))
        return all(np.array_equal(mine, theirs) for mine, theirs in pairs)

    def only(self, chosen_P: Flags) -> Found:
        """Some of the passages."""
        return Found(self.kinds, *(column[chosen_P] for column in (self.row, self.start, self.end, self.kind)))

    def of_kinds(self, names: Mapping[str, object]) -> Found:
        """The passages of some kinds."""
        return self.only(np.isin(self.kind, [i for i, kind in enumerate(self.kinds) if kind in names]))

    def spans(self) -> pa.Table:
        """The passages in schema SPANS."""
        kind = arrow.named(self.kind, self.kinds)
        return arrow.table({"row": self.row, "start": self.start, "end": self.end, "kind": kind}, SPANS)


Finder: TypeAlias = Callable[[Bytes, Ints], Found]
"""Finds passages in texts given as (bytes, offsets), each text blind to the others."""


def mask(data: Bytes, offsets: Ints, find: Finder, replacements: Mapping[str, str]) -> tuple[Bytes, Ints, Found]:
    """(bytes, offsets, what was replaced): every passage of the kinds named replaced, and nothing left to replace.

    Where one goes, what stood beside it can become a passage: a changed text is searched again until it has no new
    one, so masking twice is masking once.
    """
    found = find(data, offsets).of_kinds(replacements)
    put = [replacements.get(kind, "").encode() for kind in found.kinds]
    open_rows = np.unique(found.row)
    while True:
        out, bounds = _replace(data, offsets, found, put)
        again = find(*_rows(out, bounds, open_rows)).of_kinds(replacements)
        again = dataclasses.replace(again, row=open_rows[again.row])
        more = _merged(found, again, np.array([len(text) for text in put], np.int64)) if len(again) else found
        if more.is_like(found):  # a replacement that is a passage where it stands is found again, and stays
            return out, bounds, found
        found, open_rows = more, np.unique(again.row)


def is_placeholder(put: str) -> bool:
    """Whether it is a short word in angle brackets, such as <PRIVATE_KEY>: no passage of any kind, without a search."""
    return len(put) <= 20 and put[:1] == "<" and put.strip("<>").replace("_", "").isalpha()


def _replace(data: Bytes, offsets: Ints, found: Found, put: list[bytes]) -> tuple[Bytes, Ints]:
    pieces: list[bytes | memoryview] = []
    view, at = np.ascontiguousarray(data).data, int(offsets[0])
    base = offsets[found.row]
    bounds = zip((base + found.start).tolist(), (base + found.end).tolist(), found.kind.tolist(), strict=True)
    for start, end, kind in bounds:
        pieces += [view[at:start], put[kind]]
        at = end
    pieces.append(view[at : int(offsets[-1])])
    longer = np.array([len(text) for text in put], np.int64)[found.kind] - (found.end - found.start)
    grown = np.bincount(found.row, longer, len(offsets) - 1).astype(np.int64)
    lengths = np.diff(offsets) + grown
    return np.frombuffer(b"".join(pieces), np.uint8), np.concatenate([[0], np.cumsum(lengths)])


def _rows(data: Bytes, offsets: Ints, rows: Ints) -> tuple[Bytes, Ints]:
    """Some of the texts, one behind another."""
    pieces = [data[offsets[row] : offsets[row + 1]] for row in rows]
    bounds = np.concatenate([[0], np.cumsum([len(piece) for piece in pieces])]).astype(np.int64)
    return (np.concatenate(pieces) if pieces else np.zeros(0, np.uint8)), bounds


def _merged(found: Found, again: Found, put_K: Ints) -> Found:
    """`again`, told in bytes of the replaced texts, put among `found`; passages that meet become one."""
    start, end = again.start.copy(), again.end.copy()
    for p in range(len(again)):
        mine = found.only(found.row == again.row[p])
        start[p], end[p] = _before(mine.start, mine.end, put_K[mine.kind], int(start[p]), int(end[p]))
    rows = np.stack([found.row, found.start, found.end, found.kind], 1)
    more = np.stack([again.row, start, end, again.kind], 1)
    return Found.of(found.kinds, _united(np.concatenate([more, rows])))


def _before(starts: Ints, ends: Ints, put: Ints, start: int, end: int) -> tuple[int, int]:
    """The bytes of the text before its passages were replaced that became start to end."""
    shift = np.concatenate([[0], np.cumsum(put - (ends - starts))])
    new_starts, new_ends = starts + shift[:-1], ends + shift[1:]
    left = int(np.searchsorted(new_ends, start, side="right"))  # passages that end before it
    inside = left < len(starts) and new_starts[left] <= start
    old_start = int(starts[left]) if inside else start - int(shift[left])
    right = int(np.searchsorted(new_starts, end, side="left"))  # passages that begin before its end
    inside = right > 0 and new_ends[right - 1] >= end
    return old_start, int(ends[right - 1]) if inside else end - int(shift[right])


def _united(found_P4: Ints) -> Ints:
    """Overlapping passages as one, of the kind of the longest."""
    order = np.lexsort((-found_P4[:, 2], found_P4[:, 1], found_P4[:, 0]))
    kept: list[Ints] = []
    for row in found_P4[order]:
        if kept and kept[-1][0] == row[0] and row[1] < kept[-1][2]:
            kept[-1][2] = max(kept[-1][2], row[2])
        else:
            kept.append(row.copy())
    return np.stack(kept)


@kernel
def add(found: Ints, n: int, row: int, start: int, end: int, kind: int) -> tuple[Ints, int]:
    """(found, n + 1) with one more passage; those that it lies over go."""
    while n > 0 and found[n - 1, 0] == row and found[n - 1, 2] > start:
        n -= 1
    return noted(found, n, row, start, end, kind)
