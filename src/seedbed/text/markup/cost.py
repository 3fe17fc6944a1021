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

import numpy as np

from seedbed.text.kernel import Bytes, Ints, kernel, leaf
from seedbed.text.markup.tags import (
    ANCHOR,
    BREAKOUT,
    CLOSE,
    EMPTY,
    FLAT,
    FONT,
    FORMATTING,
    GT,
    LT,
    MATH,
    MATH_POINT,
    OPEN,
    OPTION,
    OTHER,
    PARAGRAPH,
    RAW,
    ROOT,
    SCRIPT,
    SLASH,
    SVG,
    SVG_POINT,
    VOID,
    find,
    hashed,
    kind_of,
    markup_end,
    raw_end,
    tag,
)

_IN_SVG, _IN_MATH, _POINT = 1 << 20, 1 << 21, 1 << 22
_FOREIGN = _IN_SVG | _IN_MATH
"""What is known of an open element besides its name: in SVG, in MathML, and whether HTML begins within it."""

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
    return Load(*_measure(np.frombuffer(html, np.uint8), max_nodes, max_ancestors, room, xhtml))


def is_xhtml(html: bytes) -> bool:
    """Whether the page says that it is XHTML: XML declaration, doctype or namespace in its first 2,048 bytes."""
    head = html[:2048]
    if b"xhtml" not in head.lower():
        return _XML_DECLARATION.match(head) is not None
    return _XHTML.search(head) is not None


def open_empty_elements(html: bytes) -> bytes:
    """XHTML with `<title/>` as `<title></title>`: to an HTML parser the first would swallow the rest of the page."""
    out, size = _expand(np.frombuffer(html, np.uint8))
    return out[:size].tobytes()


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
    """The depth after an end tag. In SVG and MathML it closes what it names; in HTML only where nothing but
    formatting lies above that: all else depends on scopes, and to take an element for open that is not is the safe
    side.
    """
    i, has_points = depth - 1, False
    while i >= 0 and stack_kinds[i] & _FOREIGN:
        if stack[i] == name:
            return i
        has_points |= stack_kinds[i] & _POINT != 0
        i -= 1
    if i < depth - 1:
        return i if i >= 0 and stack[i] == name and not stack_kinds[i] & FORMATTING and not has_points else depth
    while i >= 0 and stack[i] != name and stack_kinds[i] & FORMATTING:
        i -= 1
    return i if i >= 0 and stack[i] == name else depth


@leaf
def _breaks_out(kind: int, written: int, attributes: int) -> bool:
    """Whether a tag ends the SVG or MathML that it stands in."""
    if written == CLOSE:
        return kind & PARAGRAPH != 0
    return kind & BREAKOUT != 0 or (kind & FONT != 0 and attributes > 0)


@leaf
def _broken_out(stack_kinds: Ints, depth: int) -> int:
    """The depth once SVG and MathML are left, up to where HTML begins within them."""
    while depth > 0 and _is_foreign(stack_kinds, depth):
        depth -= 1
    return depth


@leaf
def _is_foreign(stack_kinds: Ints, depth: int) -> bool:
    """Whether an element that begins here is one of SVG or MathML."""
    return depth > 0 and stack_kinds[depth - 1] & _FOREIGN != 0 and not stack_kinds[depth - 1] & _POINT


@leaf
def _place(kind: int, above: int, is_foreign: bool) -> int:
    """What is known of an element that opens below one of the kind `above`."""
    if not is_foreign and not kind & (SVG | MATH):
        return kind
    place = above & _FOREIGN if is_foreign else (_IN_SVG if kind & SVG else _IN_MATH if kind & MATH else 0)
    if (place & _IN_SVG and kind & SVG_POINT) or (place & _IN_MATH and kind & MATH_POINT):
        place |= _POINT
    return kind & ~FORMATTING | place if is_foreign else kind | place


@leaf
def _more_pairs(kind: int, attributes: int, options: int, shared: int) -> tuple[int, int, int]:
    """(pairs beyond those within one tag, options, attributes that all tags of the root and of the body share)."""
    if kind & OPTION:
        return 2 * options + 1, options + 1, shared
    if kind & ROOT:
        return 2 * shared * attributes, options, shared + attributes
    return 0, options, shared


@kernel
def _measure(data: Bytes, max_nodes: int, max_ancestors: int, room: int, xhtml: bool) -> tuple[int, int, int, int]:
    stack, stack_kinds = np.empty(room, np.int64), np.empty(room, np.int64)
    open_names, open_wholes = np.empty(room, np.int64), np.empty(room, np.int64)
    depth, kept, at, n = 0, 0, 0, len(data)
    nodes, ancestors, pairs, options, shared, self_closed = 0, 0, 0, 0, 0, 0
    while nodes <= max_nodes and ancestors <= max_ancestors:
        begin = find(data, at, LT)
        if begin == n:
            break
        at, written, name, name_end, attributes = tag(data, begin)
        above = stack_kinds[depth - 1] if depth > 0 else 0
        if written == OTHER:
            at = markup_end(data, begin, above & _FOREIGN != 0)
            continue
        kind, is_foreign = kind_of(name), above & _FOREIGN != 0 and not above & _POINT
        if is_foreign and _breaks_out(kind, written, attributes):
            depth, above, is_foreign = _broken_out(stack_kinds, depth), 0, False
        nodes += 1 + kept
        ancestors += (1 + kept) * depth + kept * (kept + 1) // 2
        if written == CLOSE:
            if kept > 0 and kind & FORMATTING:
                kept = _remove(open_names, open_wholes, kept, _last(open_names, kept, name))
            is_last = depth > 0 and stack[depth - 1] == name
            depth = depth - 1 if is_last else _closed(stack, stack_kinds, depth, name)
            continue
        more_pairs, options, shared = _more_pairs(kind, attributes, options, shared)
        pairs += attributes * attributes + more_pairs
        if written == EMPTY and xhtml and not kind & VOID:
            self_closed += 1
            nodes += 2 + kept  # its end tag, with itself open
            ancestors += (1 + kept) * (depth + 1) + kept * (kept + 1) // 2 + 1
            continue
        if kind & FORMATTING and not is_foreign:
            whole = hashed(data, name_end, at, name)
            kept = _reopen(open_names, open_wholes, kept, name, whole, kind & ANCHOR != 0)
        if kind & RAW and not is_foreign:
            at = raw_end(data, at, name, kind & SCRIPT != 0)
        elif depth < room and not (written == EMPTY if is_foreign or kind & (SVG | MATH) else kind & FLAT):
            stack[depth], stack_kinds[depth] = name, _place(kind, above, is_foreign)
            depth += 1
    return nodes, ancestors, pairs, self_closed


@kernel
def _expand(data: Bytes) -> tuple[Bytes, int]:
    n = len(data)
    out = np.empty(2 * n + 16, np.uint8)
    at, size, copied = 0, 0, 0
    while at < n:
        begin = find(data, at, LT)
        if begin == n:
            break
        at, written, name, name_end, _ = tag(data, begin)
        if written == OTHER:
            at = markup_end(data, begin, False)
        elif written == OPEN and kind_of(name) & RAW:
            at = raw_end(data, at, name, kind_of(name) & SCRIPT != 0)
        elif written == EMPTY and not kind_of(name) & VOID:  # "/>" becomes "></" name ">"
            size = _append(out, size, data, copied, at - 2)
            out[size], out[size + 1], out[size + 2] = GT, LT, SLASH
            size = _append(out, size + 3, data, begin + 1, name_end)
            out[size] = GT
            size, copied = size + 1, at
    return out, _append(out, size, data, copied, n)


@kernel
def _append(out: Bytes, size: int, data: Bytes, start: int, end: int) -> int:
    out[size : size + end - start] = data[start:end]
    return size + end - start
