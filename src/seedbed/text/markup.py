"""HTML before it is parsed: what parsing it would cost, and XHTML spelt so that an HTML parser reads it.

Parsers are linear in ordinary pages, but not in pages made to hurt: formatting elements left open are made anew in
every later paragraph (WHATWG HTML, 13.2.4.3), attributes of one element and options of one list are compared pair by
pair, and the search for the main content walks from every element to the root. One linear pass over the bytes
bounds all three before anything is parsed.
"""

from __future__ import annotations

import dataclasses
import re
from typing import Any

import numpy as np

from seedbed.text.kernel import Bytes, Hashes, Ints, kernel

_LT, _GT, _SLASH, _BANG, _DASH, _ASK, _EQUALS = 60, 62, 47, 33, 45, 63, 61
_OPEN, _CLOSE, _EMPTY, _OTHER = 0, 1, 2, 3

_XHTML = re.compile(
    rb"^\s*<\?xml\s|<!doctype\s+html[^>]*xhtml|<html\s[^>]*http://www\.w3\.org/1999/xhtml", re.IGNORECASE
)


@dataclasses.dataclass(frozen=True)
class Load:
    """Upper bounds of what a page asks of a parser, counted up to the limits only.

    Args:
        nodes: elements, with those that open formatting elements add.
        ancestors: sum over nodes of how deep they lie.
        pairs: attributes of one element squared, summed over elements; and the number of options squared.
    """

    nodes: int
    ancestors: int
    pairs: int


def page_load(html: bytes, max_nodes: int, max_ancestors: int = 1 << 62) -> Load:
    """What parsing the page can cost; stops where a bound is passed."""
    data = np.frombuffer(html, np.uint8)
    brackets = int(np.count_nonzero(data == _LT))
    room = min(brackets, max_nodes) + 2
    nodes, ancestors, pairs = _measure(data, max_nodes, max_ancestors, room, _FORMATTING, _NOT_NESTED, _RAW, *_SINGLE)
    return Load(int(nodes), int(ancestors), int(pairs))


def is_xhtml(html: bytes) -> bool:
    """Whether the page says that it is XHTML: XML declaration, doctype or namespace in its first 2,048 bytes."""
    return _XHTML.search(html[:2048]) is not None


def open_empty_elements(html: bytes) -> bytes:
    """XHTML with `<title/>` as `<title></title>`: to an HTML parser the first would swallow the rest of the page."""
    out, size = _expand(np.frombuffer(html, np.uint8), _VOID, _RAW)
    return out[:size].tobytes()


@kernel
def _tag(data: Bytes, at: int) -> tuple[int, int, Any, int, Any]:
    """The tag at data[at] == '<': (end, kind, hash of the lower-case name, attributes, hash of all its bytes)."""
    n, i, kind = len(data), at + 1, _OPEN
    if i < n and data[i] == _SLASH:
        kind, i = _CLOSE, i + 1
    if i >= n or not (65 <= data[i] <= 90 or 97 <= data[i] <= 122):
        return at + 1, _OTHER, 0, 0, 0
    name = np.uint64(14695981039346656037)
    while i < n and data[i] > 32 and data[i] != _GT and data[i] != _SLASH:
        letter = data[i] + 32 if 65 <= data[i] <= 90 else data[i]
        name = (name ^ np.uint64(letter)) * np.uint64(1099511628211)
        i += 1
    whole, attributes, quote, before, value = name, 0, 0, 32, False
    while i < n and (quote != 0 or data[i] != _GT):
        byte = data[i]
        whole = (whole ^ np.uint64(byte)) * np.uint64(1099511628211)
        if quote != 0:
            quote = 0 if byte == quote else quote
            value = quote != 0
        elif value and before == _EQUALS and (byte == 34 or byte == 39):
            quote = byte
        elif byte == _EQUALS:
            value, before = True, byte
        elif byte <= 32 or (byte == _SLASH and not value):
            value = value and before == _EQUALS
            before = before if before == _EQUALS and value else 32
        else:
            attributes += 1 if before == 32 and not value else 0
            before = byte
        if quote == 0 and byte != _EQUALS and not value and (byte == 34 or byte == 39):
            before = 32
        i += 1
    if kind == _OPEN and i < n and data[i - 1] == _SLASH and not (value and before != 32):
        kind = _EMPTY
    return min(i + 1, n), kind, np.int64(name), attributes, np.int64(whole)


@kernel
def _markup_end(data: Bytes, at: int) -> int:
    """The end of a comment, doctype or processing instruction that begins at data[at] == '<', or at + 1."""
    n = len(data)
    if at + 1 >= n or (data[at + 1] != _BANG and data[at + 1] != _ASK):
        return at + 1
    i = at + 2
    if i + 1 < n and data[at + 1] == _BANG and data[i] == _DASH and data[i + 1] == _DASH:
        if i + 2 < n and data[i + 2] == _GT:
            return i + 3
        i += 2
        while i < n:
            if data[i] == _GT and data[i - 1] == _DASH and data[i - 2] == _DASH:
                return i + 1
            if data[i] == _GT and data[i - 1] == _BANG and data[i - 2] == _DASH and data[i - 3] == _DASH:
                return i + 1
            i += 1
        return n
    while i < n and data[i] != _GT:
        i += 1
    return min(i + 1, n)


@kernel
def _raw_end(data: Bytes, at: int, name: int) -> int:
    """Where the closing tag of a raw text element begins whose content begins at `at`."""
    n, i = len(data), at
    while i < n:
        if data[i] == _LT and i + 1 < n and data[i + 1] == _SLASH:
            hashed, k = np.uint64(14695981039346656037), i + 2
            while k < n and (65 <= data[k] <= 90 or 97 <= data[k] <= 122):
                letter = data[k] + 32 if data[k] <= 90 else data[k]
                hashed = (hashed ^ np.uint64(letter)) * np.uint64(1099511628211)
                k += 1
            if np.int64(hashed) == name:
                return i
        i += 1
    return n


@kernel
def _is_in(name: int, names: Ints) -> bool:
    for known in names:  # noqa: SIM110  any() does not compile
        if known == name:
            return True
    return False


@kernel
def _last(names: Ints, size: int, name: int) -> int:
    i = size - 1
    while i >= 0 and names[i] != name:
        i -= 1
    return i


@kernel
def _remove(names: Ints, wholes: Ints, size: int, at: int) -> int:
    if at < 0:
        return size
    for i in range(at, size - 1):
        names[i], wholes[i] = names[i + 1], wholes[i + 1]
    return size - 1


@kernel
def _reopen(names: Ints, wholes: Ints, size: int, name: int, whole: int, anchor: int) -> int:
    """Put a formatting element on the list of those made anew; of three alike the first goes."""
    if name == anchor:
        size = _remove(names, wholes, size, _last(names, size, name))
    alike, first = 0, 0
    for i in range(size - 1, -1, -1):
        if wholes[i] == whole:
            alike, first = alike + 1, i
    if alike >= 3:
        size = _remove(names, wholes, size, first)
    names[size], wholes[size] = name, whole
    return size + 1


@kernel
def _closed(stack: Ints, depth: int, name: int, formatting: Ints) -> int:
    """The depth after an end tag. It closes what it names only where nothing but formatting lies above that:
    all else depends on scopes, and to take an element for open that is not is the safe side.
    """
    i = depth - 1
    while i >= 0 and stack[i] != name and _is_in(stack[i], formatting):
        i -= 1
    return i if i >= 0 and stack[i] == name else depth


@kernel
def _measure(
    data: Bytes, max_nodes: int, max_ancestors: int, room: int, formatting: Ints, flat: Ints, raw: Ints,
    anchor: int, option: int, body: int, root: int, svg: int, math: int,
) -> tuple[int, int, int]:  # fmt: skip
    stack, names, wholes = np.empty(room, np.int64), np.empty(room, np.int64), np.empty(room, np.int64)
    depth, kept, foreign, at, n = 0, 0, 0, 0, len(data)
    nodes, ancestors, pairs, options, shared = 0, 0, 0, 0, 0
    while at < n and nodes <= max_nodes and ancestors <= max_ancestors:
        if data[at] != _LT:
            at += 1
            continue
        begin = at
        at, kind, name, attributes, whole = _tag(data, begin)
        if kind == _OTHER:
            at = _markup_end(data, begin)
            continue
        nodes += 1 + kept
        ancestors += depth + kept
        is_formatting = _is_in(name, formatting)
        if kind == _CLOSE:
            if is_formatting:
                kept = _remove(names, wholes, kept, _last(names, kept, name))
            closed = _closed(stack, depth, name, formatting)
            for i in range(closed, depth):
                foreign -= 1 if stack[i] in (svg, math) else 0
            depth = closed
            continue
        pairs += attributes * attributes
        if name == option:
            pairs, options = pairs + 2 * options + 1, options + 1
        if name in (body, root):
            pairs, shared = pairs + 2 * shared * attributes, shared + attributes
        if is_formatting:
            kept = _reopen(names, wholes, kept, name, whole, anchor)
        if foreign == 0 and _is_in(name, raw):
            at = _raw_end(data, at, name)
        elif not _is_in(name, flat) and not (kind == _EMPTY and foreign > 0) and depth < room:
            stack[depth] = name
            depth += 1
            foreign += 1 if name in (svg, math) else 0
    return nodes, ancestors, pairs


@kernel
def _expand(data: Bytes, void: Ints, raw: Ints) -> tuple[Bytes, int]:
    n = len(data)
    out = np.empty(2 * n + 16, np.uint8)
    at, size = 0, 0
    while at < n:
        begin, end, name_end = at, at + 1, at
        if data[at] == _LT:
            end, kind, name, _, _ = _tag(data, at)
            if kind == _OTHER:
                end = _markup_end(data, at)
            elif kind == _OPEN and _is_in(name, raw):
                end = _raw_end(data, end, name)
            elif kind == _EMPTY and not _is_in(name, void):
                name_end = at + 1
                while data[name_end] > 32 and data[name_end] != _SLASH:
                    name_end += 1
        at = end
        stop = end - 2 if name_end > begin else end
        out[size : size + stop - begin] = data[begin:stop]
        size += stop - begin
        if name_end > begin:  # "></" name ">"
            out[size], out[size + 1], out[size + 2] = _GT, _LT, _SLASH
            size += 3
            out[size : size + name_end - begin - 1] = data[begin + 1 : name_end]
            size += name_end - begin - 1
            out[size] = _GT
            size += 1
    return out, size


def _hashes(names: str) -> Ints:
    """The hash that `_tag` gives to each name: FNV-1a, 64 bits."""
    found: list[int] = []
    for name in names.split():
        value = 14695981039346656037
        for byte in name.encode():
            value = (value ^ byte) * 1099511628211 % (1 << 64)
        found.append(value)
    unsigned: Hashes = np.array(found, np.uint64)
    return unsigned.view(np.int64)


_VOID = _hashes(
    "area base basefont bgsound br col embed frame hr image img input keygen link meta param source track wbr"
)
_FORMATTING = _hashes("a b big code em font i nobr s small strike strong tt u")
_NOT_NESTED = np.concatenate(
    [_VOID, _hashes("p li dd dt option optgroup rt rp tr td th tbody thead tfoot caption colgroup html head body")]
)
"""Elements that end the one before them, so that leaving them open does not nest."""
_RAW = _hashes("script style textarea title xmp iframe noembed noframes")
_SINGLE: tuple[int, ...] = tuple(int(value) for value in _hashes("a option body html svg math"))
