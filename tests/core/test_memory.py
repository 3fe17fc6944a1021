"""Freed memory is used again: no new pages for an array of the size of the last."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import resource, sys
import numpy as np
from seedbed.core.memory import reuse_freed_memory

if sys.argv[1] == "reuse":
    reuse_freed_memory()
    reuse_freed_memory()

def pages():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        several = [np.empty(5 << 19) for _ in range(4)]
        for one in several:
            one.fill(1)
        del several, one
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

pages()
print(pages())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the C library is another")
def test_large_arrays_take_the_pages_of_those_before() -> None:
    asked = [[sys.executable, "-c", PROGRAM, how] for how in ("reuse", "not")]
    reused, fresh = (int(subprocess.run(one, capture_output=True, check=True).stdout) for one in asked)
    assert reused < 1000
    assert reused < fresh / 10 or fresh < 1000, "where the C library does it by itself, there is nothing to gain"
