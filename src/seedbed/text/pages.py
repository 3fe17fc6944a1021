"""A page in bytes into text, within limits; the one door to resiliparse's extraction."""

from __future__ import annotations

import dataclasses
from typing import Any, cast

from resiliparse.extract import html2text as _resiliparse_html2text
from resiliparse.parse import html as _resiliparse_html

from seedbed.text.decoding import decode_html, without_surrogates
from seedbed.text.markup import is_xhtml, open_empty_elements, page_load

_HTMLTree: Any = cast(Any, _resiliparse_html).HTMLTree
_extract_plain_text: Any = cast(Any, _resiliparse_html2text).extract_plain_text


@dataclasses.dataclass(frozen=True)
class Limits:
    """What a page may cost: bytes of its file, and the bounds of `markup.Load`.

    Up to `ancestors` all is done; up to `parsed_ancestors` a page is parsed to count them, as the bound before
    parsing takes every element that is left open (an old page's <font> in each cell) for nested.
    """

    html_bytes: int
    nodes: int
    ancestors: int
    parsed_ancestors: int
    pairs: int


def page_text(content: bytes, charset: str, limits: Limits, *, main_content: bool, list_bullets: bool) -> str:
    """The visible text. Raises ValueError for a page beyond the limits, before it is parsed."""
    if len(content) > limits.html_bytes:
        raise ValueError(f"too_large: {len(content)} bytes where at most {limits.html_bytes} are parsed")
    html = decode_html(content, charset).encode("utf-8", "replace")
    if is_xhtml(html):
        html = open_empty_elements(html)
    load = page_load(html, limits.nodes, limits.parsed_ancestors)
    if load.nodes > limits.nodes:
        raise ValueError(f"too_many_nodes: parsing makes more than {limits.nodes} elements")
    if load.pairs > limits.pairs:
        raise ValueError(f"too_many_pairs: {load.pairs} pairs of attributes or options, where {limits.pairs} may be")
    page: Any = html.decode()
    if load.ancestors > limits.ancestors:
        page = _HTMLTree.parse(page) if load.ancestors <= limits.parsed_ancestors else None
        if page is None or _ancestors(page, limits.ancestors) > limits.ancestors:
            raise ValueError(f"too_deep: elements have more than {limits.ancestors} elements above them, summed")
    text = cast(
        str,
        _extract_plain_text(
            page,
            main_content=main_content,
            alt_texts=False,
            links=False,
            form_fields=False,
            list_bullets=list_bullets,
        ),
    )
    return without_surrogates(text)


def _ancestors(tree: Any, limit: int) -> int:
    """The sum over elements of how deep they lie, counted until it passes `limit`."""
    total, depth, node = 0, 0, tree.document.first_element_child
    while node is not None and total <= limit:
        depth += 1
        total += depth
        below = node.first_element_child
        while below is None and node is not None and depth > 0:
            below, depth = node.next_element_sibling, depth - 1
            node = node.parent
        node = below
    return total
