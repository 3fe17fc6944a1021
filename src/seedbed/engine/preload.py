"""What every worker needs and takes long to load: the compiler, its kernels' tables, Arrow.

Imported once, in the process that workers are forked from.
"""

from __future__ import annotations

import numpy as np
import pyarrow.parquet  # noqa: F401  # pyright: ignore[reportUnusedImport]

from seedbed.text.words import whitespace

whitespace.split(np.frombuffer(b"one word", np.uint8), np.array([0, 8]))
