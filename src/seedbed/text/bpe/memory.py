"""A memory of pieces: the tokens of those that came lately, one line of 64 bytes each, compared byte by byte.

A piece has a set of WAYS lines, chosen by its hash; a new one takes a free line of its set, or another's. So the memory
never grows, and what it forgets is merged again: which pieces it holds changes the time, never the tokens.
"""

from __future__ import annotations

import numpy as np

from seedbed.text.hashing import GOLDEN
from seedbed.text.kernel import Bytes, Hashes, Ints, leaf
from seedbed.text.vectors import load

SETS, WAYS = 1 << 15, 4
MAX_BYTES, MAX_TOKENS = 32, 9
"""Of a piece that is remembered; longer ones seldom come again."""

ID_BITS = 21
"""A vocabulary of more than 2**21 tokens has no place in a line."""

_NO_LINE = -1
_LINE, _HEAD, _IDS, _IDS_A_NUMBER = 8, 4, 5, 3
"""A line is 8 numbers: 4 of the piece's bytes, its size and number of tokens, 3 of three ids each."""
_S8, _S32, _TO_SET = np.uint64(8), np.uint64(32), np.uint64(64 - 15)
_FACTORS = (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB), np.uint64(0xD6E8FEB86659FD93))
_ID = (1 << ID_BITS) - 1
_BYTE = np.uint64(0xFF)
_COUNT = 0xFF


def new() -> Hashes:
    """An empty memory; its lines do not cross the processor's."""
    numbers = np.zeros(SETS * WAYS * _LINE + _LINE, np.uint64)
    skipped = -numbers.ctypes.data % 64 // 8
    return numbers[skipped : skipped + SETS * WAYS * _LINE]


@leaf
def find(memory: Hashes, data: Bytes, start: int, stop: int) -> tuple[int, int]:
    """(line, its tokens) of a piece; 0 tokens: it is not there, but may be `put` into that line."""
    if stop - start > MAX_BYTES:
        return _NO_LINE, 0
    k0, k1, k2, k3 = load(data, start, stop), np.uint64(0), np.uint64(0), np.uint64(0)
    size = stop - start
    if size > 8:
        k1 = load(data, start + 8, stop)
        if size > 16:
            k2 = load(data, start + 16, stop)
            if size > 24:
                k3 = load(data, start + 24, stop)
    state = (k0 ^ k1 * _FACTORS[0] ^ k2 * _FACTORS[1] ^ k3 * _FACTORS[2]) * GOLDEN
    state = (state ^ state >> _S32) * _FACTORS[0]
    first = (int(state >> _TO_SET) & SETS - 1) * WAYS * _LINE
    for way in range(WAYS):
        line = first + way * _LINE
        head = memory[line + _HEAD]
        if head == 0:
            return line, 0
        same = memory[line] == k0 and memory[line + 1] == k1 and memory[line + 2] == k2 and memory[line + 3] == k3
        if same and head & _BYTE == size:
            return line, int(head >> _S8) & _COUNT
    return first + (int(state) & WAYS - 1) * _LINE, 0


@leaf
def token(memory: Hashes, line: int, i: int) -> int:
    """Token i of the piece in a line."""
    place = i // _IDS_A_NUMBER
    return int(memory[line + _IDS + place] >> np.uint64(ID_BITS * (i - place * _IDS_A_NUMBER))) & _ID


@leaf
def put(memory: Hashes, line: int, data: Bytes, start: int, stop: int, tokens: Ints, n: int) -> None:
    """Remember the n tokens of a piece in the line that `find` gave, unless it or they are too long."""
    if line == _NO_LINE or n > MAX_TOKENS:
        return
    for i in range(_HEAD):
        at = start + 8 * i
        memory[line + i] = load(data, at, stop) if at < stop else np.uint64(0)
    memory[line + _HEAD] = np.uint64(n) << _S8 | np.uint64(stop - start)
    for i in range(_IDS, _LINE):
        memory[line + i] = np.uint64(0)
    for i in range(n):
        place = i // _IDS_A_NUMBER
        shift = np.uint64(ID_BITS * (i - place * _IDS_A_NUMBER))
        memory[line + _IDS + place] |= np.uint64(tokens[i]) << shift
