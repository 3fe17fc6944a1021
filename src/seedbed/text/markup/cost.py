"""HTML before it is parsed: what parsing it would cost, and XHTML spelt so that an HTML parser reads it.

Parsers are linear in ordinary pages, but not in pages made to hurt: formatting elements left open are made anew in
every later paragraph (WHATWG HTML, 13.2.4.3), attributes of one element and options of one list are compared pair by
pair, and the search for the main content walks from every element to the root. One linear pass over the bytes
bounds all three before anything is parsed.
"""

from __future__ import annotations

import dataclasses
import re
from math import isqrt
from typing import Any

import numpy as np

from seedbed.text.kernel import Bytes, Ints, kernel, leaf
from seedbed.text.vectors import BLOCK, NONE, between, lowest_bit

_LT, _GT, _SLASH, _BANG, _DASH, _ASK, _EQUALS = 60, 62, 47, 33, 45, 63, 61
_OPEN, _CLOSE, _EMPTY, _OTHER = 0, 1, 2, 3
_FORMATTING, _FLAT, _RAW, _VOID, _FOREIGN, _ANCHOR, _OPTION, _ROOT = 1, 2, 4, 8, 16, 32, 64, 128
_PLACES = 256
_FNV_START, _FNV_PRIME = np.uint64(14695981039346656037), np.uint64(1099511628211)

_ENDS_NAME, _ENDS_VALUE = 1, 2
_BYTES = np.arange(256)
_BLANK_OR_END = (_BYTES <= 32) | (_BYTES == _GT)
_ENDS = _BLANK_OR_END * _ENDS_VALUE + (_BLANK_OR_END | (_BYTES == _EQUALS) | (_BYTES == _SLASH)) * _ENDS_NAME
"""What a byte ends: an attribute's name, a value without quotes."""
_LOWER = np.where(_BLANK_OR_END | (_BYTES == _SLASH), 0, _BYTES + 32 * ((_BYTES >= 65) & (_BYTES <= 90)))
"""A byte of an element's name in lower case; 0 ends the name."""

_XHTML = re.compile(
    rb"^\s*<\?xml\s|<!doctype\s+html[^>]*xhtml|<html\s[^>]*http://www\.w3\.org/1999/xhtml", re.IGNORECASE
)
_XML_DECLARATION = re.compile(rb"^\s*<\?xml\s", re.IGNORECASE)


@dataclasses.dataclass(frozen=True)
class Load:
    """Upper bounds of what a page asks of a parser, counted up to the limits only.

    Args:
        nodes: elements, with those that open formatting elements add.
        ancestors: sum over nodes of how deep they lie.
        pairs: attributes of one element squared, summed over elements; and the number of options squared.
        self_closed: in XHTML, the elements written `<title/>` that `open_empty_elements` would spell out.
    """

    nodes: int
    ancestors: int
    pairs: int
    self_closed: int = 0


def page_load(html: bytes, max_nodes: int, max_ancestors: int = 1 << 62, xhtml: bool = False) -> Load:
    """What parsing the page can cost; stops where a bound is passed. XHTML is counted as it will be spelt."""
    room = min(len(html) // 3, isqrt(2 * max(max_nodes, max_ancestors))) + 4  # what lies deeper passes a bound first
    return Load(*_measure(np.frombuffer(html, np.uint8), max_nodes, max_ancestors, room, xhtml, _NAMES, _KINDS))


def is_xhtml(html: bytes) -> bool:
    """Whether the page says that it is XHTML: XML declaration, doctype or namespace in its first 2,048 bytes."""
    head = html[:2048]
    if b"xhtml" not in head.lower():
        return _XML_DECLARATION.match(head) is not None
    return _XHTML.search(head) is not None


def open_empty_elements(html: bytes) -> bytes:
    """XHTML with `<title/>` as `<title></title>`: to an HTML parser the first would swallow the rest of the page."""
    out, size = _expand(np.frombuffer(html, np.uint8), _NAMES, _KINDS)
    return out[:size].tobytes()


@leaf
def _find(data: Bytes, at: int, byte: int) -> int:
    """Where the byte stands first, from `at`; the end of the data where it does not."""
    while at < len(data):
        found = between(data, at, byte, byte)
        if found != NONE:
            return at + lowest_bit(found)
        at += BLOCK
    return len(data)


@leaf
def _tag_name(data: Bytes, at: int) -> tuple[int, Any]:
    """(where the name that begins at `at` ends, hash of the name in lower case: FNV-1a)."""
    n, i, name = len(data), at, _FNV_START
    while i < n:
        letter = _LOWER[data[i]]
        if letter == 0:
            break
        name = (name ^ np.uint64(letter)) * _FNV_PRIME
        i += 1
    return i, np.int64(name)


@leaf
def _attributes(data: Bytes, at: int) -> tuple[int, int, bool]:
    """The attributes of a tag, from behind its name: (where its ">" stands, how many, whether "/" closes it).

    WHATWG HTML, 13.2.5.32 to 13.2.5.40.
    """
    n, i, count, closed = len(data), at, 0, False
    while i < n and data[i] != _GT:
        closed = data[i] == _SLASH
        if data[i] <= 32 or closed:
            i += 1
            continue
        count += 1
        i += 1  # whatever begins a name belongs to it, "=" too
        while i < n and not _ENDS[data[i]] & _ENDS_NAME:
            i += 1
        j = i
        while j < n and data[j] <= 32:
            j += 1
        if j >= n or data[j] != _EQUALS:
            continue
        i = j + 1
        while i < n and data[i] <= 32:
            i += 1
        if i < n and (data[i] == 34 or data[i] == 39):
            i = min(_find(data, i + 1, data[i]) + 1, n)
        else:
            while i < n and not _ENDS[data[i]] & _ENDS_VALUE:
                i += 1
    return i, count, closed


@leaf
def _hash(data: Bytes, start: int, end: int, value: int) -> Any:
    hashed = np.uint64(value)
    for i in range(start, end):
        hashed = (hashed ^ np.uint64(data[i])) * _FNV_PRIME
    return np.int64(hashed)


@leaf
def _tag(data: Bytes, at: int) -> tuple[int, int, int, int, int]:
    """The tag at data[at] == '<': (its end, kind, hash of its name, end of the name, attributes)."""
    n, i, kind = len(data), at + 1, _OPEN
    if i < n and data[i] == _SLASH:
        kind, i = _CLOSE, i + 1
    if i >= n or not (65 <= data[i] <= 90 or 97 <= data[i] <= 122):
        return at + 1, _OTHER, 0, 0, 0
    name_end, name = _tag_name(data, i)
    if name_end < n and data[name_end] == _GT:
        return name_end + 1, kind, name, name_end, 0
    end, count, closed = _attributes(data, name_end)
    if kind == _OPEN and closed and end < n:
        kind = _EMPTY
    return min(end + 1, n), kind, name, name_end, count


@leaf
def _markup_end(data: Bytes, at: int) -> int:
    """The end of a comment, doctype or processing instruction that begins at data[at] == '<', or at + 1."""
    n = len(data)
    if at + 1 >= n or (data[at + 1] != _BANG and data[at + 1] != _ASK):
        return at + 1
    i = at + 2
    if i + 1 < n and data[at + 1] == _BANG and data[i] == _DASH and data[i + 1] == _DASH:
        if i + 2 < n and data[i + 2] == _GT:
            return i + 3
        i = _find(data, i + 2, _GT)
        while i < n:
            bang = 1 if data[i - 1] == _BANG else 0
            if data[i - 1 - bang] == _DASH and data[i - 2 - bang] == _DASH:
                return i + 1
            i = _find(data, i + 1, _GT)
        return n
    return min(_find(data, i, _GT) + 1, n)


@leaf
def _raw_end(data: Bytes, at: int, name: int) -> int:
    """Where the closing tag of a raw text element begins whose content begins at `at`."""
    n, i = len(data), _find(data, at, _LT)
    while i < n:
        if i + 1 < n and data[i + 1] == _SLASH:
            hashed, k = _FNV_START, i + 2
            while k < n and (65 <= data[k] <= 90 or 97 <= data[k] <= 122):
                letter = data[k] + 32 if data[k] <= 90 else data[k]
                hashed = (hashed ^ np.uint64(letter)) * _FNV_PRIME
                k += 1
            if np.int64(hashed) == name:
                return i
        i = _find(data, i + 1, _LT)
    return n


@leaf
def _kind_of(name: int, names: Ints, kinds: Ints) -> int:
    """What is known of an element, from the table of `_table`."""
    at = name & (len(names) - 1)
    while names[at] != 0:
        if names[at] == name:
            return kinds[at]
        at = (at + 1) & (len(names) - 1)
    return 0


@leaf
def _last(names: Ints, size: int, name: int) -> int:
    i = size - 1
    while i >= 0 and names[i] != name:
        i -= 1
    return i


@leaf
def _remove(names: Ints, wholes: Ints, size: int, at: int) -> int:
    if at < 0:
        return size
    for i in range(at, size - 1):
        names[i], wholes[i] = names[i + 1], wholes[i + 1]
    return size - 1


@leaf
def _reopen(names: Ints, wholes: Ints, size: int, name: int, whole: int, is_anchor: bool) -> int:
    """Put a formatting element on the list of those made anew; of three alike the first goes."""
    if is_anchor:
        size = _remove(names, wholes, size, _last(names, size, name))
    alike, first = 0, 0
    for i in range(size - 1, -1, -1):
        if wholes[i] == whole:
            alike, first = alike + 1, i
    if alike >= 3:
        size = _remove(names, wholes, size, first)
    names[size], wholes[size] = name, whole
    return size + 1


@leaf
def _closed(stack: Ints, stack_kinds: Ints, depth: int, name: int) -> int:
    """The depth after an end tag. It closes what it names only where nothing but formatting lies above that:
    all else depends on scopes, and to take an element for open that is not is the safe side.
    """
    i = depth - 1
    while i >= 0 and stack[i] != name and stack_kinds[i] & _FORMATTING:
        i -= 1
    return i if i >= 0 and stack[i] == name else depth


@kernel
def _measure(
    data: Bytes, max_nodes: int, max_ancestors: int, room: int, xhtml: bool, names: Ints, kinds: Ints
) -> tuple[int, int, int, int]:
    stack, stack_kinds = np.empty(room, np.int64), np.empty(room, np.int64)
    open_names, open_wholes = np.empty(room, np.int64), np.empty(room, np.int64)
    depth, kept, foreign, at, n = 0, 0, 0, 0, len(data)
    nodes, ancestors, pairs, options, shared, self_closed = 0, 0, 0, 0, 0, 0
    while at < n and nodes <= max_nodes and ancestors <= max_ancestors:
        begin = _find(data, at, _LT)
        if begin == n:
            break
        at, written, name, name_end, attributes = _tag(data, begin)
        if written == _OTHER:
            at = _markup_end(data, begin)
            continue
        nodes += 1 + kept
        ancestors += depth + kept
        kind = _kind_of(name, names, kinds)
        if written == _CLOSE:
            if kind & _FORMATTING:
                kept = _remove(open_names, open_wholes, kept, _last(open_names, kept, name))
            closed = _closed(stack, stack_kinds, depth, name)
            for i in range(closed, depth):
                foreign -= 1 if stack_kinds[i] & _FOREIGN else 0
            depth = closed
            continue
        pairs += attributes * attributes
        if kind & _OPTION:
            pairs, options = pairs + 2 * options + 1, options + 1
        if kind & _ROOT:
            pairs, shared = pairs + 2 * shared * attributes, shared + attributes
        if written == _EMPTY and xhtml and not kind & _VOID:
            self_closed += 1
            nodes += 2 + kept  # its end tag, with itself open
            ancestors += depth + kept + 2
            continue
        if kind & _FORMATTING:
            whole = _hash(data, name_end, at, name)
            kept = _reopen(open_names, open_wholes, kept, name, whole, kind & _ANCHOR != 0)
        if foreign == 0 and kind & _RAW:
            at = _raw_end(data, at, name)
        elif not kind & _FLAT and not (written == _EMPTY and foreign > 0) and depth < room:
            stack[depth], stack_kinds[depth] = name, kind
            depth += 1
            foreign += 1 if kind & _FOREIGN else 0
    return nodes, ancestors, pairs, self_closed


@kernel
def _expand(data: Bytes, names: Ints, kinds: Ints) -> tuple[Bytes, int]:
    n = len(data)
    out = np.empty(2 * n + 16, np.uint8)
    at, size, copied = 0, 0, 0
    while at < n:
        begin = _find(data, at, _LT)
        if begin == n:
            break
        at, written, name, name_end, _ = _tag(data, begin)
        if written == _OTHER:
            at = _markup_end(data, begin)
        elif written == _OPEN and _kind_of(name, names, kinds) & _RAW:
            at = _raw_end(data, at, name)
        elif written == _EMPTY and not _kind_of(name, names, kinds) & _VOID:  # "/>" becomes "></" name ">"
            size = _append(out, size, data, copied, at - 2)
            out[size], out[size + 1], out[size + 2] = _GT, _LT, _SLASH
            size = _append(out, size + 3, data, begin + 1, name_end)
            out[size] = _GT
            size, copied = size + 1, at
    return out, _append(out, size, data, copied, n)


@kernel
def _append(out: Bytes, size: int, data: Bytes, start: int, end: int) -> int:
    out[size : size + end - start] = data[start:end]
    return size + end - start


def _table() -> tuple[Ints, Ints]:
    """(hash of a name as `_tag_name` gives it, what is known of the element), open addressing; 0 is a free place."""
    known: dict[int, int] = {}
    for kind, words in _ELEMENTS:
        for word in words.split():
            value = int(_FNV_START)
            for byte in word.encode():
                value = (value ^ byte) * int(_FNV_PRIME) % (1 << 64)
            known[value] = known.get(value, 0) | kind
    names, kinds = np.zeros(_PLACES, np.uint64), np.zeros(_PLACES, np.int64)
    for name, kind in known.items():
        at = name % _PLACES
        while names[at] != 0:
            at = (at + 1) % _PLACES
        names[at], kinds[at] = name, kind
    return names.view(np.int64), kinds


_VOID_NAMES = "area base basefont bgsound br col embed frame hr image img input keygen link meta param source track wbr"
_ELEMENTS = (
    (_FORMATTING, "a b big code em font i nobr s small strike strong tt u"),
    (_VOID, _VOID_NAMES),
    # elements that end the one before them, so that leaving them open does not nest
    (_FLAT, _VOID_NAMES),
    (_FLAT, "p li dd dt option optgroup rt rp tr td th tbody thead tfoot caption colgroup html head body"),
    (_RAW, "script style textarea title xmp iframe noembed noframes"),
    (_FOREIGN, "svg math"),
    (_ANCHOR, "a"),
    (_OPTION, "option"),
    (_ROOT, "body html"),
)
_NAMES, _KINDS = _table()
