"""Documents as rows for a model: windows of at most the context, padded to a few widths, a few shapes of batches.

A document's first token is read after an end-of-text token, as in training, where every document follows the end of
another. A longer document is cut into consecutive windows that overlap by the one token that is only read, so every
token is a target exactly once. What is to the right of a token, padding included, cannot reach it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.int64]

BATCH_TOKENS = 2048
"""Positions of a batch, padding included."""

NARROWEST = 16
"""The narrowest width windows are padded to; wider ones are 1.5, 2, 3, 4, 6, ... times as wide, up to the context.

Widths that only double would make a third of all positions padding where most documents are shorter than the context.
"""


@dataclasses.dataclass(frozen=True)
class Rows:
    """A batch of windows, all of one width; what is not scored is padding.

    Args:
        inputs_BT, targets_BT: token ids.
        scored_BT: whether a position belongs to a document.
        document_B: number of the document each row was cut from; -1 for a row of padding alone.
    """

    inputs_BT: IntArray
    targets_BT: IntArray
    scored_BT: npt.NDArray[np.bool_]
    document_B: IntArray


def rows_of(ids: npt.NDArray[np.integer[Any]], offsets: IntArray, context: int, end_of_text: int) -> Iterator[Rows]:
    """All documents ids[offsets[i]:offsets[i+1]], narrow windows first; a document without tokens has none.

    A batch is full, or its number of rows is a power of two: few shapes occur, each with its own fixed arithmetic.
    """
    document_W, begin_W, length_W = windows(offsets, context)
    for width, taken in batches(length_W, context):
        first_B = begin_W[taken] == offsets[:-1][document_W[taken]]
        yield _filled(ids, begin_W[taken], length_W[taken], first_B, document_W[taken], width, end_of_text)


def _filled(
    ids: npt.NDArray[np.integer[Any]],
    begin_B: IntArray,
    length_B: IntArray,
    first_B: npt.NDArray[np.bool_],
    document_B: IntArray,
    width: int,
    end_of_text: int,
) -> Rows:
    n, rows = len(begin_B), padded_rows(len(begin_B), width)
    scored = np.zeros((rows, width), np.bool_)
    scored[:n] = np.arange(width) < length_B[:, None]
    targets = np.full((rows, width), end_of_text, np.int64)
    targets[scored] = ids[(begin_B[:, None] + np.arange(width))[scored[:n]]]
    inputs = np.full_like(targets, end_of_text)
    inputs[:, 1:] = targets[:, :-1]
    inputs[:n, 0] = np.where(first_B, end_of_text, ids[np.maximum(begin_B - 1, 0)])
    whose = np.full(rows, -1, np.int64)
    whose[:n] = document_B
    return Rows(inputs, targets, scored, whose)


def windows(offsets: IntArray, context: int) -> tuple[IntArray, IntArray, IntArray]:
    """(document, first token, length) of every window."""
    size_N = np.diff(offsets)
    windows_N = -(-size_N // context)
    document_W = np.repeat(np.arange(len(size_N)), windows_N)
    ordinal_W = np.arange(len(document_W)) - np.repeat(np.cumsum(windows_N) - windows_N, windows_N)
    begin_W = offsets[:-1][document_W] + ordinal_W * context
    return document_W, begin_W, np.minimum(offsets[1:][document_W] - begin_W, context)


def batches(length_W: IntArray, context: int) -> Iterator[tuple[int, IntArray]]:
    """(width, windows) of every batch, narrow windows first."""
    width_W = _widths(length_W, context)
    for width in np.unique(width_W).tolist():
        of_width, most = np.flatnonzero(width_W == width), _most(width)
        for at in range(0, len(of_width), most):
            yield width, of_width[at : at + most]


def padded_rows(rows: int, width: int) -> int:
    """Rows of a batch of that width, padding included: as many as one holds, or a power of two."""
    return min(_most(width), 1 << (rows - 1).bit_length())


def _most(width: int) -> int:
    return max(1, BATCH_TOKENS // width)


def _widths(length_W: IntArray, context: int) -> IntArray:
    """The width each window is padded to: 16, 24, 32, 48, 64, ... , at most the context."""
    widths: list[int] = []
    width = min(NARROWEST, context)
    while width < context:
        widths += [width, width * 3 // 2]
        width *= 2
    ladder = np.array([*(narrow for narrow in widths if narrow < context), context], np.int64)
    return ladder[np.searchsorted(ladder, length_W)]
