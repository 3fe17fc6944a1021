"""A page in bytes into text, within limits; the one door to resiliparse's extraction."""

from __future__ import annotations

import dataclasses
from typing import Any, cast

from resiliparse.extract import html2text as _resiliparse_html2text

from seedbed.text.decoding import decode_html, without_surrogates
from seedbed.text.markup import is_xhtml, open_empty_elements, page_load

_extract_plain_text: Any = cast(Any, _resiliparse_html2text).extract_plain_text


@dataclasses.dataclass(frozen=True)
class Limits:
    """What a page may cost: bytes of its file, and the bounds of `markup.Load`; `ancestors` None is no bound."""

    html_bytes: int
    nodes: int
    ancestors: int | None
    pairs: int


def page_text(content: bytes, charset: str, limits: Limits, *, main_content: bool, list_bullets: bool) -> str:
    """The visible text. Raises ValueError for a page beyond the limits, before it is parsed."""
    if len(content) > limits.html_bytes:
        raise ValueError(f"too_large: {len(content)} bytes where at most {limits.html_bytes} are parsed")
    html = decode_html(content, charset).encode("utf-8", "replace")
    if is_xhtml(html):
        html = open_empty_elements(html)
    load = page_load(html, limits.nodes)
    if load.nodes > limits.nodes:
        raise ValueError(f"too_many_nodes: parsing makes more than {limits.nodes} elements")
    if limits.ancestors is not None and load.ancestors > limits.ancestors:
        raise ValueError(f"too_deep: elements have {load.ancestors} elements above them, where {limits.ancestors} may")
    if load.pairs > limits.pairs:
        raise ValueError(f"too_many_pairs: {load.pairs} pairs of attributes or options, where {limits.pairs} may be")
    text = cast(
        str,
        _extract_plain_text(
            html.decode(),
            main_content=main_content,
            alt_texts=False,
            links=False,
            form_fields=False,
            list_bullets=list_bullets,
        ),
    )
    return without_surrogates(text)
