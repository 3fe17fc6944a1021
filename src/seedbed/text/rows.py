"""A list of rows of four numbers that grows inside a kernel."""

from __future__ import annotations

import numpy as np

from seedbed.text.kernel import Ints, kernel


@kernel
def noted(rows: Ints, n: int, first: int, second: int, third: int, fourth: int) -> tuple[Ints, int]:
    """(rows, n + 1) with one more row behind the n that are filled."""
    if n == len(rows):
        longer = np.empty((2 * n, 4), np.int64)
        for row in range(n):
            for column in range(4):
                longer[row, column] = rows[row, column]
        rows = longer
    rows[n, 0], rows[n, 1], rows[n, 2], rows[n, 3] = first, second, third, fourth
    return rows, n + 1
