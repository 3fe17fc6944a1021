"""A page in bytes into text, within limits; the one door to resiliparse's extraction."""

from __future__ import annotations

import dataclasses
from typing import Any, cast

from resiliparse.extract import html2text as _resiliparse_html2text
from resiliparse.parse import html as _resiliparse_html

from seedbed.text.markup.cost import is_xhtml, open_empty_elements, page_load
from seedbed.text.markup.decoding import decode_html

_HTMLTree: Any = cast(Any, _resiliparse_html).HTMLTree
_extract_plain_text: Any = cast(Any, _resiliparse_html2text).extract_plain_text


_NO_TEXT = ("object", "video", "audio", "embed", "img", "area", "svg")
"""What has nothing but an alternative text."""


@dataclasses.dataclass(frozen=True)
class Limits:
    """What a page may cost: bytes of its file, and the bounds of `cost.Load`.

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
    return visible_text(_bounded(content, charset, limits), main_content=main_content, list_bullets=list_bullets)


def page_tree(content: bytes, charset: str, limits: Limits) -> Any:
    """The page parsed, a tree of resiliparse. Raises ValueError for a page beyond the limits."""
    page = _bounded(content, charset, limits)
    return _HTMLTree.parse(page) if isinstance(page, str) else page


def visible_text(page: Any, *, main_content: bool, list_bullets: bool, figures: bool = False) -> str:
    """The text of a page as text or as a tree; without its figures, as resiliparse leaves them out, or with them."""
    return cast(
        str,
        _extract_plain_text(
            page,
            main_content=main_content,
            alt_texts=figures,
            skip_elements=_NO_TEXT if figures else None,
            links=False,
            form_fields=False,
            list_bullets=list_bullets,
        ),
    )


def _bounded(content: bytes, charset: str, limits: Limits) -> Any:
    """The page as text, or as a tree where it had to be parsed to know that it is within the limits."""
    if len(content) > limits.html_bytes:
        raise ValueError(f"too_large: {len(content)} bytes where at most {limits.html_bytes} are parsed")
    page: Any
    page, html = decode_html(content, charset)
    load = page_load(html, limits.nodes, limits.parsed_ancestors, is_xhtml(html))
    if load.nodes > limits.nodes:
        raise ValueError(f"too_many_nodes: parsing makes more than {limits.nodes} elements")
    if load.pairs > limits.pairs:
        raise ValueError(f"too_many_pairs: {load.pairs} pairs of attributes or options, where {limits.pairs} may be")
    if load.self_closed:
        page = open_empty_elements(html).decode()
    if load.ancestors > limits.ancestors:
        page = _HTMLTree.parse(page) if load.ancestors <= limits.parsed_ancestors else None
        if page is None or _ancestors(page, limits.ancestors) > limits.ancestors:
            raise ValueError(f"too_deep: elements have more than {limits.ancestors} elements above them, summed")
    return page


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
