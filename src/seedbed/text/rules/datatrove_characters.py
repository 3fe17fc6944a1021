"""Two sets of characters of datatrove 0.10.1 (datatrove/utils/text.py), as a flag a code point."""

from __future__ import annotations

from functools import cache

import numpy as np

from seedbed.text.kernel import Flags
from seedbed.text.unicode import N_CODE_POINTS, sentence_terminals

_MORE_TERMINALS = "17D4-17D6 17D9-17DA 11F43-11F44"
_MORE_PUNCTUATION = """
0-8 B-1F 22-2D 2F 3A-3E 40 5B-60 7B-9F AB B4 BB 2013-2014 2019 201C-201E 2026 2236 2501 25BA 3001 3008-300D 3010-3011
FF05 FF08-FF09 FF0C FF11 FF1A-FF1B FF5E
"""
"""Control characters but tab and newline are among them, and so is the full-width digit one."""


@cache
def terminals() -> Flags:
    """TERMINAL_PUNCTUATION: what a line may end with."""
    found = np.zeros(N_CODE_POINTS, np.bool_)
    found[[*sentence_terminals(), *_codes(_MORE_TERMINALS)]] = True
    found.flags.writeable = False
    return found


@cache
def punctuation() -> Flags:
    """PUNCTUATION_SET: a token of nothing else is no word."""
    found = terminals().copy()
    found[_codes(_MORE_PUNCTUATION)] = True
    found.flags.writeable = False
    return found


def _codes(runs: str) -> list[int]:
    bounds = [[int(end, 16) for end in run.split("-")] for run in runs.split()]
    return [code for run in bounds for code in range(run[0], run[-1] + 1)]
