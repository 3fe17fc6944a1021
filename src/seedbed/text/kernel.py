"""The one door to the compiler: `@kernel` turns a typed Python loop over arrays into machine code, cached on disk.

Numba keys its cache by the file of the outermost function only: after changing a kernel that others call, delete
`__pycache__` of the callers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
import numpy as np
import numpy.typing as npt

F = TypeVar("F", bound=Callable[..., Any])

Bytes = npt.NDArray[np.uint8]
Ints = npt.NDArray[np.int64]
Hashes = npt.NDArray[np.uint64]
Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


def kernel(function: F) -> F:
    """`function` compiled on its first call; it releases the interpreter while it runs."""
    return cast(F, cast(Any, numba).njit(cache=True, nogil=True)(function))
