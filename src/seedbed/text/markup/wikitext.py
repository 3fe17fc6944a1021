"""Wikitext into the text that a reader of the page sees; the one door to mwparserfromhell."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

_NOT_TEXT = frozenset({"ref", "references", "table", "gallery", "timeline", "imagemap", "math", "score", "hiero"})
_SWITCH = re.compile(r"__[A-Z]+__")
_EMPTY_PARENTHESES = re.compile(r"\s*\(\s*[,;]?\s*\)")
_MANY_NEWLINES = re.compile(r"\n{3,}")


def plain_text(parser: Any, wikitext: str, hidden_namespaces: Collection[str]) -> str:
    """The text without templates, references, tables, and links into hidden namespaces (files, categories).

    Args:
        parser: the module mwparserfromhell.
        wikitext: the source of a page.
        hidden_namespaces: names in lower case, `file`, `category` and what the wiki calls them.
    """
    tree = parser.parse(_SWITCH.sub("", wikitext), skip_style_tags=False)
    for link in tree.filter_wikilinks():
        namespace, colon, _ = str(link.title).strip().partition(":")
        if colon and namespace.strip().lower() in hidden_namespaces:
            _remove(tree, link)
    for tag in tree.filter_tags():
        if str(tag.tag).strip().lower() in _NOT_TEXT:
            _remove(tree, tag)
    text = str(tree.strip_code(normalize=True, collapse=True))
    text = _EMPTY_PARENTHESES.sub("", text)  # what a template stood in
    lines = (line.rstrip() for line in text.split("\n"))
    return _MANY_NEWLINES.sub("\n\n", "\n".join(lines)).strip()


def _remove(tree: Any, node: Any) -> None:
    try:
        tree.remove(node)
    except ValueError:  # it went with the node around it
        return
