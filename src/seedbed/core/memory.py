"""Memory that is freed stays with the process for the next array.

By default glibc gives large arrays back to the system when they are freed, and the next one of that size is mapped
anew, zeroed page by page. Where every batch makes arrays of some megabytes, that takes a tenth of the time.
"""

from __future__ import annotations

import ctypes
import sys
from functools import cache

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # malloc.h
LARGEST_REUSED_BYTES = 32 << 20
KEPT_BYTES = 256 << 20
"""At most this much freed memory stays with the process."""


@cache
def reuse_freed_memory() -> None:
    """For the rest of this process; does nothing where the C library is another."""
    if sys.platform != "linux":
        return
    library = ctypes.CDLL(None)
    if hasattr(library, "mallopt"):
        library.mallopt(_MMAP_THRESHOLD, LARGEST_REUSED_BYTES)
        library.mallopt(_TRIM_THRESHOLD, KEPT_BYTES)
