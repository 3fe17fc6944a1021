"""What Punkt knows: the words of its English model, and what a character is to its regular expressions."""

from __future__ import annotations

import unicodedata
from functools import cache
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from seedbed.text import unicode
from seedbed.text.kernel import Bytes, Hashes, Ints

NltkVersion = Literal["3.4", "3.8", "3.10"]
"""Whose count it is: 3.4 to 3.6.5, by which C4 was made; 3.6.6 to 3.9; and from 3.10 on, to which curly quotes are
quotes, and whose regular expressions have another Unicode."""

SPACE, DIGIT, INITIAL, UPPER, LOWER, APART, NO_START, CLOSES = (1 << bit for bit in range(8))
"""Kinds of characters: whitespace; digit; what an initial may be; upper and lower case; what no word holds inside; what
no word begins with; what stays with the sentence before it."""
STARTER, BEGINS_LOWER, LOWER_SEEN, STARTS_UPPER = (1 << bit for bit in range(4))
"""What is known of a word: often the first of a sentence; seen in lower case at a sentence's start and never in upper
case; seen in lower case; that, and never in upper case inside a sentence."""
FIRST_COLLOCATION = 4
"""The bit of the first of COLLOCATES, which says that the word follows it."""
COLLOCATES = ("##number##", "b", "i", "j", "o")

_APART, _NO_START, _CLOSES = ")\";}]*:@'({[?!", '("`{[:;&#*@)}]-,', "\"')]}"
_QUOTES = "\u2018\u2019\u201c\u201d\xab\xbb"
_SEPARATORS = range(0x1C, 0x20)
_CASED = range(0x20000)
"""No character beyond has a case."""
_CIRCLED = (range(0x24B6, 0x24EA), range(0x1F130, 0x1F14A), range(0x1F150, 0x1F16A), range(0x1F170, 0x1F18A))
_JOINERS = range(0x200C, 0x200E)
_MARKED = (_CASED, range(0xE0100, 0xE01F0))
_WORD_CATEGORIES = ("Nl", "Pc", "Mn", "Mc", "Me")


class Model(NamedTuple):
    """The words of the model.

    Args:
        abbreviations: up to 8 bytes as one big-endian number each, sorted.
        letters, first: word w, in the order of its bytes, is letters[first[w]:first[w + 1]].
        known: what is known of each word.
    """

    abbreviations: Hashes
    letters: Bytes
    first: Ints
    known: Ints


@cache
def model() -> Model:
    """The model, read once a process."""
    lists = _lists()
    known = dict.fromkeys(lists["lower_case_and_upper_case_inside"], LOWER_SEEN)
    known |= dict.fromkeys(lists["lower_case_and_never_upper_case_inside"], LOWER_SEEN | STARTS_UPPER)
    for word in lists["begins_in_lower_case"]:
        known[word] |= BEGINS_LOWER
    for word in lists["starters"]:
        known[word] = known.get(word, 0) | STARTER
    for pair in lists["collocations"]:
        before, word = pair.split("|")
        known[word] = known.get(word, 0) | 1 << FIRST_COLLOCATION + COLLOCATES.index(before)
    words = sorted(known)
    return Model(
        np.array(sorted(int.from_bytes(word.encode(), "big") for word in lists["abbreviations"]), np.uint64),
        np.frombuffer("".join(words).encode(), np.uint8),
        np.cumsum([0, *map(len, words)], dtype=np.int64),
        np.array([known[word] for word in words], np.int64),
    )


def _lists() -> dict[str, list[str]]:
    lists: dict[str, list[str]] = {}
    name = ""
    for line in Path(__file__).with_name("punkt_english.txt").read_text("ascii").splitlines():
        if line.startswith(" "):
            lists[name].extend(line.split())
        elif not line.startswith("#"):
            name = line
            lists[name] = []
    return lists


@cache
def kinds(nltk: NltkVersion) -> Bytes:
    """Of every code point."""
    flags = unicode.flags()
    found = np.zeros(unicode.N_CODE_POINTS, np.uint8)
    found[flags & unicode.SPACE != 0] |= SPACE
    found[flags & unicode.DIGIT != 0] |= DIGIT
    found[flags & unicode.ALPHA != 0] |= INITIAL
    found[[code for code in _CASED if chr(code).isupper()]] |= UPPER
    found[[code for code in _CASED if chr(code).islower()]] |= LOWER
    is_new = nltk == "3.10"
    found[_more_initials(by_regex=is_new)] |= INITIAL
    quotes = _QUOTES if is_new else ""
    for characters, kind in ((_APART + quotes, APART), (_NO_START, NO_START), (_CLOSES + quotes, CLOSES)):
        found[list(map(ord, characters))] |= kind
    if is_new:
        found[_SEPARATORS] &= ~np.uint8(SPACE)
    found.flags.writeable = False
    return found


def _more_initials(by_regex: bool) -> list[int]:
    r"""Word characters that are neither letters nor decimal digits.

    Python's `re` has the underscore and what `str.isalnum` has, the package `regex` Unicode's \w.
    """
    if not by_regex:
        return [ord("_"), *(code for code in _CASED if chr(code).isnumeric() and not chr(code).isdecimal())]
    circled = [code for block in _CIRCLED for code in block]
    assigned = [code for block in _MARKED for code in block]
    return [*circled, *_JOINERS, *(code for code in assigned if unicodedata.category(chr(code)) in _WORD_CATEGORIES)]
