"""What a code point is: whitespace, letter, digit, punctuation; its lower case; its bare letter without accents.

Tables over all code points, built once a process from the interpreter's Unicode database (`unicodedata`) on first use,
so that compiled kernels agree with `str.split`, `str.isalpha` and `str.lower` of the same interpreter.
"""

from __future__ import annotations

import dataclasses
import unicodedata
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from seedbed.text.kernel import Bytes, leaf
from seedbed.text.vectors import ONE, count_bits, load

SPACE, ALPHA, UPPER, LOWER, DIGIT, PUNCTUATION, TERMINAL, CLOSER = (1 << bit for bit in range(8))

N_CODE_POINTS = 0x110000
_HIGH_BITS = np.uint64(0x8080808080808080)
REMOVED = -1
"""A folded code point that leaves nothing behind: a combining mark."""

_CATEGORY_FLAGS = {"Lu": ALPHA | UPPER, "Ll": ALPHA | LOWER, "Lt": ALPHA, "Lm": ALPHA, "Lo": ALPHA, "Nd": DIGIT}
_CATEGORIES = (
    *("Lu", "Ll", "Lt", "Lm", "Lo", "Mn", "Mc", "Me", "Nd", "Nl", "No", "Pc", "Pd", "Ps", "Pe", "Pi"),
    *("Pf", "Po", "Sm", "Sc", "Sk", "So", "Zs", "Zl", "Zp", "Cc", "Cf", "Cs", "Co", "Cn"),
)
_ASSIGNED = (range(0x40000), range(0xE0000, 0xE0200))
"""Planes 0 to 3 and the tags; every other code point is unassigned or private, and has no property used here."""

_PLAIN = (
    range(0x3400, 0x4DC0),
    range(0x4E00, 0xA000),
    range(0xD800, 0xF900),
    range(0x17000, 0x1BC00),
    range(0x20000, 0x2F800),
)
"""Ideographs, Tangut, kana supplements, surrogates and private use: no case, no decomposition."""

# Unicode property Sentence_Terminal (UAX 29, PropList.txt), as [first, last] of each run.
_TERMINAL = """
21 2E 3F 589 61D-61F 6D4 700-702 7F9 837 839 83D-83E 964-965 104A-104B 1362 1367-1368 166E 1735-1736 1803 1809
1944-1945 1AA8-1AAB 1B5A-1B5B 1B5E-1B5F 1B7D-1B7E 1C3B-1C3C 1C7E-1C7F 203C-203D 2047-2049 2E2E 2E3C 2E53-2E54 3002
A4FF A60E-A60F A6F3 A6F7 A876-A877 A8CE-A8CF A92F A9C8-A9C9 AA5D-AA5F AAF0-AAF1 ABEB FE52 FE56-FE57 FF01 FF0E FF1F
FF61 10A56-10A57 10F55-10F59 10F86-10F89 11047-11048 110BE-110C1 11141-11143 111C5-111C6 111CD 111DE-111DF
11238-11239 1123B-1123C 112A9 1144B-1144C 115C2-115C3 115C9-115D7 11641-11642 1173C-1173E 11944 11946 11A42-11A43
11A9B-11A9C 11C41-11C42 11EF7-11EF8 16A6E-16A6F 16AF5 16B37-16B38 16B44 16E98 1BC9F 1DA88
"""


@dataclasses.dataclass(frozen=True)
class UnicodeTables:
    """One entry a code point.

    Args:
        flags: SPACE | ALPHA | UPPER | ... of the code point.
        lower: its lower case, where that is one code point; else itself.
        folded: lower case without accents, digits 0, punctuation and whitespace a space; REMOVED for combining marks;
            -2 - k for row k of `expansions`, where the decomposition has several code points.
        expansions: rows of up to four code points, padded with REMOVED.
    """

    flags: npt.NDArray[np.uint8]
    lower: npt.NDArray[np.int32]
    folded: npt.NDArray[np.int32]
    expansions: npt.NDArray[np.int32]


@leaf
def code_point(data: Bytes, at: int) -> tuple[int, int]:
    """The code point whose UTF-8 bytes begin at `at`, and how many they are."""
    lead = int(data[at])
    if lead < 0x80:
        return lead, 1
    if lead < 0xE0:
        return (lead & 0x1F) << 6 | (int(data[at + 1]) & 0x3F), 2
    if lead < 0xF0:
        return (lead & 0x0F) << 12 | (int(data[at + 1]) & 0x3F) << 6 | (int(data[at + 2]) & 0x3F), 3
    high = (lead & 0x07) << 18 | (int(data[at + 1]) & 0x3F) << 12
    return high | (int(data[at + 2]) & 0x3F) << 6 | (int(data[at + 3]) & 0x3F), 4


@leaf
def skip(data: Bytes, at: int, stop: int, kinds: npt.NDArray[np.unsignedinteger[Any]], kind: int) -> int:
    """The next place, at most `stop`, whose code point is not of that kind, by a table of flags by code point."""
    while at < stop:
        code, size = code_point(data, at)
        if not kinds[code] & kind:
            break
        at += size
    return at


@leaf
def count_characters(data: Bytes, begin: int, close: int) -> int:
    """Code points in data[begin:close]: the bytes that do not continue one."""
    n, at = 0, begin
    while at < close:
        eight = load(data, at, close)
        n += count_bits(eight & ~(eight << ONE) & _HIGH_BITS)  # 10xxxxxx
        at += 8
    return close - begin - n


@cache
def flags() -> npt.NDArray[np.uint8]:
    """The flags of every code point."""
    found = np.zeros(N_CODE_POINTS, np.uint8)
    values = np.zeros((128, 128), np.uint8)
    for category in _CATEGORIES:
        kind = _CATEGORY_FLAGS.get(category, PUNCTUATION if category[0] in "PS" else 0)
        values[ord(category[0]), ord(category[1])] = kind | (CLOSER if category in ("Pe", "Pf") else 0)
    for block in _ASSIGNED:
        letters = np.frombuffer("".join(map(unicodedata.category, map(chr, block))).encode(), np.uint8)
        found[block.start : block.stop] = values[letters[0::2], letters[1::2]]
    found[[code for code in range(0x3001) if chr(code).isspace()]] |= SPACE
    found[sentence_terminals()] |= TERMINAL
    found[[ord('"'), ord("'")]] |= CLOSER
    found.flags.writeable = False
    return found


def sentence_terminals() -> list[int]:
    """Code points that end a sentence, in any script."""
    runs = [[int(end, 16) for end in run.split("-")] for run in _TERMINAL.split()]
    return [code for run in runs for code in range(run[0], run[-1] + 1)]


@cache
def tables() -> UnicodeTables:
    """All tables; the folding ones are only built for methods that normalise."""
    kinds = flags()
    lower = np.arange(N_CODE_POINTS, dtype=np.int32)
    folded = np.arange(N_CODE_POINTS, dtype=np.int32)
    expansions: list[list[int]] = []
    for code in _changing():
        small = chr(code).lower()
        if len(small) == 1:
            lower[code] = ord(small)
        _fold(code, small, kinds, folded, expansions)
    rows = np.full((max(1, len(expansions)), 4), REMOVED, np.int32)
    for row, codes in enumerate(expansions):
        rows[row, : len(codes)] = codes
    for table in (lower, folded, rows):
        table.flags.writeable = False
    return UnicodeTables(kinds, lower, folded, rows)


def _changing() -> list[int]:
    """The code points whose lower case or folding may differ from themselves, assigned ones at least."""
    possible = np.zeros(N_CODE_POINTS, np.bool_)
    for block in _ASSIGNED:
        possible[block.start : block.stop] = True
    for block in _PLAIN:
        possible[block.start : block.stop] = False
    codes: list[int] = np.flatnonzero(possible).tolist()
    return [code for code in codes if unicodedata.category(chr(code)) != "Cn"]


def _fold(
    code: int, small: str, kinds: npt.NDArray[np.uint8], folded: npt.NDArray[np.int32], expansions: list[list[int]]
) -> None:
    parts = [ord(c) for c in unicodedata.normalize("NFD", small) if unicodedata.category(c) != "Mn"]
    codes = [_plain(part, int(kinds[part])) for part in parts]
    if not codes:
        folded[code] = REMOVED
    elif len(codes) == 1:
        folded[code] = codes[0]
    else:
        folded[code] = -2 - len(expansions)
        expansions.append(codes)


def _plain(code: int, kind: int) -> int:
    if kind & (SPACE | PUNCTUATION):
        return ord(" ")
    if kind & DIGIT:
        return ord("0")
    return ord("σ") if code == ord("ς") else code  # str.lower chooses the final sigma by its neighbours
